"""`ferry serve` shows a running migration to people, to programs and to Prometheus."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import unittest
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scenario import Scenario, ferry_binary


class ServeTests(unittest.TestCase):
    def test_page_json_and_metrics_agree_with_the_status(self) -> None:
        with Scenario(records=300) as scenario:
            self.assertEqual(scenario.ferry("serve").returncode, 2)  # nothing has begun
            scenario.start()
            scenario.wait(lambda s: s["state"] == "validated", "validation", approve=False)
            server = scenario.spawn(
                [ferry_binary(), "serve", str(scenario.plan), "--port", "0"],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert server.stdout
            address = server.stdout.readline().split()[-1]

            def get(path: str) -> str:
                with urllib.request.urlopen(address + path, timeout=10) as answer:
                    return str(answer.read().decode())

            status = json.loads(get("api/status"))
            self.assertEqual(status["stages"][0]["state"], "validated")
            page = get("")
            self.assertIn("wave-1", page)
            self.assertIn("validated", page)
            metrics = get("metrics")
            self.assertIn('stage="wave-1",state="validated"} 1', metrics)
            self.assertIn('stage="wave-1",state="soaking"} 0', metrics)
            self.assertIn("ferry_engine_up{", metrics)
            server.send_signal(signal.SIGTERM)
            self.assertEqual(server.wait(20), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
