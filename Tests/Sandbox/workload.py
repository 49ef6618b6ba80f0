#!/usr/bin/env python3
"""Live clients for the quick start and the tests: a small order system, whatever cluster it is on.

``prepare`` creates topics with history on the source. ``clients`` runs one producer and two consumer
groups, all in one process; ``client`` runs a single one. Each client obeys a control file, as a
deployment obeys its configuration, and confirms in a state file what it has done:

    D/NAME.control.json   {"role": "producer", "run": true, "bootstrap": "...", "revision": 3}
    D/NAME.state.json     {"revision": 3, "running": true, "bootstrap": "...", "error": null}
    D/NAME.produced.jsonl {"t", "topic", "partition", "offset", "seq", "cluster"}  per acknowledgement
    D/NAME.consumed.jsonl the same, per processed record

``control`` rewrites control files and waits for the confirmations: hooks of a plan call it.
``remove`` deletes the topics and groups again, on clusters that outlive the sandbox.

Every record of a partition carries the next sequence number: that is what the oracle counts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import (
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.structs import OffsetAndMetadata

TICK_SECONDS = 0.02
COMMIT_SECONDS = 0.2
END_SECONDS = 5
"""How long a client that is told to end tries to do so cleanly."""

HISTORY_START_MS = 1_700_000_000_000
"""Timestamp of the oldest record: long ago, so that a mirror that stamps anew is noticed."""

DEFAULT_RECORDS = {"quickstart": 20_000, "crash": 6_000, "small": 1_000}

Headers = list[tuple[str, bytes | None]]


class WorkloadError(Exception):
    """Something the user of the workload can act on."""


# What there is


@dataclass(frozen=True)
class TopicShape:
    """A topic of the workload, and its share of the history."""

    name: str
    partitions: int
    share: float
    live: bool = False
    compacted: bool = False

    def configs(self) -> dict[str, str]:
        if not self.compacted:
            return {"retention.ms": "-1"}
        return {
            "retention.ms": "-1",
            "cleanup.policy": "compact",
            "min.cleanable.dirty.ratio": "0.01",
            "segment.ms": "1000",
        }


TOPICS = [
    TopicShape("orders.events", 6, 0.5, live=True),
    TopicShape("orders.payments", 3, 0.2, live=True),
    TopicShape("orders.state", 2, 0.15, compacted=True),
    TopicShape("orders.ledger", 2, 0.1),
    TopicShape("orders.trimmed", 2, 0.05),
]

GROUPS = {"billing": ["orders.events", "orders.payments"], "audit": ["orders.events"]}
"""The groups with running clients. `archive` has committed offsets only."""

SLOW_GROUP = "audit"


def qualified(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def partition_key(topic: str, partition: int) -> str:
    return f"{topic}:{partition}"


def split_key(key: str) -> TopicPartition:
    topic, _, partition = key.rpartition(":")
    return TopicPartition(topic, int(partition))


def write_atomically(path: Path, content: dict[str, Any]) -> None:
    """Replaces a file by a complete new one: a reader never sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    temporary.write_text(json.dumps(content) + "\n")
    os.replace(temporary, path)


def read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """A log's entries, without a last line that is still being written."""
    if not path.exists():
        return
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)


# Records


NULL = b"\0null header value\0"
"""Stands for a null header value, which Kafka knows and kafka-python can read but not send."""


def send_null_headers() -> None:
    """Makes kafka-python write a null wherever a header's value is `NULL`.

    Its `send` insists on bytes; the encoder below it knows nulls, so it is told there.
    """
    encode = DefaultRecordBatchBuilder.append

    def append(
        self: Any, offset: int, stamp: int, key: Any, value: Any, headers: Headers
    ) -> Any:
        nulled = [(name, None if data == NULL else data) for name, data in headers]
        return encode(self, offset, stamp, key, value, nulled)

    DefaultRecordBatchBuilder.append = append


send_null_headers()


