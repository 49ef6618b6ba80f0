"""Others write to the source after the switch: people, or the plan, decide, and the way back is exact."""

from __future__ import annotations

import json
import signal
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from scenario import SANDBOX, Scenario

sys.path.insert(0, str(SANDBOX))

from orders import administrator


class StrayTests(unittest.TestCase):
    def name(self, scenario: Scenario, topic: str) -> str:
        return f"{scenario.prefix}.{topic}" if scenario.prefix else topic

    def write(self, bootstrap: str, topic: str, partition: int, value: bytes) -> int:
        producer = KafkaProducer(bootstrap_servers=bootstrap)
        offset = producer.send(topic, value, partition=partition).get(30).offset
        producer.close()
        return int(offset)

    def tail(self, bootstrap: str, topic: str, partition: int, start: int) -> list[bytes]:
        reader = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        place = TopicPartition(topic, partition)
        reader.assign([place])
        end = reader.end_offsets([place])[place]
        reader.seek(place, start)
        found: list[bytes] = []
        while start + len(found) < end:
            found += [record.value for record in reader.poll(timeout_ms=500).get(place, [])]
        reader.close()
        return found

    def archive(self, scenario: Scenario, bootstrap: str, topic: str, partition: int) -> int:
        """The commit of the group that has no clients."""
        admin = administrator(bootstrap)
        group = self.name(scenario, "archive")
        found = admin.list_group_offsets([group])[group][TopicPartition(topic, partition)]
        admin.close()
        return int(found.offset)

    def card(self, scenario: Scenario, group: str) -> dict:
        groups = (scenario.stage().get("forecast") or {}).get("groups", [])
        return next((g for g in groups if g["group"] == self.name(scenario, group)), {})

    def test_strays_that_are_left_are_read_by_groups_that_go_back_and_by_nobody_twice(self) -> None:
        with Scenario(records=600) as scenario:
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            ledger, trimmed = (self.name(scenario, f"orders.{t}") for t in ("ledger", "trimmed"))
            # One partition stands still; on the other the reverse mirror has something to carry.
            still = self.write(scenario.source, trimmed, 0, b"stray")
            busy = self.write(scenario.source, ledger, 1, b"stray")
            born = self.write(scenario.target, ledger, 1, b"born there")
            scenario.wait(lambda s: s["faults"] and len(s["strays"]) == 2, "both strays")
            for refused in (("finalize",), ("rollback", "--yes")):
                answer = scenario.ferry(*refused)
                self.assertEqual(answer.returncode, 1, answer.stdout)
            listed = scenario.ferry("strays").stdout
            self.assertIn(f"1 record to {trimmed}:0 on the source, from offset {still} on", listed)
            self.assertEqual(scenario.ferry("strays", "--leave").returncode, 2, "a reason is needed")
            answer = scenario.ferry(
                "strays", "--leave", "--reason", "old job", "--partition", f"{trimmed}:1"
            )
            self.assertEqual(answer.returncode, 1, "there is none")
            answer = scenario.ferry(
                "strays", "--leave", "--reason", "old job", "--partition", f"{trimmed}:0"
            )
            self.assertEqual(answer.returncode, 0, answer.stderr)
            scenario.wait(lambda s: len(s["strays"]) == 1, "the decision")
            # The other one is decided while no engine runs.
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(30), 130)
            listed = json.loads(scenario.ferry("strays", "--json").stdout)
            self.assertEqual([each["from"] for each in listed["open"]], [busy])
            self.assertEqual(len(listed["decided"]), 1)
            answer = scenario.ferry("strays", "--leave", "--reason", "the same job")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            process = scenario.start()
            scenario.wait(
                lambda s: s["state"] == "soaking" and not s["faults"] and not s["strays"]
                and self.card(scenario, "archive"), "a mirror that goes on",
            )  # fmt: skip
            self.assertEqual(self.tail(scenario.source, ledger, 1, busy), [b"stray", b"born there"])
            # It stands before both strays, so it will skip none.
            card = self.card(scenario, "archive")
            self.assertEqual((card["reRead"], card["skipped"]), (0, 0))
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(answer.returncode, 0, answer.stderr + scenario.tail())
            self.assertEqual(process.wait(30), 4)
            self.assertEqual(self.archive(scenario, scenario.source, ledger, 1), busy)
            self.assertEqual(self.tail(scenario.target, ledger, 1, born), [b"born there"])
            self.assertEqual(scenario.ferry("validate").returncode, 0)
            self.assertIn("left on the source by", scenario.ferry("report").stdout)
            # What lies behind carried records stays; what lies at the end goes along the next time.
            scenario.start("--again")
            scenario.wait(lambda s: s["attempt"] == 2 and s["state"] == "soaking", "the second switch")
            self.assertEqual(self.tail(scenario.target, ledger, 1, born), [b"born there"])
            self.assertEqual(self.tail(scenario.target, trimmed, 0, 0)[-1], b"stray")
            self.assertEqual(scenario.ferry("finalize").returncode, 0, scenario.tail())

    def test_a_group_that_has_passed_a_stray_skips_it_and_the_card_says_so(self) -> None:
        with Scenario(records=600) as scenario:
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            topic = self.name(scenario, "orders.payments")
            offset = self.write(scenario.source, topic, 1, b'{"seq": -1}')
            # Live producers and groups go on behind it.
            scenario.wait(lambda s: s["faults"] and s["strays"], "the stray")
            answer = scenario.ferry("strays", "--leave", "--reason", "a test")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            scenario.wait(
                lambda s: not s["faults"] and self.card(scenario, "billing").get("skipped") == 1,
                "the card",
            )
            self.assertEqual(self.card(scenario, "billing")["reRead"], 0)
            self.assertIn("billing re-reads 0, skips 1", scenario.ferry("status").stdout)
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(answer.returncode, 0, answer.stderr + scenario.tail())
            self.assertEqual(process.wait(30), 4)
            time.sleep(1)
            verdict = scenario.judge()
            self.assertEqual(verdict["lost"], 0, verdict["words"][-3000:])
            read = [
                json.loads(line)
                for line in (scenario.clients_directory / f"{self.name(scenario, 'billing')}.consumed.jsonl")
                .read_text().splitlines()
            ]  # fmt: skip
            places = [(r["cluster"], r["topic"], r["partition"], r["offset"]) for r in read]
            self.assertEqual(len(places), len(set(places)), "nothing is read twice")
            self.assertNotIn((scenario.source, topic, 1, offset), places)

    def test_the_plan_can_send_a_stage_back_because_of_strays(self) -> None:
        with Scenario(records=600) as scenario:
            scenario.write_plan(lambda text: text.replace("soak: 5s", "soak: 5s\n    strays: rollback"))
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            ledger = self.name(scenario, "orders.ledger")
            offset = self.write(scenario.source, ledger, 1, b"stray")
            stage = scenario.wait(lambda s: s.get("countdown"), "the countdown")
            self.assertIn(f"{ledger}:1 on the source", stage["countdown"]["reason"])
            self.assertEqual(process.wait(90), 4, scenario.tail())
            self.assertIn("a rollback trigger of the plan fired: somebody else wrote", scenario.tail())
            self.assertEqual(self.archive(scenario, scenario.source, ledger, 1), offset)
            self.assertIn("left on the source by the plan", scenario.ferry("report").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
