"""Source topics that change while they are mirrored: more partitions, created again, records dropped."""

from __future__ import annotations

import signal
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewPartitions, NewTopic
from scenario import RETENTION, SANDBOX, Scenario

sys.path.insert(0, str(SANDBOX))

from orders import patiently, producer


class TopicTests(unittest.TestCase):
    scenario: Scenario

    @classmethod
    def setUpClass(cls) -> None:
        cls.scenario = Scenario(records=10)
        cls.scenario.__enter__()
        cls.addClassCleanup(cls.scenario.close)
        cls.admin = KafkaAdminClient(bootstrap_servers=cls.scenario.source)
        cls.addClassCleanup(cls.admin.close)

    def begin(self, name: str, rule: str, records: int) -> str:
        """A topic with two partitions, and a migration of its own that mirrors it."""
        prefix = f"{self.scenario.prefix}." if self.scenario.prefix else ""
        topic = f"{prefix}{name}"
        self.create(topic)
        self.write(topic, records, 0, 1)
        self.scenario.plan = self.scenario.directory / f"{name}.yaml"
        self.scenario.plan.write_text(
            f"""
            ferry: v1
            migration: {name}
            clusters:
              source: {{ bootstrap: ["{self.scenario.source}"] }}
              target: {{ bootstrap: ["{self.scenario.target}"] }}
            topics: [{{ name: "{topic}", owner: team, {rule} }}]
            stages:
              - stage: wave-1
                topics: ["{topic}"]
                fence: {{ exec: [/bin/true] }}
                switch: {{ exec: [/bin/true] }}
                gates: [{{ approvals: 1 }}]
            """
        )
        self.start()
        return topic

    def start(self) -> None:
        self.scenario.start()
        self.scenario.wait(lambda s: s["state"] == "validated", "validation", approve=False)

    def stop(self) -> None:
        engine = self.scenario.engine
        assert engine
        if engine.poll() is None:
            engine.send_signal(signal.SIGINT)
            self.assertEqual(engine.wait(60), 130, self.scenario.tail())

    def create(self, topic: str) -> None:
        def create() -> None:
            self.admin.create_topics([NewTopic(topic, 2, 1, topic_configs=RETENTION)])

        patiently(create)

    def write(self, topic: str, count: int, *partitions: int, text: str = "record") -> None:
        writer = producer(self.scenario.source)
        for partition in partitions:
            for number in range(count):
                writer.send(topic, f"{text} {number}".encode(), partition=partition)
        writer.flush(60)
        writer.close()

    def read(self, topic: str, partition: int) -> list[bytes]:
        place = TopicPartition(topic, partition)
        reader = KafkaConsumer(bootstrap_servers=self.scenario.target)
        reader.assign([place])
        reader.seek_to_beginning(place)
        end = reader.end_offsets([place])[place]
        values: list[bytes] = []
        while reader.position(place) < end:
            for records in reader.poll(1000).values():
                values += [record.value for record in records]
        reader.close()
        return values

    def test_new_partitions_are_mirrored_where_the_plan_says_so(self) -> None:
        topic = self.begin("grows", "onNewPartitions: mirror", 20)
        self.admin.create_partitions({topic: NewPartitions(3)})
        patiently(lambda: self.write(topic, 30, 2))
        self.scenario.wait(
            lambda s: bool(s["topics"])
            and s["topics"][0]["partitions"] == 3
            and s["topics"][0]["position"] == 70,
            "the new partition",
            approve=False,
        )
        self.assertEqual(self.read(topic, 2), [f"record {n}".encode() for n in range(30)])
        # A restart knows of it, and goes on.
        self.stop()
        self.write(topic, 5, 2, text="later")
        self.start()
        self.scenario.wait(
            lambda s: bool(s["topics"]) and s["topics"][0]["position"] == 75, "all", approve=False
        )
        self.stop()

    def test_new_partitions_stop_the_stage_otherwise(self) -> None:
        topic = self.begin("stays", "partitions: same", 20)
        self.admin.create_partitions({topic: NewPartitions(3)})
        stage = self.scenario.wait(lambda s: "failure" in s, "a stop", approve=False)
        self.assertIn(f"topic {topic} is not as planned", stage["failure"])
        self.assertIn("had 2 partitions when the run began, now 3", stage["failure"])
        assert self.scenario.engine
        self.assertEqual(self.scenario.engine.wait(60), 5)
        self.assertEqual(self.scenario.ferry("run").returncode, 5)

    def test_a_topic_that_is_created_again_stops_the_stage_for_good(self) -> None:
        topic = self.begin("reborn", "partitions: same", 20)
        # It looks at the records every ten seconds; once it has, it sleeps, and sees nothing of the change.
        time.sleep(12)
        assert self.scenario.engine
        self.scenario.engine.send_signal(signal.SIGSTOP)
        self.admin.delete_topics([topic])
        self.create(topic)
        # Longer than the old one, so that its end gives nothing away.
        patiently(lambda: self.write(topic, 200, 0, 1, text="another"))
        self.scenario.engine.send_signal(signal.SIGCONT)
        stage = self.scenario.wait(lambda s: "failure" in s, "a stop", approve=False)
        self.assertRegex(stage["failure"], "holds another record at offset 19")
        self.assertEqual(self.scenario.engine.wait(60), 5)
        again = self.scenario.ferry("run")
        self.assertEqual(again.returncode, 5, again.stderr)
        self.assertIn("deleted and created again", again.stderr)

    def test_a_gap_that_the_plan_accepts_is_journalled_and_shown(self) -> None:
        topic = self.begin("gaps", "onGap: accept", 20)
        self.stop()
        self.write(topic, 50, 0, 1, text="later")
        self.admin.delete_records({TopicPartition(topic, 0): 45})
        self.start()
        self.scenario.wait(lambda s: bool(s["gaps"]), "the gap", approve=False)
        gap = {"partition": {"topic": topic, "partition": 0}, "from": 20, "to": 45}
        self.assertEqual(self.scenario.stage()["gaps"], [gap])
        self.assertIn(
            f"given up: {topic}:0 offsets 20 to 44, which the source dropped",
            self.scenario.ferry("status").stdout,
        )
        self.assertEqual(len(self.read(topic, 0)), 20 + 25)
        self.assertEqual(len(self.read(topic, 1)), 70)
        # What is left is compared, and the cutover goes on.
        later = ("translated", "reversed", "switched", "soaking")
        self.scenario.wait(lambda s: s["state"] in later, "the seal")
        self.stop()
        shown = self.scenario.ferry("journal", "show", str(self.scenario.plan), plan=False).stdout
        self.assertIn("gap", shown)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
