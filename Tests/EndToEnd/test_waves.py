"""Two stages in one plan: each goes its way, and the other one's way back is none of its business."""

from __future__ import annotations

import json
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from scenario import Scenario


def two_waves(after: str = "") -> object:
    """Live topics and their groups first; history and the group that stopped long ago then."""

    def edit(text: str) -> str:
        head, stage = text.split("  - stage: wave-1\n")
        topics = next(line for line in stage.splitlines() if "topics:" in line)
        groups = next(line for line in stage.splitlines() if "groups:" in line)
        prefix = topics.split("'")[1].split("orders")[0]
        first = stage.replace(topics, f"    topics: ['{prefix}orders\\.(events|payments)']")
        first = first.replace(groups, f'    groups: ["{prefix}billing", "{prefix}audit"]')
        second = f"""  - stage: wave-2
    topics: ['{prefix}orders\\.(state|ledger|trimmed)']
    groups: ["{prefix}archive"]
{after}    fence: {{ exec: [/bin/true] }}
    switch: {{ exec: [/bin/true] }}
    gates: [{{ approvals: 1 }}]
    stability: 1s
    soak: 5s
"""
        return f"{head}  - stage: wave-1\n{first}{second}"

    return edit


class WaveTests(unittest.TestCase):
    def stages(self, scenario: Scenario) -> dict[str, dict]:
        answer = scenario.ferry("status", "--json")
        if answer.returncode != 0:
            return {}
        return {s["stage"]: s for s in json.loads(answer.stdout)["stages"]}

    def wait_for(self, scenario: Scenario, wave: str, state: str, seconds: float = 120) -> dict:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            stage = self.stages(scenario).get(wave, {})
            if stage.get("state") == state:
                return stage
            time.sleep(0.2)
        raise AssertionError(f"{wave} is not {state}: {self.stages(scenario)}\n{scenario.tail()}")

    def end(self, bootstrap: str, topic: str) -> int:
        consumer = KafkaConsumer(bootstrap_servers=bootstrap)
        partition = TopicPartition(topic, 0)
        end = consumer.end_offsets([partition])[partition]
        consumer.close()
        return int(end)

    def write(self, scenario: Scenario, topic: str) -> None:
        producer = KafkaProducer(bootstrap_servers=scenario.source)
        for number in range(30):
            producer.send(topic, b"late %d" % number, partition=0)
        producer.flush(30)
        producer.close()

    def assert_mirrored(self, scenario: Scenario, topic: str) -> None:
        before = self.end(scenario.target, topic)
        self.write(scenario, topic)
        deadline = time.monotonic() + 30
        while self.end(scenario.target, topic) < before + 30:
            self.assertLess(time.monotonic(), deadline, "the later wave is not mirrored")
            time.sleep(0.2)

    def test_a_later_wave_mirrors_while_the_earlier_one_soaks_and_goes_back(self) -> None:
        with Scenario(records=600) as scenario:
            scenario.write_plan(two_waves())
            process = scenario.start()
            topic = f"{scenario.prefix}.orders.trimmed" if scenario.prefix else "orders.trimmed"
            self.wait_for(scenario, "wave-1", "validated")
            self.wait_for(scenario, "wave-2", "validated")
            # Approved, and yet it waits for the earlier one.
            scenario.ferry("approve", "--stage", "wave-2", "--by", "anna")
            time.sleep(2)
            stage = self.stages(scenario)["wave-2"]
            self.assertEqual(stage["state"], "validated")
            self.assertIn("stage wave-1 to reach `soaking`", stage["waitingFor"])
            scenario.ferry("pause", "--stage", "wave-2", "--reason", "one after the other")
            scenario.ferry("approve", "--stage", "wave-1", "--by", "anna")
            self.wait_for(scenario, "wave-1", "soaking")
            self.assert_mirrored(scenario, topic)
            answer = scenario.ferry("rollback", "--stage", "wave-1", "--yes")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertEqual(self.stages(scenario)["wave-2"]["state"], "validated")
            self.assert_mirrored(scenario, topic)
            # The later one does not go without the earlier one, nor does that take it along.
            scenario.ferry("resume", "--stage", "wave-2")
            time.sleep(2)
            self.assertEqual(self.stages(scenario)["wave-2"]["state"], "validated")
            self.assertIsNone(process.poll())
            answer = scenario.ferry("rollback", "--stage", "wave-2", "--yes")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertEqual(process.wait(60), 4, scenario.tail())

    def test_a_wave_that_waits_for_no_other_goes_first_and_stays_when_the_other_goes_back(self) -> None:
        with Scenario(records=600) as scenario:
            scenario.write_plan(two_waves("    after: []\n"))
            process = scenario.start()
            self.wait_for(scenario, "wave-1", "validated")
            scenario.ferry("approve", "--stage", "wave-2", "--by", "anna")
            self.wait_for(scenario, "wave-2", "soaking", 180)
            self.assertEqual(self.stages(scenario)["wave-1"]["state"], "validated")
            scenario.ferry("approve", "--stage", "wave-1", "--by", "anna")
            self.wait_for(scenario, "wave-1", "soaking")
            answer = scenario.ferry("rollback", "--stage", "wave-1", "--yes")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertEqual(self.stages(scenario)["wave-2"]["state"], "soaking")
            answer = scenario.ferry("finalize", "--stage", "wave-2")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertEqual(process.wait(60), 4, scenario.tail())
            self.assertEqual(self.stages(scenario)["wave-2"]["state"], "finalized")

    def test_what_falls_between_the_stages_is_found(self) -> None:
        with Scenario(records=600) as scenario:
            prefix = f"{scenario.prefix}." if scenario.prefix else ""
            scenario.write_plan(
                lambda text: two_waves()(text)
                .replace("(events|payments)", "(events)")
                .replace(f', "{prefix}audit"]', "]")
            )
            answer = scenario.ferry("dry-run", "--json")
            self.assertIn(answer.returncode, (0, 1), answer.stderr)
            report = json.loads(answer.stdout)
            found = " | ".join(report["findings"] + report["blockers"])
            self.assertIn("orders.payments is in the plan but in no stage", found)
            self.assertRegex(found, r"no stage moves group \S*audit, which reads \S*orders.events")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