class Draft(NamedTuple):
    """A record that is not written yet."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def order_record(topic: str, seq: int) -> Draft:
    """A record of a live topic: the value says its sequence number."""
    key = None if seq % 53 == 52 else f"customer-{seq * 7919 % 997}".encode()
    headers: Headers = [("trace", f"{topic}/{seq}".encode()), ("tag", b"a"), ("tag", b"b")]
    if seq % 3 == 0:
        headers.append(("absent", NULL))
    if seq % 5 == 0:
        headers += [("empty", b""), ("tag", b"a")]
    value = {"seq": seq, "key": key.decode() if key else None, "amount": seq * 31 % 10_000}
    value["note"] = "ß" * (seq % 60)
    return Draft(key, json.dumps(value, ensure_ascii=False).encode(), headers)


def state_record(seq: int, keys: int) -> Draft:
    """A record of the compacted topic: keys come again, every seventh record is a tombstone."""
    key = f"account-{seq * 31 % keys}".encode()
    value = None if seq % 7 == 6 else json.dumps({"balance": seq}).encode()
    return Draft(key, value, [("seq", str(seq).encode())])


def raw_record(seq: int) -> Draft:
    """A record with arbitrary bytes: binary and empty values, empty and null keys."""
    key = [None, b"", bytes([seq % 256, 0, 255])][seq % 3]
    value = b"" if seq % 7 == 0 else bytes((seq + i) % 256 for i in range(seq % 90))
    return Draft(key, value, [("seq", str(seq).encode()), ("\u00e9", bytes([0xFF, seq % 256]))])


def producer(bootstrap: str, **options: Any) -> KafkaProducer:
    """An idempotent producer that goes on trying through any outage of a few minutes."""
    return KafkaProducer(
        bootstrap_servers=bootstrap.split(","),
        acks="all",
        **(
            {
                "enable_idempotence": True,
                "linger_ms": 5,
                "max_in_flight_requests_per_connection": 1,
                "request_timeout_ms": 5_000,
                "delivery_timeout_ms": 600_000,
                "max_block_ms": 10_000,
            }
            | options
        ),
    )


def administrator(bootstrap: str) -> KafkaAdminClient:
    return KafkaAdminClient(bootstrap_servers=bootstrap.split(","), request_timeout_ms=15_000)


def patiently(call: Callable[[], Any], seconds: float = 30) -> Any:
    """Repeats a call while the cluster says that it is not ready for it yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


# prepare


