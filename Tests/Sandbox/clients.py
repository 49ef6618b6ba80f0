"""Live clients, each a thread that obeys its control file and confirms in its state file."""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata
from orders import (
    login,
    manifest_of,
    order_record,
    partition_key,
    producer,
    read_json,
    read_lines,
    split_key,
    write_atomically,
)

TICK_SECONDS = 0.02
COMMIT_SECONDS = 0.2
JOIN_SECONDS = 0.5
JOIN_ATTEMPTS = 20
"""How long and how often a consumer polls to join its group, before a new one is made."""

END_SECONDS = 5
"""How long a client that is told to end tries to do so cleanly."""


class ClientFailed(Exception):
    """A client cannot go on; its state file says why."""


class Client(threading.Thread):
    """Obeys its control file until told to end."""

    def __init__(self, name: str, directory: Path, control: Path | None = None) -> None:
        super().__init__(name=name)
        self.directory = directory
        self.control = control or directory / f"{name}.control.json"
        self.revision = 0
        self.running = False
        self.bootstrap = ""
        self.ending = threading.Event()

    # What a role has to say

    def begin(self) -> None:
        """Connects to `bootstrap`; returns once it really works."""

    def step(self) -> None:
        """Works for about a tick."""

    def finish(self) -> None:
        """Stops cleanly; returns once nothing is under way any more."""

    def abandon(self) -> None:
        """Lets go of what is left after a failure."""

    # Life

    def run(self) -> None:
        while not self.ending.is_set():
            try:
                self.obey()
                if self.running:
                    self.step()
                else:
                    time.sleep(TICK_SECONDS)
            except ClientFailed as failure:
                self.running = False
                self.abandon()
                self.report(str(failure))
        if self.running:
            try:
                self.finish()
            except ClientFailed as failure:
                self.report(str(failure))

    def obey(self) -> None:
        """Does what a new revision of the control file says, then confirms it."""
        control = read_json(self.control)
        if control is None or control["revision"] == self.revision:
            return
        self.revision = control["revision"]
        moved = control["bootstrap"] != self.bootstrap
        if self.running and (moved or not control["run"]):
            self.finish()
            self.running = False
        self.bootstrap = control["bootstrap"]
        if control["run"] and not self.running:
            self.begin()
            self.running = True
        self.report(None)

    def report(self, error: str | None) -> None:
        state = {
            "revision": self.revision,
            "running": self.running,
            "bootstrap": self.bootstrap,
            "error": error,
        }
        write_atomically(self.directory / f"{self.name}.state.json", state)

    def superseded(self) -> bool:
        """Whether the control file has changed since it was last obeyed."""
        control = read_json(self.control)
        return control is not None and control["revision"] != self.revision

    def until_done(
        self,
        what: str,
        attempt: Callable[[], bool],
        seconds: float = 60,
        unless_superseded: bool = False,
    ) -> None:
        """Repeats an attempt through outages; gives up with an error after a while."""
        started = time.monotonic()
        last: Exception | None = None
        while time.monotonic() < started + (END_SECONDS if self.ending.is_set() else seconds):
            if unless_superseded and self.superseded():
                raise ClientFailed(f"was told otherwise before it could {what}")
            try:
                if attempt():
                    return
            except (NoOffsetForPartitionError, OffsetOutOfRangeError):
                raise
            except KafkaError as error:
                last = error
                time.sleep(0.2)
        raise ClientFailed(f"could not {what} on {self.bootstrap} within {seconds:.0f} s: {last!r}")


class Log:
    """An append-only log of one line of JSON an entry."""

    def __init__(self, path: Path) -> None:
        self.file = open(path, "a", encoding="utf-8", buffering=1)
        self.lock = threading.Lock()

    def append(self, entries: list[dict[str, Any]]) -> None:
        with self.lock:
            self.file.write("".join(json.dumps(entry) + "\n" for entry in entries))


@dataclass
class Progress:
    """Where the producer is in one partition."""

    next_seq: int
    acknowledged_seq: int
    last_offset: dict[str, int] = field(default_factory=dict)
    """By cluster: the offset of the last acknowledged record."""


