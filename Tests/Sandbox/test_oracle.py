#!/usr/bin/env python3
"""The oracle notices what it is there for: on real brokers, with good and bad copies made by hand.

Run with the sandbox's Python: `.venv-sandbox/bin/python Tests/Sandbox/test_oracle.py`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import tempfile
import threading
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import orders
from history import History
from kafka import KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.structs import OffsetAndMetadata
from oracle import ClusterReader, Judge, Logs, Record, Verdict, difference, without_superseded
from sandbox import Sandbox

Copies = dict[TopicPartition, list[Record]]
"""What a hand-made mirror writes to the target, by partition."""


class RunningSandbox:
    """Noida brokers on an event loop of their own, for tests that block."""

    def __init__(self, names: list[str], directory: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.sandbox = Sandbox(names, directory, "noida")
        self.wait(self.sandbox.start())

    def wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def bootstrap(self, name: str) -> str:
        return self.sandbox.brokers[name].describe()["bootstrap"]

    def close(self) -> None:
        self.wait(self.sandbox.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


class DifferenceTests(unittest.TestCase):
    """The arithmetic alone."""

    def counts(self, expected: str, actual: str) -> tuple[int, int, int]:
        found = difference(expected, actual)
        return len(found.lost), len(found.extra), len(found.reordered)

    def test_equal(self) -> None:
        self.assertEqual(self.counts("abcabc", "abcabc"), (0, 0, 0))
        self.assertEqual(self.counts("", ""), (0, 0, 0))

    def test_lost_extra_and_moved(self) -> None:
        self.assertEqual(self.counts("abcd", "abd"), (1, 0, 0))
        self.assertEqual(self.counts("abcd", "abccd"), (0, 1, 0))
        self.assertEqual(self.counts("abcd", "acbd"), (0, 0, 1))
        self.assertEqual(self.counts("abcdef", "fabcde"), (0, 0, 1))
        self.assertEqual(self.counts("abcd", "dabxc"), (0, 1, 1))

    def test_compaction_is_no_loss_but_a_lost_latest_value_is(self) -> None:
        a1, b1, a2 = (
            Record(offset, offset, 0, key, b"x", ())
            for offset, key in enumerate((b"a", b"b", b"a"))
        )
        self.assertEqual(without_superseded([a1, b1, a2], [b1, a2]), ([b1, a2], [b1, a2]))
        self.assertEqual(without_superseded([a1, b1, a2], [a1, b1])[0], [a1, b1, a2])


class OracleTests(unittest.TestCase):
    """A migration made by hand, once right and then wrong in one way each."""

    sandbox: RunningSandbox

    @classmethod
    def setUpClass(cls) -> None:
        cls.temporary = tempfile.TemporaryDirectory(prefix="ferry-oracle-")
        cls.directory = Path(cls.temporary.name)
        cls.sandbox = RunningSandbox(["source", "target"], cls.directory / "brokers")
        cls.source = cls.sandbox.bootstrap("source")
        cls.target = cls.sandbox.bootstrap("target")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.sandbox.close()
        cls.temporary.cleanup()

    def setUp(self) -> None:
        """Prepares a workload of its own: history, a few live records, a switch."""
        self.prefix = self._testMethodName.replace("_", "-")
        self.work = self.directory / self.prefix
        self.work.mkdir()
        history = History(self.source, self.prefix, records=600)
        self.manifest = history.write()
        orders.write_atomically(self.work / "workload.json", self.manifest)
        self.events = TopicPartition(f"{self.prefix}.orders.events", 2)
        self.billing = f"{self.prefix}.billing"
        self.archive = f"{self.prefix}.archive"

    # A migration by hand

    def migrate(
        self,
        spoil: Callable[[Copies], None] = lambda copies: None,
        shift: dict[TopicPartition, int] | None = None,
    ) -> None:
        """Copies all committed records, translates the stopped group, writes on the target."""
        logs = self.read(self.source)
        copies = {partition: list(log.records) for partition, log in logs.items()}
        self.create_topics()
        spoil(copies)
        self.write(copies)
        self.translate(logs, shift or {})
        self.produce(self.source_next(), cluster=self.target)

    def read(self, bootstrap: str) -> Logs:
        topics = {name: facts["partitions"] for name, facts in self.manifest["topics"].items()}
        return ClusterReader("source", bootstrap).read(topics)

    def create_topics(self) -> None:
        admin = orders.administrator(self.target)
        admin.create_topics(
            [
                NewTopic(name, facts["partitions"], 1, topic_configs={"retention.ms": "-1"})
                for name, facts in self.manifest["topics"].items()
            ]
        )
        admin.close()

    def write(self, copies: Copies) -> None:
        copier = orders.producer(self.target)
        for partition, records in copies.items():
            for record in records:
                self.send(copier, partition, record)
        copier.close()

    def send(self, copier: KafkaProducer, partition: TopicPartition, record: Record) -> Any:
        headers = [(n, orders.NULL if v is None else v) for n, v in record.headers]
        return copier.send(
            partition.topic,
            key=record.key,
            value=record.value,
            headers=headers,
            partition=partition.partition,
            timestamp_ms=record.timestamp,
        )

    def translate(self, logs: Logs, shift: dict[TopicPartition, int]) -> None:
        offsets = {}
        for key, committed in self.manifest["groups"][self.archive]["commits"].items():
            partition = orders.split_key(key)
            index = logs[partition].next_at(committed) + shift.get(partition, 0)
            offsets[partition] = OffsetAndMetadata(index, "", -1)
        admin = orders.administrator(self.target)
        admin.alter_group_offsets(self.archive, offsets)
        admin.close()

    def source_next(self) -> int:
        return self.manifest["history"][orders.partition_key(*self.events)]

    def produce(self, seq: int, cluster: str) -> None:
        """One live record, with its line in the producer's log."""
        draft = orders.order_record(self.events.topic, seq)
        live = orders.producer(cluster)
        record = Record(0, 1_750_000_000_000, 0, draft.key, draft.value, tuple(draft.headers))
        sent = self.send(live, self.events, record).get(10)
        live.close()
        self.log("orders.produced", seq, sent.offset, cluster, self.events)

    def log(
        self, name: str, seq: int, offset: int, cluster: str, partition: TopicPartition
    ) -> None:
        entry = {"t": 1.0 + seq, "topic": partition.topic, "partition": partition.partition}
        entry |= {"offset": offset, "seq": seq, "cluster": cluster}
        with open(self.work / f"{name}.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def consume(self, *seqs: int, cluster: str) -> None:
        for seq in seqs:
            self.log(f"{self.billing}.consumed", seq, seq, cluster, self.events)

    def commit(self, offset: int) -> None:
        admin = orders.administrator(self.target)
        admin.alter_group_offsets(self.billing, {self.events: OffsetAndMetadata(offset, "", -1)})
        admin.close()

    # What the oracle says

    def judge(self) -> Verdict:
        return Judge(self.source, self.target, self.work, self.prefix, None).judge()

    def assert_found(self, **expected: int) -> Verdict:
        verdict = self.judge()
        wanted = {"lost": 0, "duplicated": 0, "reordered": 0, "re-read": 0}
        wanted |= {kind.replace("_", "-"): count for kind, count in expected.items()}
        found = {kind: verdict.counts[kind] for kind in wanted}
        self.assertEqual(found, wanted, "\n".join(verdict.problems + verdict.notes))
        self.assertEqual(verdict.clean, not expected)
        return verdict

    def test_right_copy(self) -> None:
        self.migrate()
        self.consume(0, 1, 2, cluster=self.source)
        self.consume(3, 4, cluster=self.target)
        self.commit(5)
        verdict = self.assert_found()
        self.assertEqual(verdict.notes, [])
        self.assertRegex(
            verdict.line(),
            r"^\d+ records, lost 0, duplicated 0, reordered 0, re-read 0;"
            r" not switched, not rolled back$",
        )

    def test_nothing_mirrored_yet(self) -> None:
        self.produce(self.source_next(), cluster=self.source)
        self.assert_found()

    def test_handover_times(self) -> None:
        first = self.source_next()
        self.produce(first, cluster=self.source)
        self.manifest["history"][orders.partition_key(*self.events)] += 1
        self.migrate()
        verdict = self.assert_found()
        self.assertIn("switched in 1.0 s, not rolled back", verdict.line())

    def test_lost_record(self) -> None:
        self.migrate(lambda copies: copies[self.events].pop(7))
        self.assert_found(lost=1)

    def test_lost_first_and_last_record(self) -> None:
        def spoil(copies: Copies) -> None:
            copies[self.events].pop(0)
            copies[self.events].pop()

        self.migrate(spoil)
        self.assert_found(lost=2)

    def test_duplicated_record(self) -> None:
        self.migrate(lambda copies: copies[self.events].insert(9, copies[self.events][7]))
        self.assert_found(duplicated=1)

    def test_reordered_records(self) -> None:
        def spoil(copies: Copies) -> None:
            records = copies[self.events]
            records[3], records[4] = records[4], records[3]

        self.migrate(spoil)
        self.assert_found(reordered=1)

    def spoil_field(self, **change: Any) -> None:
        def spoil(copies: Copies) -> None:
            record = copies[self.events][15]
            copies[self.events][15] = dataclasses.replace(record, **change)

        self.migrate(spoil)
        verdict = self.assert_found(lost=1)
        self.assertIn(f"altered {', '.join(change)} of record number 15", verdict.problems[0])

    def test_altered_timestamp(self) -> None:
        self.spoil_field(timestamp=1_700_000_000_001)

    def test_altered_key(self) -> None:
        self.spoil_field(key=b"")

    def test_null_header_became_empty(self) -> None:
        record = self.read(self.source)[self.events].records[15]
        self.assertIn(("absent", None), record.headers)
        headers = tuple((name, value or b"") for name, value in record.headers)
        self.spoil_field(headers=headers)

    def test_reordered_headers(self) -> None:
        record = self.read(self.source)[self.events].records[15]
        self.spoil_field(headers=tuple(reversed(record.headers)))

    def test_lost_tombstone(self) -> None:
        state = TopicPartition(f"{self.prefix}.orders.state", 0)

        def spoil(copies: Copies) -> None:
            latest = {record.key: record for record in copies[state]}
            tombstone = next(each for each in latest.values() if each.value is None)
            copies[state].remove(tombstone)

        self.migrate(spoil)
        # Lost in the log, and lost for the stopped group, which stood before it.
        self.assert_found(lost=2)

    def test_record_of_an_aborted_transaction(self) -> None:
        ledger = TopicPartition(f"{self.prefix}.orders.ledger", 1)

        def spoil(copies: Copies) -> None:
            aborted = dataclasses.replace(copies[ledger][0], headers=(("seq", b"900000"),))
            copies[ledger].append(aborted)

        self.migrate(spoil)
        # The stopped group stood at the end of this log: it would read the stray record.
        self.assert_found(duplicated=1, re_read=1)

    def test_re_read_record(self) -> None:
        self.migrate()
        self.consume(0, 1, 2, cluster=self.source)
        self.consume(2, 3, cluster=self.target)
        self.commit(4)
        self.assert_found(re_read=1)

    def test_skipped_record(self) -> None:
        self.migrate()
        self.consume(0, 1, 2, cluster=self.source)
        self.consume(4, 5, cluster=self.target)
        self.commit(6)
        self.assert_found(lost=1)

    def test_processed_late(self) -> None:
        self.migrate()
        self.consume(0, 2, 1, cluster=self.source)
        self.commit(3)
        self.assert_found(reordered=1)

    def test_commit_too_far(self) -> None:
        self.migrate()
        self.consume(0, 1, 2, cluster=self.source)
        self.commit(5)
        self.assert_found(lost=2)

    def test_commit_past_the_end(self) -> None:
        self.migrate()
        self.consume(0, 1, 2, cluster=self.source)
        self.commit(self.source_next() + 4)
        self.assert_found(lost=3)

    def test_stopped_group_too_far_and_too_early(self) -> None:
        ledger, trimmed = (
            TopicPartition(f"{self.prefix}.orders.{name}", 0) for name in ("ledger", "trimmed")
        )
        self.migrate(shift={ledger: 2, trimmed: -1})
        self.assert_found(lost=2, re_read=1)


if __name__ == "__main__":
    unittest.main()
