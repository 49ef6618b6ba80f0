"""Gates that ask a service or a person: a no, a broken answer and silence keep the fence down."""

from __future__ import annotations

import sys
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scenario import Scenario

GATES = "gates: [{ lagBelow: 100, for: 1s }, { drainWithin: 30s }, { approvals: 1 }]"


class Desk(ThreadingHTTPServer):
    """A change service that answers with `status`, and remembers who asked."""

    daemon_threads = True

    def __init__(self) -> None:
        self.status = 503
        self.asked: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    server: Desk

    def do_GET(self) -> None:
        names = ("FERRY-ACTION", "FERRY-GATE", "FERRY-STAGE", "FERRY-STEP-ID")
        self.server.asked.append({name: self.headers[name] for name in names})
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def gate(stage: dict, name: str) -> dict:
    return next((g for g in stage["gates"] if g["gate"] == name), {})


class GateTests(unittest.TestCase):
    def setUp(self) -> None:
        self.desk = Desk()
        self.addCleanup(self.desk.server_close)
        self.addCleanup(self.desk.shutdown)

    def test_a_service_and_a_person_open_their_gates(self) -> None:
        url = f"http://127.0.0.1:{self.desk.server_address[1]}/change"
        with Scenario(records=600) as scenario:
            scenario.write_plan(
                lambda text: text.replace(
                    GATES,
                    f'gates: [{{ http: {{ get: "{url}", expect: 200 }} }}, {{ approvals: 1 }}]',
                )
            )
            scenario.start()
            stage = scenario.wait(lambda s: gate(s, "http").get("why", "").startswith("hook"), "a no")
            self.assertEqual(gate(stage, "http")["state"], "closed")
            self.assertIn("it answered 503", gate(stage, "http")["why"])
            self.assertEqual(stage["state"], "validated")
            asked = self.desk.asked[0]
            self.assertEqual((asked["FERRY-ACTION"], asked["FERRY-GATE"]), ("gate", "http"))
            self.assertTrue(asked["FERRY-STEP-ID"].endswith("/wave-1/1/gate/http"), asked)
            self.desk.status = 200
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            self.assertIn("gate http: open, the hook agreed", scenario.ferry("report").stdout)

    def test_a_person_opens_a_manual_gate_once_the_others_are_open(self) -> None:
        with Scenario(records=600) as scenario:
            scenario.write_plan(
                lambda text: text.replace(
                    GATES, 'gates: [{ approvals: 1 }, { manual: "look at the graphs" }]'
                )
            )
            scenario.start()
            stage = scenario.wait(lambda s: gate(s, "manual"), "the gates", approve=False)
            self.assertIn("asked once the other gates are open", gate(stage, "manual")["why"])
            refused = scenario.ferry("ack", "wave-1/1/gate/manual")
            self.assertEqual(refused.returncode, 1, "nobody was asked yet")
            scenario.ferry("approve", "--by", "anna")
            stage = scenario.wait(
                lambda s: "look at the graphs" in (s.get("waitingFor") or ""), "the question",
                approve=False,
            )  # fmt: skip
            self.assertIn("ferry ack wave-1/1/gate/manual", stage["waitingFor"])
            self.assertEqual(stage["state"], "validated")
            self.assertEqual(scenario.ferry("ack", "wave-1/1/gate/manual").returncode, 0)
            scenario.wait(lambda s: s["state"] == "soaking", "the switch", approve=False)

    def test_a_group_that_is_not_seen_to_work_takes_the_stage_back(self) -> None:
        with Scenario(records=600) as scenario:
            # Nobody reads for this group: it stays behind.
            scenario.write_plan(
                lambda text: text.replace(
                    'failureMode: "none:', 'verify: { lagBelow: 0, within: 3s }\n    failureMode: "none:'
                )
            )
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "rolledBack", "the way back")
            self.assertEqual(process.wait(30), 4, scenario.tail())
            self.assertIn("observe failed: group archive did not get its lag", scenario.tail())
            refused = scenario.ferry("finalize")
            self.assertEqual(refused.returncode, 1, refused.stdout)
            time.sleep(1)
            scenario.assert_nothing_wrong()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