class OrderProducer(Client):
    """Writes to all partitions of the live topics in turn, at a constant rate."""

    def __init__(
        self, name: str, directory: Path, rate: float = 300, control: Path | None = None
    ) -> None:
        super().__init__(name, directory, control)
        self.rate = rate
        path = directory / f"{name}.produced.jsonl"
        history = manifest_of(directory)["history"]
        self.progress = {key: Progress(seq, seq - 1) for key, seq in history.items()}
        for entry in read_lines(path):
            self.advance(entry)
        for each in self.progress.values():
            each.next_seq = each.acknowledged_seq + 1
        self.log = Log(path)
        self.turn = itertools.cycle(self.turns())
        self.producer: KafkaProducer | None = None
        self.outstanding = 0
        self.failure: BaseException | None = None
        self.lock = threading.Lock()
        self.due = 0.0

    def turns(self) -> list[str]:
        """The order in which partitions are served: events get twice what payments get."""
        keys = sorted(self.progress)
        return keys + [key for key in keys if ".events:" in key]

    def advance(self, entry: dict[str, Any]) -> None:
        progress = self.progress[partition_key(entry["topic"], entry["partition"])]
        progress.acknowledged_seq = max(progress.acknowledged_seq, entry["seq"])
        progress.last_offset[entry["cluster"]] = entry["offset"]

    def begin(self) -> None:
        self.failure = None
        self.outstanding = 0

        def connect() -> bool:
            self.producer = producer(self.bootstrap)
            return True

        self.until_done("connect the producer", connect, unless_superseded=True)
        self.due = time.monotonic()

    def step(self) -> None:
        if self.failure is not None:
            self.recover()
        now = time.monotonic()
        self.due = max(self.due, now - 0.5)  # after a pause the rate is kept, not made up for
        while self.due <= now and self.failure is None:
            self.send(next(self.turn))
            self.due += 1 / self.rate
        time.sleep(TICK_SECONDS)

    def send(self, key: str) -> None:
        partition, progress = split_key(key), self.progress[key]
        seq = progress.next_seq
        draft = order_record(partition.topic, seq)
        assert self.producer is not None
        try:
            future = self.producer.send(
                partition.topic,
                key=draft.key,
                value=draft.value,
                headers=draft.headers,
                partition=partition.partition,
                timestamp_ms=time.time_ns() // 1_000_000,
            )
        except KafkaError as error:  # not accepted: the same number is sent again
            self.failure = error
            return
        progress.next_seq += 1
        with self.lock:
            self.outstanding += 1
        future.add_callback(self.acknowledged, seq)
        future.add_errback(self.refused)

    def acknowledged(self, seq: int, record: Any) -> None:
        self.record(record.topic, record.partition, record.offset, seq)
        with self.lock:
            self.outstanding -= 1

    def record(self, topic: str, partition: int, offset: int, seq: int) -> None:
        entry = {
            "t": time.time(),
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "seq": seq,
            "cluster": self.bootstrap,
        }
        self.log.append([entry])
        self.advance(entry)

    def refused(self, error: BaseException) -> None:
        with self.lock:
            self.outstanding -= 1
            self.failure = error

    def finish(self) -> None:
        """Waits until every record is acknowledged, however long the cluster takes."""
        if self.failure is not None:
            self.recover()

        def flushed() -> bool:
            assert self.producer is not None
            self.producer.flush(timeout=END_SECONDS)
            if self.failure is not None:
                self.recover()
            return self.outstanding == 0

        self.until_done("flush the producer", flushed, seconds=600)
        self.abandon()

    def abandon(self) -> None:
        if self.producer is not None:
            self.producer.close(timeout=1)
            self.producer = None

    def recover(self) -> None:
        """After a failed send: looks in the log which records arrived, and goes on after these."""
        self.abandon()

        def looked() -> bool:
            for key, progress in self.progress.items():
                if progress.next_seq > progress.acknowledged_seq + 1:
                    self.adopt_tail(split_key(key), progress)
                progress.next_seq = progress.acknowledged_seq + 1
            return True

        self.until_done("find the producer's last records", looked, seconds=600)
        self.begin()

    def adopt_tail(self, partition: TopicPartition, progress: Progress) -> None:
        """Counts records as acknowledged that are in the log though their reply was lost."""
        reader = KafkaConsumer(bootstrap_servers=self.bootstrap.split(","), **login())
        try:
            reader.assign([partition])
            end = still_end(reader, partition)
            start = progress.last_offset.get(self.bootstrap, -1) + 1
            reader.seek(partition, min(start, end))
            while reader.position(partition) < end:
                for record in reader.poll(timeout_ms=500).get(partition, []):
                    seq = json.loads(record.value)["seq"]
                    if seq == progress.acknowledged_seq + 1:
                        self.record(record.topic, record.partition, record.offset, seq)
        finally:
            reader.close()


