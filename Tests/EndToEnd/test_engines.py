"""Several engines and several operators at one journal: only one moves the migration at a time, and
each operator gets an answer of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from kafka import KafkaConsumer, TopicPartition
from scenario import Scenario, ferry_binary

LEASE_SECONDS = 15


def is_waiting(stage: dict) -> bool:
    return stage["state"] == "validated"


class EngineTests(unittest.TestCase):
    def events(self, scenario: Scenario) -> list[dict]:
        answer = scenario.ferry("journal", "show", str(scenario.plan), "--json", plan=False)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        return json.loads(answer.stdout)

    def ends(self, scenario: Scenario) -> dict[TopicPartition, int]:
        consumer = KafkaConsumer(bootstrap_servers=scenario.target)
        topics = [t for t in consumer.topics() if "orders." in t]
        partitions = [
            TopicPartition(t, p) for t in topics for p in consumer.partitions_for_topic(t) or ()
        ]
        ends = dict(consumer.end_offsets(partitions))
        consumer.close()
        return ends

    def test_a_second_engine_is_refused_and_the_first_goes_on(self) -> None:
        with Scenario(records=600) as scenario:
            process = scenario.start()
            scenario.wait(is_waiting, "validation", approve=False)
            answer = scenario.ferry("run")
            self.assertEqual(answer.returncode, 1, answer.stdout)
            self.assertIn("another engine runs this migration", answer.stderr)
            self.assertIsNone(process.poll())

    def test_an_engine_that_wakes_after_another_took_over_writes_nothing(self) -> None:
        """Stopped with records in flight and for longer than its lease; the other engine takes over
        as it would on another host, whose file system shares no locks."""
        with Scenario(records=4000) as scenario:
            scenario.write_plan(lambda text: text.replace("50MiB/s", "100KiB/s"))
            first = scenario.start()
            scenario.wait(lambda s: s["records"] > 100, "a first record", approve=False)
            os.kill(first.pid, signal.SIGSTOP)
            refused = scenario.ferry("run")
            self.assertEqual(refused.returncode, 1, "its lease still runs: " + refused.stdout)
            Path(f"{next(scenario.directory.glob('*.ferry.db'))}.lock").unlink()
            time.sleep(LEASE_SECONDS + 1)
            stood = self.ends(scenario)
            time.sleep(1)
            self.assertEqual(self.ends(scenario), stood, "something wrote while nobody may")
            second = scenario.start()
            scenario.wait(is_waiting, "validation by the second", 240, approve=False)
            started = [e for e in self.events(scenario) if "started" in str(e["payload"])]
            self.assertEqual(len(started), 2)
            # Whatever is left of the first may try now.
            try:
                os.kill(first.pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
            self.assertEqual(first.wait(10), -signal.SIGKILL)
            count = len(self.events(scenario))
            time.sleep(3)
            self.assertIsNone(second.poll(), scenario.tail())
            self.assertEqual(len(self.events(scenario)), count)
            self.assertEqual(scenario.stage()["faults"], [])
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            self.assertEqual(scenario.ferry("rollback", "--yes").returncode, 0, scenario.tail())
            second.wait(30)
            time.sleep(1)
            scenario.assert_nothing_wrong()

    def test_a_stopped_engine_is_gone_when_its_lease_is(self) -> None:
        with Scenario(records=600) as scenario:
            first = scenario.start()
            scenario.wait(is_waiting, "validation", approve=False)
            os.kill(first.pid, signal.SIGSTOP)
            self.assertEqual(first.wait(LEASE_SECONDS + 5), -signal.SIGKILL)
            scenario.start()  # at once, on the same host
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