class History:
    """Writes a source cluster's past, and the manifest that says what it was."""

    def __init__(self, bootstrap: str, prefix: str, records: int, replication: int = 1) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.replication = replication
        self.records = records
        self.admin = administrator(bootstrap)
        self.producer = producer(bootstrap, linger_ms=20, max_in_flight_requests_per_connection=5)
        self.clock = itertools.count(HISTORY_START_MS, 7)
        self.next_seq: dict[str, int] = {}
        self.markers: list[int] = []
        """Offsets of transaction markers in the ledger's first partition."""

    def write(self) -> dict[str, Any]:
        self.create_topics()
        for shape in TOPICS:
            per_partition = max(int(self.records * shape.share) // shape.partitions, 20)
            self.fill(shape, self.topic(shape.name), per_partition)
        self.producer.flush()
        self.trim()
        manifest = {
            "prefix": self.prefix,
            "source": self.bootstrap,
            "topics": {
                self.topic(shape.name): {
                    "partitions": shape.partitions,
                    "live": shape.live,
                    "compacted": shape.compacted,
                }
                for shape in TOPICS
            },
            "history": {key: seq for key, seq in self.next_seq.items() if self.is_live(key)},
            "groups": self.commit_groups(),
        }
        self.producer.close()
        self.admin.close()
        return manifest

    def topic(self, name: str) -> str:
        return qualified(self.prefix, name)

    def is_live(self, key: str) -> bool:
        topic = split_key(key).topic
        return any(shape.live and topic == self.topic(shape.name) for shape in TOPICS)

    def create_topics(self) -> None:
        topics = [
            NewTopic(
                self.topic(shape.name),
                shape.partitions,
                self.replication,
                topic_configs=shape.configs(),
            )
            for shape in TOPICS
        ]
        try:
            self.admin.create_topics(topics)
        except TopicAlreadyExistsError as error:
            raise WorkloadError(
                f"there are topics of this workload on {self.bootstrap} already:"
                " choose another --prefix, or delete them with `workload.py remove`"
            ) from error
        self.admin.wait_for_topics([topic.name for topic in topics])

    def fill(self, shape: TopicShape, topic: str, per_partition: int) -> None:
        if shape.name == "orders.ledger":
            self.fill_ledger(topic, per_partition)
            return
        for seq in range(per_partition):
            for partition in range(shape.partitions):
                if shape.live:
                    draft = order_record(topic, seq)
                elif shape.compacted:
                    draft = state_record(seq, keys=max(per_partition // 10, 5))
                else:
                    draft = raw_record(seq)
                self.send(self.producer, topic, partition, draft)
        for partition in range(shape.partitions):
            self.next_seq[partition_key(topic, partition)] = per_partition

    def send(self, via: KafkaProducer, topic: str, partition: int, draft: Draft) -> Any:
        # Time does not always go forward in a log: every 41st record is late.
        stamp = next(self.clock)
        stamp -= 5_000 if stamp % 41 == 0 else 0
        return via.send(
            topic,
            key=draft.key,
            value=draft.value,
            headers=draft.headers,
            partition=partition,
            timestamp_ms=stamp,
        )

    def fill_ledger(self, topic: str, per_partition: int) -> None:
        """Two producers take turns: one commits all, the other aborts all.

        They are two because noida's `read_committed` drops what a producer commits after an abort.
        """
        identity = f"{topic}-{os.getpid()}-{time.time_ns()}"
        committing = producer(self.bootstrap, transactional_id=f"{identity}-commits")
        aborting = producer(self.bootstrap, transactional_id=f"{identity}-aborts")
        for each in (committing, aborting):
            patiently(each.init_transactions)
        seq, batch = 0, min(20, per_partition // 6)
        while seq < per_partition:
            count = min(batch, per_partition - seq)
            last = self.transaction(committing, topic, range(seq, seq + count), commit=True)
            self.markers.append(last + 1)
            if seq // batch % 4 == 1:
                self.transaction(aborting, topic, range(900_000, 900_007), commit=False)
            seq += count
        for each in (committing, aborting):
            each.close()

    def transaction(
        self, via: KafkaProducer, topic: str, seqs: range, commit: bool
    ) -> int:
        """Writes the same numbers to both partitions; returns the last offset in the first."""
        via.begin_transaction()
        sent = [
            self.send(via, topic, partition, raw_record(seq)) for seq in seqs for partition in (0, 1)
        ]
        via.flush()
        last = sent[-2].get(10).offset
        if commit:
            via.commit_transaction()
        else:
            via.abort_transaction()
        return last

    def trim(self) -> None:
        """Removes the first fifth of `orders.trimmed`: its logs do not start at 0."""
        topic = self.topic("orders.trimmed")
        fifth = self.next_seq[partition_key(topic, 0)] // 5
        self.admin.delete_records({TopicPartition(topic, p): fifth + p for p in (0, 1)})

    def commit_groups(self) -> dict[str, Any]:
        """Gives every group its first committed offsets: none falls back to a reset policy."""
        groups: dict[str, Any] = {}
        for name, topics in GROUPS.items():
            start = {
                key: seq * 3 // 4 if name == SLOW_GROUP else 0
                for key, seq in self.next_seq.items()
                if split_key(key).topic in map(self.topic, topics)
            }
            groups[self.topic(name)] = {"topics": [*map(self.topic, topics)], "commits": start}
            groups[self.topic(name)]["slow"] = name == SLOW_GROUP
        groups[self.topic("archive")] = {"topics": [], "commits": self.archive_commits()}
        for name, group in groups.items():
            offsets = {
                split_key(key): OffsetAndMetadata(offset, f"by {name}", -1)
                for key, offset in group["commits"].items()
            }
            patiently(lambda: self.admin.alter_group_offsets(name, offsets))
        return groups

    def archive_commits(self) -> dict[str, int]:
        """Where a group stopped long ago: in the middle, on a transaction marker, at both ends."""
        ledger, state, trimmed = (
            self.topic(f"orders.{name}") for name in ("ledger", "state", "trimmed")
        )
        ends = list_ends(self.bootstrap, [(ledger, 1), (state, 1)])
        kept = self.next_seq[partition_key(trimmed, 0)]
        return {
            partition_key(ledger, 0): self.markers[len(self.markers) // 2],
            partition_key(ledger, 1): ends[TopicPartition(ledger, 1)],
            partition_key(state, 0): self.next_seq[partition_key(state, 0)] // 2,
            partition_key(state, 1): ends[TopicPartition(state, 1)],
            partition_key(trimmed, 0): kept // 2,
            partition_key(trimmed, 1): kept // 5 + 1,
        }


def list_ends(bootstrap: str, partitions: list[tuple[str, int]]) -> dict[TopicPartition, int]:
    reader = KafkaConsumer(bootstrap_servers=bootstrap.split(","))
    try:
        return reader.end_offsets([TopicPartition(*each) for each in partitions])
    finally:
        reader.close()


def prepare(arguments: argparse.Namespace) -> None:
    directory: Path = arguments.dir
    directory.mkdir(parents=True, exist_ok=True)
    if (directory / "workload.json").exists():
        raise WorkloadError(f"{directory} holds a workload already; give an empty --dir")
    records = arguments.records or DEFAULT_RECORDS[arguments.profile]
    if records > 100_000:
        raise WorkloadError("--records must be 100000 at most: the sandbox broker is a small one")
    history = History(arguments.source, arguments.prefix, records, arguments.replication)
    manifest = history.write()
    write_atomically(directory / "workload.json", manifest)
    roles = {qualified(arguments.prefix, "orders"): "producer"} | {
        name: "consumer" for name, group in manifest["groups"].items() if group["topics"]
    }
    for name, role in roles.items():
        control = {"role": role, "run": False, "bootstrap": arguments.source, "revision": 1}
        write_atomically(directory / f"{name}.control.json", control)


def manifest_of(directory: Path) -> dict[str, Any]:
    manifest = read_json(directory / "workload.json")
    if manifest is None:
        raise WorkloadError(f"no workload in {directory}; run `workload.py prepare` first")
    return manifest


# Clients


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
        reader = KafkaConsumer(bootstrap_servers=self.bootstrap.split(","))
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

    def begin(self) -> None:
        self.processed, self.committed = {}, {}

        def connected() -> bool:
            self.consumer = self.consumer or KafkaConsumer(
                bootstrap_servers=self.bootstrap.split(","),
                group_id=self.name,
                client_id=self.name,
                auto_offset_reset="none",
                enable_auto_commit=False,
                max_poll_records=500 if self.rate is None else 20,
                session_timeout_ms=10_000,
                request_timeout_ms=15_000,
                fetch_max_wait_ms=100,
            )
            if not self.consumer.subscription():
                self.consumer.subscribe(self.topics, listener=self)
            self.poll()
            return bool(self.consumer.assignment())

        try:
            self.until_done("join the group", connected, unless_superseded=True)
        except (NoOffsetForPartitionError, OffsetOutOfRangeError) as error:
            raise self.no_position(error) from error

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
            logging.warning("%s: %r; goes on trying", self.name, error)
            time.sleep(0.1)

    def no_position(self, error: KafkaError) -> ClientFailed:
        return ClientFailed(
            f"group {self.name} has no usable committed offset on {self.bootstrap}: {error}"
        )

    def poll(self) -> None:
        """Fetches what there is and processes it."""
        assert self.consumer is not None
        wait = int(TICK_SECONDS * 1000)
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
                self.poll()  # rejoins where the group was rebalanced meanwhile
                raise
            return True

        self.until_done("commit", committed, seconds=600)
        self.abandon()

    def abandon(self) -> None:
        if self.consumer is not None:
            self.consumer.close(autocommit=False, timeout_ms=2_000)
            self.consumer = None


def make_client(
    name: str, role: str, directory: Path, arguments: argparse.Namespace, control: Path | None
) -> Client:
    if role == "producer":
        return OrderProducer(name, directory, arguments.rate, control)
    group = manifest_of(directory)["groups"].get(name)
    if group is None or not group["topics"]:
        raise WorkloadError(f"no group {name!r} with topics in {directory}/workload.json")
    slow = group["slow"] or getattr(arguments, "slow", False)
    return OrderConsumer(name, directory, group["topics"], arguments.slow_rate if slow else None, control)


def run_clients(clients: list[Client]) -> None:
    """Runs clients until the process is told to end; each stops cleanly then."""

    def end(*_: Any) -> None:
        for client in clients:
            client.ending.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    for client in clients:
        client.daemon = True
        client.start()
    for client in clients:
        while client.is_alive():
            client.join(0.2)
            if client.ending.is_set():
                client.join(3 * END_SECONDS)
                break
    logging.shutdown()
    os._exit(0)  # a client whose cluster is gone must not keep the process


def all_clients(arguments: argparse.Namespace) -> None:
    directory: Path = arguments.dir
    clients = [
        make_client(name, control["role"], directory, arguments, None)
        for name, control in controls(directory).items()
    ]
    run_clients(clients)


def one_client(arguments: argparse.Namespace) -> None:
    run_clients(
        [
            make_client(
                arguments.name, arguments.role, arguments.dir, arguments, arguments.control
            )
        ]
    )


# control


def controls(directory: Path) -> dict[str, dict[str, Any]]:
    """All clients' control files, by name."""
    found = {
        path.name.removesuffix(".control.json"): json.loads(path.read_text())
        for path in sorted(directory.glob("[!.]*.control.json"))
    }
    if not found:
        raise WorkloadError(f"no control files in {directory}; run `workload.py prepare` first")
    return found


def control(arguments: argparse.Namespace) -> None:
    """Brings clients into a state and waits until all of them have confirmed it."""
    chosen = choose(controls(arguments.dir), arguments.role, arguments.group)
    wanted = arguments.run == "true"
    waiting: dict[str, dict[str, Any]] = {}
    for name, now in chosen.items():
        then = now | {"run": wanted, "bootstrap": arguments.bootstrap or now["bootstrap"]}
        if then != now or has_failed(arguments.dir, name):
            then["revision"] = now["revision"] + 1
            write_atomically(arguments.dir / f"{name}.control.json", then)
        waiting[name] = then
    wait_for(arguments.dir, waiting, arguments.timeout)


def choose(
    known: dict[str, dict[str, Any]], role: str, group: str | None
) -> dict[str, dict[str, Any]]:
    roles = {"producers": {"producer"}, "consumers": {"consumer"}, "all": {"producer", "consumer"}}
    chosen = {
        name: each
        for name, each in known.items()
        if each["role"] in roles[role] and (group is None or name == group)
    }
    if not chosen:
        raise WorkloadError(
            f"no {role}{f' of group {group}' if group else ''} here; there are {', '.join(known)}"
        )
    return chosen


def has_failed(directory: Path, name: str) -> bool:
    state = read_json(directory / f"{name}.state.json")
    return bool(state and state["error"])


def wait_for(directory: Path, wanted: dict[str, dict[str, Any]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        missing = {
            name: trouble
            for name, each in wanted.items()
            if (trouble := unconfirmed(read_json(directory / f"{name}.state.json"), each))
        }
        if not missing:
            return
        failed = [name for name, trouble in missing.items() if trouble.startswith("failed")]
        if failed or time.monotonic() > deadline:
            details = "; ".join(f"{name} {trouble}" for name, trouble in missing.items())
            raise WorkloadError(
                f"not confirmed within {seconds:g} s: {details}."
                f" See the state files in {directory}, and whether `workload.py clients` runs."
            )
        time.sleep(TICK_SECONDS)


def unconfirmed(state: dict[str, Any] | None, wanted: dict[str, Any]) -> str:
    """What is still missing, in words; nothing when the client has confirmed."""
    if state is None:
        return "has not reported anything yet"
    if state["revision"] < wanted["revision"]:
        return f"is at revision {state['revision']} of {wanted['revision']}"
    if state["error"]:
        return f"failed: {state['error']}"
    if state["running"] != wanted["run"]:
        return "is not in the wanted state"
    return ""


# remove


def remove(arguments: argparse.Namespace) -> None:
    """Deletes this workload's topics and groups, and nothing else, from a cluster."""
    manifest = manifest_of(arguments.dir)
    admin = administrator(arguments.bootstrap)
    try:
        for topic in manifest["topics"]:
            try:
                admin.delete_topics([topic])
            except UnknownTopicOrPartitionError:
                pass
        for group in manifest["groups"]:
            try:
                admin.delete_groups([group])
            except KafkaError:
                pass  # never moved here, or not ours to delete
    finally:
        admin.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)

    action = actions.add_parser("prepare", help="create topics with history on the source")
    action.add_argument("--source", required=True, help="bootstrap servers")
    action.add_argument("--prefix", default="", help="before every topic and group, with a dot")
    action.add_argument("--records", type=int, help="about how many; default by profile")
    action.add_argument("--replication", type=int, default=1, help="-1 is the broker's default")
    action.add_argument("--profile", choices=[*DEFAULT_RECORDS], default="quickstart")
    action.set_defaults(perform=prepare)

    several = actions.add_parser("clients", help="run all clients of a workload")
    several.set_defaults(perform=all_clients)
    single = actions.add_parser("client", help="run one client")
    single.add_argument("--control", type=Path, help="default: D/NAME.control.json")
    single.add_argument("--role", choices=["producer", "consumer"], required=True)
    single.add_argument("--name", required=True, help="of a consumer: its group")
    single.add_argument("--slow", action="store_true", help="process at --slow-rate")
    single.set_defaults(perform=one_client)
    for action in (several, single):
        action.add_argument("--rate", type=float, default=300, help="records/s of the producer")
        action.add_argument("--slow-rate", type=float, default=150, help="of a slow consumer")

    action = actions.add_parser("control", help="start, stop and move clients, and wait for them")
    action.add_argument("--role", choices=["producers", "consumers", "all"], required=True)
    action.add_argument("--group", help="only this consumer group")
    action.add_argument("--run", choices=["true", "false"], required=True)
    action.add_argument("--bootstrap", help="default: where they are")
    action.add_argument("--timeout", type=float, default=30, help="seconds")
    action.set_defaults(perform=control)

    action = actions.add_parser("remove", help="delete the workload's topics and groups")
    action.add_argument("--bootstrap", required=True)
    action.set_defaults(perform=remove)

    for action in actions.choices.values():
        action.add_argument("--dir", type=Path, required=True, help="the workload's directory")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        arguments.perform(arguments)
    except (WorkloadError, KafkaError) as error:
        print(f"workload: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