def still_end(reader: KafkaConsumer, partition: TopicPartition) -> int:
    """The partition's end offset, once it has stood still for a moment."""
    end, since = -1, time.monotonic()
    while True:
        now_end = reader.end_offsets([partition])[partition]
        if now_end != end:
            end, since = now_end, time.monotonic()
        elif time.monotonic() - since > 0.5:
            return end
        time.sleep(0.1)


class OrderConsumer(Client, ConsumerRebalanceListener):
    """Processes its topics' records by writing them down; commits what it has processed."""

    def __init__(
        self,
        name: str,
        directory: Path,
        topics: list[str],
        rate: float | None = None,
        control: Path | None = None,
    ) -> None:
        super().__init__(name, directory, control)
        self.topics = topics
        self.rate = rate
        self.log = Log(directory / f"{name}.consumed.jsonl")
        self.consumer: KafkaConsumer | None = None
        self.processed: dict[TopicPartition, int] = {}
        """Positions of this run on this cluster: all that a rebalance may fall back to."""
        self.committed: dict[TopicPartition, int] = {}
        self.next_commit = 0.0
        self.warned: type[KafkaError] | None = None

    def begin(self) -> None:
        self.processed, self.committed = {}, {}

        def joined() -> bool:
            if self.consumer is None:
                self.consumer = self.connect()
            for _ in range(JOIN_ATTEMPTS):
                self.poll(JOIN_SECONDS)
                if self.consumer.assignment():
                    return True
                if self.superseded():
                    break
            self.abandon()  # kafka-python can wait for ever here; a new client joins
            return False

        try:
            self.until_done("join the group", joined, unless_superseded=True)
        except (NoOffsetForPartitionError, OffsetOutOfRangeError) as error:
            raise self.no_position(error) from error

    def connect(self) -> KafkaConsumer:
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap.split(","),
            group_id=self.name,
            client_id=self.name,
            auto_offset_reset="none",
            enable_auto_commit=False,
            max_poll_records=500 if self.rate is None else 20,
            session_timeout_ms=10_000,
            request_timeout_ms=15_000,
            fetch_max_wait_ms=100,
            **login(),
        )
        consumer.subscribe(self.topics, listener=self)
        return consumer

    def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        assert self.consumer is not None
        for partition in assigned:
            if partition in self.processed:
                self.consumer.seek(partition, self.processed[partition])

    def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        pass

    def step(self) -> None:
        try:
            self.poll()
            if time.monotonic() >= self.next_commit:
                self.commit()
        except (NoOffsetForPartitionError, OffsetOutOfRangeError) as error:
            raise self.no_position(error) from error
        except KafkaError as error:
            self.warn(error)
            time.sleep(0.1)

    def warn(self, error: KafkaError) -> None:
        """Logs an outage once, not each time it is met again."""
        if type(error) is not self.warned:
            logging.warning("%s: %r; goes on trying", self.name, error)
        self.warned = type(error)

    def no_position(self, error: KafkaError) -> ClientFailed:
        return ClientFailed(
            f"group {self.name} has no usable committed offset on {self.bootstrap}: {error}"
        )

    def poll(self, seconds: float = TICK_SECONDS) -> None:
        """Fetches what there is and processes it."""
        assert self.consumer is not None
        wait = int(seconds * 1000)
        for partition, records in self.consumer.poll(timeout_ms=wait).items():
            self.process(partition, records)

    def process(self, partition: TopicPartition, records: list[Any]) -> None:
        now = time.time()
        self.log.append(
            [
                {
                    "t": now,
                    "topic": record.topic,
                    "partition": record.partition,
                    "offset": record.offset,
                    "seq": json.loads(record.value)["seq"],
                    "cluster": self.bootstrap,
                }
                for record in records
            ]
        )
        self.processed[partition] = records[-1].offset + 1
        if self.rate is not None:
            time.sleep(len(records) / self.rate)

    def commit(self) -> None:
        assert self.consumer is not None
        self.next_commit = time.monotonic() + COMMIT_SECONDS
        if self.processed != self.committed:
            positions = dict(self.processed)
            self.consumer.commit(
                {tp: OffsetAndMetadata(offset, "", -1) for tp, offset in positions.items()},
                timeout_ms=END_SECONDS * 1000,
            )
            self.committed = positions

    def finish(self) -> None:
        """Commits everything processed, then leaves the group."""

        def committed() -> bool:
            try:
                self.commit()
            except KafkaError:
                self.poll(JOIN_SECONDS)  # rejoins where the group was rebalanced meanwhile
                raise
            return True

        self.until_done("commit", committed, seconds=600)
        self.abandon()

    def abandon(self) -> None:
        if self.consumer is not None:
            self.consumer.close(autocommit=False, timeout_ms=2_000)
            self.consumer = None
