"""A source cluster's past: topics and records as they are found on an estate that has lived."""

from __future__ import annotations

import itertools
import os
import time
from functools import partial
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import InvalidConfigurationError, NoError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata
from orders import (
    GROUPS,
    SLOW_GROUP,
    TOPICS,
    Draft,
    TopicShape,
    WorkloadError,
    administrator,
    order_record,
    partition_key,
    patiently,
    producer,
    qualified,
    raw_record,
    split_key,
    state_record,
)

HISTORY_START_MS = 1_700_000_000_000
"""Timestamp of the oldest record: long ago, so that a mirror that stamps anew is noticed."""


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
        try:
            for shape in TOPICS:
                try:
                    self.admin.create_topics([self.new_topic(shape, small_segments=True)])
                except InvalidConfigurationError:  # Kafka 4 wants segments of 1 MiB at least
                    self.admin.create_topics([self.new_topic(shape, small_segments=False)])
        except TopicAlreadyExistsError as error:
            raise WorkloadError(
                f"there are topics of this workload on {self.bootstrap} already:"
                " choose another --prefix, or delete them with `workload.py remove`"
            ) from error
        self.admin.wait_for_topics([self.topic(shape.name) for shape in TOPICS])

    def new_topic(self, shape: TopicShape, small_segments: bool) -> NewTopic:
        return NewTopic(
            self.topic(shape.name),
            shape.partitions,
            self.replication,
            topic_configs=shape.configs(small_segments),
        )

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

    def transaction(self, via: KafkaProducer, topic: str, seqs: range, commit: bool) -> int:
        """Writes the same numbers to both partitions; returns the last offset in the first."""
        via.begin_transaction()
        sent = [
            self.send(via, topic, partition, raw_record(seq))
            for seq in seqs
            for partition in (0, 1)
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
            patiently(partial(self.commit, name, offsets))
        return groups

    def commit(self, group: str, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        """A refused partition is an error; the client itself only tells of it."""
        for error in self.admin.alter_group_offsets(group, offsets).values():
            if error is not NoError:
                raise error(f"commit of {group}")

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
