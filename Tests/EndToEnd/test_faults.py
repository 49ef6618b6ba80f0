"""Brokers and networks fail while Ferry mirrors, and other people write where they should not: it goes
on exactly, or stops that partition and names the offsets."""

from __future__ import annotations

import signal
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from scenario import Scenario


SLOW = "rate: 150KiB/s, tailRate: 150KiB/s"


def is_waiting(stage: dict) -> bool:
    """The stage has everything but its approval."""
    return stage["state"] == "validated"


class FaultTests(unittest.TestCase):
    def write_foreign(
        self, scenario: Scenario, topic: str, partition: int, cluster: str = "target"
    ) -> int:
        producer = KafkaProducer(bootstrap_servers=getattr(scenario, cluster))
        offset = producer.send(topic, b"foreign", partition=partition).get(30).offset
        producer.close()
        return int(offset)

    def name(self, scenario: Scenario, topic: str) -> str:
        return f"{scenario.prefix}.{topic}" if scenario.prefix else topic

    def test_a_foreign_write_while_ferry_runs_stops_the_partition_and_names_the_offset(self) -> None:
        with Scenario(records=600) as scenario:
            process = scenario.start()
            scenario.wait(is_waiting, "validation", approve=False)
            topic = self.name(scenario, "orders.payments")
            offset = self.write_foreign(scenario, topic, 1)
            self.assertEqual(process.wait(60), 1, scenario.tail())
            self.assertIn(f"{topic}:1 holds a record at offset {offset}", scenario.tail())
            self.assertIn("mirror-stopped.md", scenario.tail())

    def test_a_foreign_write_while_ferry_is_stopped_is_found_before_anything_is_written(self) -> None:
        with Scenario(records=600) as scenario:
            process = scenario.start()
            scenario.wait(is_waiting, "validation", approve=False)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(30), 130)
            topic = self.name(scenario, "orders.trimmed")
            offset = self.write_foreign(scenario, topic, 0)
            answer = scenario.ferry("run", timeout=90)
            self.assertEqual(answer.returncode, 1, answer.stderr)
            self.assertIn(f"{topic}:0 holds a record at offset {offset}", answer.stderr)

    def test_a_foreign_write_between_two_attempts_stops_the_second(self) -> None:
        with Scenario(records=600) as scenario:
            process = scenario.start()
            scenario.wait(is_waiting, "validation", approve=False)
            self.assertEqual(scenario.ferry("rollback", "--yes").returncode, 0, scenario.tail())
            process.wait(30)
            topic = self.name(scenario, "orders.trimmed")
            offset = self.write_foreign(scenario, topic, 0)
            answer = scenario.ferry("run", "--again", timeout=90)
            self.assertEqual(answer.returncode, 1, answer.stderr)
            self.assertIn(f"{topic}:0 holds a record at offset {offset}", answer.stderr)

    def test_a_stray_write_after_the_switch_is_reported_and_blocks_the_way_back(self) -> None:
        with Scenario(records=600) as scenario:
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            topic = self.name(scenario, "orders.events")
            offset = self.write_foreign(scenario, topic, 2, "source")
            stage = scenario.wait(lambda s: s["faults"], "the report")
            self.assertIn(f"{topic}:2 holds a record at offset {offset}", stage["faults"][0])
            self.assertIn("BLOCKED", scenario.ferry("status").stdout)
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(answer.returncode, 1, answer.stdout)
            self.assertIn("the way back is blocked", answer.stderr)
            self.assertEqual(scenario.stage()["state"], "soaking")
            self.assertIsNone(process.poll(), "clients stay served")

    def test_a_stray_write_where_nobody_else_writes_is_found_and_blocks_the_way_back(self) -> None:
        with Scenario(records=600) as scenario:
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            time.sleep(3)
            self.assertEqual(scenario.stage()["strays"], [], "what the mirror writes is none")
            topic = self.name(scenario, "orders.ledger")
            offset = self.write_foreign(scenario, topic, 1, "source")
            stage = scenario.wait(lambda s: s["strays"], "the report")
            stray = {"partition": {"topic": topic, "partition": 1}, "from": offset, "count": 1}
            self.assertEqual(stage["strays"], [stray])
            self.assertEqual(stage["faults"], [])
            self.assertIn("BLOCKED", scenario.ferry("status").stdout)
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(answer.returncode, 1, answer.stdout)
            self.assertIn(f"somebody else wrote 1 record to {topic}:1 on the source", answer.stderr)
            self.assertEqual(scenario.stage()["state"], "soaking")
            self.assertIsNone(process.poll(), "clients stay served")

    def test_records_deleted_ahead_of_the_mirror_are_named_and_stop_it(self) -> None:
        with Scenario(records=600) as scenario:
            process = scenario.start()
            scenario.wait(is_waiting, "validation", approve=False)
            process.kill()
            process.wait()
            topic = self.name(scenario, "orders.events")
            time.sleep(3)  # the live producer goes on
            admin = KafkaAdminClient(bootstrap_servers=scenario.source)
            partition = TopicPartition(topic, 0)
            admin.delete_records({partition: -1})  # -1: up to the high watermark
            admin.close()
            answer = scenario.ferry("run", timeout=90)
            self.assertEqual(answer.returncode, 1, answer.stderr)
            self.assertIn(f"{topic}:0 lost the records at offsets", answer.stderr)

    def test_network_faults_and_broker_outages_while_mirroring_change_nothing(self) -> None:
        with Scenario(records=4000) as scenario:
            if scenario.kind == "user":
                self.skipTest("there is no fault proxy before brokers of the user's own")
            scenario.write_plan(lambda text: text.replace("rate: 50MiB/s", SLOW))
            process = scenario.start()
            scenario.wait(lambda s: s["records"] > 100, "a first record", approve=False)
            for broker in ("target", "source"):
                scenario.broker("cut", broker)
                time.sleep(0.5)
                scenario.broker("delay", broker, ms=80)
                time.sleep(1)
                scenario.broker("heal", broker)
                scenario.broker("blackhole", broker, direction="down", on=True)
                time.sleep(1)
                scenario.broker("heal", broker)
                for direction in ("up", "down"):
                    scenario.broker("breakframe", broker, direction=direction, after_bytes=100)
                    time.sleep(0.5)
                scenario.broker("heal", broker)
                scenario.broker("pause", broker)
                time.sleep(1)
                scenario.broker("cont", broker)
            scenario.wait(lambda s: s["state"] == "soaking", "the switch", 240)
            scenario.broker("cut", "target")
            scenario.broker("cut", "source")
            time.sleep(1)
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(answer.returncode, 0, answer.stderr + scenario.tail())
            process.wait(30)
            time.sleep(1)
            scenario.assert_nothing_wrong()

    def test_brokers_restarted_while_mirroring_change_nothing(self) -> None:
        with Scenario(records=3000) as scenario:
            if scenario.kind == "user":
                self.skipTest("brokers of the user's own are not restarted")
            scenario.write_plan(lambda text: text.replace("rate: 50MiB/s", SLOW))
            process = scenario.start()
            scenario.wait(lambda s: s["records"] > 100, "a first record", approve=False)
            # The target's end is hard: what it acknowledged last may be lost, and is copied again. Its
            # topics are older than that.
            time.sleep(2)
            scenario.broker("kill", "target")
            scenario.broker("start", "target")
            time.sleep(2)
            # The source's is clean: its clients count on what it acknowledged.
            scenario.broker("stop", "source")
            scenario.broker("start", "source")
            scenario.wait(lambda s: s["state"] == "soaking", "the switch", 300)
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(answer.returncode, 0, answer.stderr + scenario.tail())
            process.wait(30)
            time.sleep(1)
            scenario.assert_nothing_wrong()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
