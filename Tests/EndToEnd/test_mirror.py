"""What people see and set of a mirror that runs: topics, rates, gaps."""

from __future__ import annotations

import json
import sys
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from scenario import Scenario

MIB = 1 << 20


def status(scenario: Scenario) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(scenario.ferry("status", "--json").stdout)
    return answer


class MirrorTests(unittest.TestCase):
    def test_rates_are_set_while_it_runs_and_outlive_the_engine(self) -> None:
        with Scenario(records=300) as scenario:
            for wrong in ([], ["--rate", "fast"], ["--tail", "0B/s"], ["--rate", "5"]):
                self.assertEqual(scenario.ferry("throttle", *wrong).returncode, 2, wrong)
            scenario.start()
            scenario.wait(lambda s: s["state"] == "validated", "validation", approve=False)
            answer = scenario.ferry(
                "throttle", "--rate", "20MiB/s", "--tail", "30MiB/s", "--reason", "by day"
            )
            self.assertEqual(answer.returncode, 0, answer.stderr)
            rates = {"backfill": 20 * MIB, "tail": 30 * MIB}
            self.assertEqual(status(scenario)["rates"], rates)
            self.assertIn("rates: backfill 20 MiB/s, tail 30 MiB/s", scenario.ferry("status").stdout)
            self.assertIn("by day", scenario.ferry("journal", "show", str(scenario.plan), plan=False).stdout)

            topics = scenario.stage()["topics"]
            names = {topic["topic"] for topic in topics}
            self.assertGreaterEqual(len(names), 3, topics)
            for topic in topics:
                self.assertEqual(topic["faults"], 0)
                self.assertGreaterEqual(topic["end"], topic["position"])
                self.assertEqual(topic["lag"], topic["end"] - topic["position"])
            every = scenario.ferry("status", "--topics").stdout
            for name in names:
                self.assertIn(name, every)

            assert scenario.engine
            scenario.engine.kill()
            scenario.engine.wait()
            # Where no engine runs, the command writes it down itself.
            answer = scenario.ferry("throttle", "--tail", "unlimited")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            del rates["tail"]
            self.assertEqual(status(scenario)["rates"], rates)
            scenario.start()
            scenario.wait(lambda s: bool(s["topics"]), "the mirror", approve=False)
            self.assertEqual(status(scenario)["rates"], rates)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
