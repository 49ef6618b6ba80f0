"""What going back takes is told before it is asked for, and held against what it took."""

from __future__ import annotations

import json
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from scenario import Scenario

YEARS = 9 * 365 * 86_400_000
"""A retention that no record of the workload is old enough for, in ms."""


class RollbackCardTests(unittest.TestCase):
    def limit_retention(self, scenario: Scenario) -> str:
        topic = f"{scenario.prefix}.orders.ledger" if scenario.prefix else "orders.ledger"
        admin = KafkaAdminClient(bootstrap_servers=scenario.source)
        retention = {"retention.ms": str(YEARS)}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=retention)])
        admin.close()
        return topic

    def test_it_says_how_long_from_what_and_until_when_and_how_it_went(self) -> None:
        with Scenario(records=600) as scenario:
            topic = self.limit_retention(scenario)
            process = scenario.start()
            before = scenario.wait(lambda s: s["state"] == "validated", "validation", approve=False)
            self.assertIsNone(before.get("forecast"), "nothing is to be undone yet")
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            stage = scenario.wait(
                lambda s: (s.get("forecast") or {}).get("recordsToDrain") is not None
                and s["forecast"]["groups"], "the card",
            )
            card = stage["forecast"]
            self.assertEqual(
                [part["step"] for part in card["parts"]],
                ["fenceTarget", "drainReverse", "sealReverse", "translateBack", "returnClients",
                 "release"],
            )  # fmt: skip
            self.assertEqual(card["blockers"], [])
            self.assertEqual({(g["reRead"], g["skipped"]) for g in card["groups"]}, {(0, 0)})
            self.assertEqual(len(card["groups"]), 3)
            self.assertAlmostEqual(card["until"], time.time() + YEARS / 1000, delta=300)
            self.assertIn(topic, card["untilReason"])
            # What was measured on the way there counts, not a guess.
            steps = {part["step"]: part for part in card["parts"]}
            self.assertIn("fence took that long", steps["fenceTarget"]["basis"])
            self.assertGreater(steps["fenceTarget"]["seconds"], 1, "the stability window is in it")
            shown = scenario.ferry("status").stdout
            for word in ("takes:    about", "to drain: ", "billing re-reads 0, skips 0", "until:    20"):
                self.assertIn(word, shown)
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(answer.returncode, 0, answer.stderr + scenario.tail())
            self.assertIn("takes:    about", answer.stdout)
            self.assertRegex(answer.stdout, r"rolled back; the way back was taken in [\d.]+ s, predicted")
            process.wait(30)
            outcome = scenario.stage()["rolledBack"]
            self.assertGreater(outcome["actualSeconds"], 1)
            self.assertGreater(outcome["predictedSeconds"], 1)
            for groups in ("predictedGroups", "groups"):
                self.assertEqual(len(outcome[groups]), 3)
                self.assertEqual({(g["reRead"], g["skipped"]) for g in outcome[groups]}, {(0, 0)})
            self.assertIn("re-read 0, skipped 0; predicted were 0 and 0", scenario.ferry("status").stdout)
            print(json.dumps(outcome))
            scenario.assert_nothing_wrong()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
