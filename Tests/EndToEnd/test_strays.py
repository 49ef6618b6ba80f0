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
from kafka.admin import ConfigResource, ConfigResourceType
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
        reader.seek(place, max(start, reader.beginning_offsets([place])[place]))
        found: list[bytes] = []
        while reader.position(place) < end:
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

    def forwarding(self, scenario: Scenario) -> None:
        scenario.write_plan(lambda text: text.replace("soak: 5s", "soak: 5s\n    strays: forward"))

    def stray(self, scenario: Scenario, topic: str, partition: int) -> bytes:
        """Writes a stray that clients can read: its number is no order's."""
        self.strays = getattr(self, "strays", 0) - 1
        value = json.dumps({"seq": self.strays}).encode()
        self.write(scenario.source, topic, partition, value)
        return value

    def forwarded(self, stage: dict) -> dict[str, int]:
        found: dict[str, int] = {}
        for decision in stage["strayDecisions"]:
            for each in decision.get("forwarded") or []:
                place = f"{each['partition']['topic']}:{each['partition']['partition']}"
                found[place] = found.get(place, 0) + each["records"]
        return found

    def is_at_rest(self, stage: dict, forwarded: int) -> bool:
        return (
            stage["state"] == "soaking" and not stage["faults"] and not stage["strays"]
            and sum(self.forwarded(stage).values()) == forwarded
        )  # fmt: skip

    def consumed(self, scenario: Scenario, group: str) -> list[dict]:
        path = scenario.clients_directory / f"{self.name(scenario, group)}.consumed.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def assert_read_once(self, scenario: Scenario, values: list[bytes], cluster: str) -> None:
        """`billing` has read each of them, and nothing else, once; those on that cluster."""
        wanted = [json.loads(value)["seq"] for value in values]
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            read = self.consumed(scenario, "billing")
            if set(wanted) <= {record["seq"] for record in read}:
                break
            time.sleep(0.2)
        for seq in wanted:
            self.assertEqual([r["cluster"] for r in read if r["seq"] == seq], [cluster], seq)
        places = [(r["topic"], r["partition"], r["seq"]) for r in read]
        self.assertEqual(len(places), len(set(places)), "nothing is read twice")

    def go_back(self, scenario: Scenario, process, re_read: int) -> None:  # type: ignore[no-untyped-def]
        """Rolls back, and holds the card against what came of it."""
        scenario.wait(
            lambda s: self.card(scenario, "archive").get("reRead") == re_read, "the card", 30
        )
        for group, count in (("archive", re_read), ("billing", 0)):
            card = self.card(scenario, group)
            self.assertEqual((card["reRead"], card["skipped"]), (count, 0), group)
        answer = scenario.ferry("rollback", "--yes")
        self.assertEqual(answer.returncode, 0, answer.stderr + scenario.tail())
        self.assertEqual(process.wait(30), 4)
        outcome = scenario.stage()["rolledBack"]
        self.assertEqual(outcome["groups"], outcome["predictedGroups"])
        self.assertEqual(scenario.ferry("validate").returncode, 0)

    def test_the_plan_forwards_strays_to_groups_on_the_target_as_long_as_they_come(self) -> None:
        with Scenario(records=600) as scenario:
            self.forwarding(scenario)
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            payments, ledger = (self.name(scenario, f"orders.{t}") for t in ("payments", "ledger"))
            # Nobody else writes here: the mirror does not meet it by itself. What is its own copy's twin needs no
            # second copy on the source, and costs nothing.
            quiet = self.stray(scenario, ledger, 0)
            # Between this one and its copy something is born, and one group stands before what was born earlier: it
            # reads both.
            self.write(scenario.target, ledger, 1, b"born first")
            scenario.wait(
                lambda _: self.tail(scenario.source, ledger, 1, 0)[-1] == b"born first", "the mirror"
            )
            crossed = self.stray(scenario, ledger, 1)
            self.write(scenario.target, ledger, 1, b"born there")
            values: list[bytes] = []
            while sum(self.forwarded(stage := scenario.stage()).values()) < 12:
                self.assertLess(len(values), 300, f"{stage}\n{scenario.tail()}")
                values.append(self.stray(scenario, payments, 1))
                time.sleep(0.05)
            self.assertTrue(stage["faults"], "the way back is closed while they come")
            stage = scenario.wait(lambda s: self.is_at_rest(s, len(values) + 2), "the rest")
            self.assertEqual(
                self.forwarded(stage), {f"{payments}:1": len(values), f"{ledger}:0": 1, f"{ledger}:1": 1}
            )
            text = scenario.ferry("status").stdout
            self.assertIn(f"{len(values)} records of {payments}:1 forwarded to the target by the plan", text)
            self.assertEqual(self.tail(scenario.target, ledger, 0, 0).count(quiet), 1)
            self.assertEqual(self.tail(scenario.target, ledger, 1, 0)[-2:], [b"born there", crossed])
            self.assertEqual(self.tail(scenario.source, ledger, 0, 0).count(quiet), 1)
            self.assertEqual(
                self.tail(scenario.source, ledger, 1, 0)[-3:], [crossed, b"born there", crossed]
            )
            on_target = self.tail(scenario.target, payments, 1, 0)
            self.assertEqual([value for value in on_target if value in values], values)
            self.assert_read_once(scenario, values, scenario.target)
            self.go_back(scenario, process, 1)
            # The oracle knows of no strays: it misses, on the target, the one that stands twice on the source.
            lost = [w for w in scenario.judge()["words"].split('"') if w.startswith("lost: ")]
            self.assertEqual([w for w in lost if f"{ledger}/1" not in w], [])
            self.assert_read_once(scenario, values, scenario.target)

    def test_an_engine_that_is_killed_while_it_forwards_does_so_once(self) -> None:
        with Scenario(records=600) as scenario:
            self.forwarding(scenario)
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            payments, ledger = (self.name(scenario, f"orders.{t}") for t in ("payments", "ledger"))
            values: list[bytes] = []
            for count, place in enumerate(("intended", "copied", "noted"), 1):
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(30), 130)
                # Two partitions: the engine that dies behind the first has not come to the second.
                values += [self.stray(scenario, payments, 1) for _ in range(3)]
                still = self.stray(scenario, ledger, 1)
                self.write(scenario.target, ledger, 1, b"born there")
                process = scenario.start(FERRY_FAILPOINT=f"strays:{place}")
                self.assertEqual(process.wait(60), -signal.SIGKILL, scenario.tail())
                process = scenario.start()
                scenario.wait(lambda s: self.is_at_rest(s, 4 * count), f"the outcome after {place}")
                scenario.wait(
                    lambda _: self.tail(scenario.source, ledger, 1, 0)[-2:] == [b"born there", still],
                    "the way back of the copies",
                )
                on_target = self.tail(scenario.target, payments, 1, 0)
                self.assertEqual([value for value in on_target if value in values], values, place)
                self.assertEqual(self.tail(scenario.target, ledger, 1, 0).count(still), 1, place)
            self.assert_read_once(scenario, values, scenario.target)
            # Nothing lies between the group's place and the first.
            self.go_back(scenario, process, 2)
            self.assert_read_once(scenario, values, scenario.target)

    def test_people_forward_strays_with_and_without_an_engine(self) -> None:
        with Scenario(records=600) as scenario:
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            payments, ledger = (self.name(scenario, f"orders.{t}") for t in ("payments", "ledger"))
            values = [self.stray(scenario, payments, 1)]
            left = self.write(scenario.source, ledger, 1, b"stray")
            scenario.wait(lambda s: len(s["strays"]) == 2, "both strays")
            forward = ("strays", "--forward", "--reason", "they matter")
            self.assertEqual(scenario.ferry(*forward, "--leave").returncode, 2)
            self.assertEqual(scenario.ferry("strays", "--forward").returncode, 2, "no reason")
            answer = scenario.ferry(*forward, "--partition", f"{payments}:1")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertIn(f"1 record of {payments}:1 forwarded to the target by", answer.stdout)
            answer = scenario.ferry("strays", "--leave", "--reason", "it does not")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            scenario.wait(lambda s: self.is_at_rest(s, 1), "the first")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(30), 130)
            values.append(self.stray(scenario, payments, 1))
            answer = scenario.ferry(*forward)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertIn(f"1 record of {payments}:1 forwarded to the target by", answer.stdout)
            values.append(self.stray(scenario, payments, 1))
            killed = scenario.ferry(*forward, FERRY_FAILPOINT="strays:copied")
            self.assertEqual(killed.returncode, -signal.SIGKILL)
            process = scenario.start()
            scenario.wait(lambda s: self.is_at_rest(s, 3), "the others")
            on_target = self.tail(scenario.target, payments, 1, 0)
            self.assertEqual([value for value in on_target if value in values], values)
            self.assert_read_once(scenario, values, scenario.target)
            self.assertEqual(self.tail(scenario.source, ledger, 1, left), [b"stray"])
            self.go_back(scenario, process, 0)
            answer = scenario.ferry(*forward)
            self.assertEqual(answer.returncode, 1)
            self.assertIn("`--leave`", answer.stderr)

    def test_strays_that_the_target_does_not_take_wait_for_people_and_nothing_else_does(self) -> None:
        with Scenario(records=600) as scenario:
            self.forwarding(scenario)
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            payments, ledger = (self.name(scenario, f"orders.{t}") for t in ("payments", "ledger"))
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(30), 130)
            # The engine that dies behind the first of two partitions has not come to the second.
            values = [self.stray(scenario, ledger, 1), self.stray(scenario, payments, 1)]
            process = scenario.start(FERRY_FAILPOINT="strays:copied")
            self.assertEqual(process.wait(60), -signal.SIGKILL, scenario.tail())
            found = json.loads(scenario.ferry("doctor", "--json").stdout)["findings"]
            open_ = next(each for each in found if "copy strays to the target" in each["what"])
            self.assertIn(f"{ledger}:1 offset", open_["what"])
            self.assertIn("--leave", open_["mend"])
            answer = scenario.ferry("strays", "--leave", "--reason", "no longer wanted")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertIn(f"1 record of {ledger}:1 forwarded to the target by the plan", answer.stdout)
            self.assertIn(f"{payments}:1 offset", answer.stdout)
            self.assertIn("left on the source by", answer.stdout)
            process = scenario.start()
            scenario.wait(lambda s: self.is_at_rest(s, 1), "the mirror")
            self.assertEqual(self.tail(scenario.target, ledger, 1, 0).count(values[0]), 1)
            self.assertNotIn(values[1], self.tail(scenario.target, payments, 1, 0))
            # A record that the target has no room for: the engine tries again, and people decide.
            self.limit(scenario, ledger, 2000)
            large = json.dumps({"seq": -99, "pad": "x" * 5000}).encode()
            self.write(scenario.source, ledger, 0, large)
            stage = scenario.wait(
                lambda s: "the target to take strays" in (s.get("waitingFor") or ""), "the refusal"
            )
            self.assertIn("too large", stage["waitingFor"].lower())
            self.assertEqual(scenario.ferry("rollback", "--yes").returncode, 1)
            asked = time.monotonic()
            answer = scenario.ferry("strays", "--leave", "--reason", "too large for the target")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertLess(time.monotonic() - asked, 4.5, "it does not wait for the next try")
            scenario.wait(lambda s: self.is_at_rest(s, 1), "the decision")
            self.assertNotIn(large, self.tail(scenario.target, ledger, 0, 0))
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(answer.returncode, 0, answer.stderr + scenario.tail())
            self.assertEqual(process.wait(30), 4)
            self.assertEqual(scenario.ferry("validate").returncode, 0)

    def limit(self, scenario: Scenario, topic: str, size: int) -> None:
        """Has the target refuse larger batches."""
        admin = administrator(scenario.target)
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        resource.configs = {"max.message.bytes": str(size)}
        admin.alter_configs([resource])
        admin.close()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
