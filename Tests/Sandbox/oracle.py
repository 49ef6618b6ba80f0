#!/usr/bin/env python3
"""Judges a migration without asking Ferry: from clients' logs and the records on both clusters.

It reads with kafka-python, which shares no code with Ferry's librdkafka. It checks that

- every record that was acknowledged to the producer stands exactly once and in order on the cluster
  where clients are in the end, and the other cluster has all of it up to the handover;
- both clusters hold the same records: key, value, headers, timestamp and its type;
- every consumer group has processed each record of its partitions exactly once and in order, over
  its whole life on both clusters;
- committed offsets of a group that never ran stand before the same record on both clusters.

Every problem is one line with topic, partition and offset. The last line is the sum; the exit code
is 0 where nothing is wrong, 1 where something is, 2 where it could not be judged.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from orders import login

READ_SECONDS = 120
SHOWN_PROBLEMS = 40
KINDS = ("lost", "duplicated", "reordered", "re-read")


class CannotJudge(Exception):
    """What is missing for a judgement, and what to do about it."""


# Differences between two sequences


class Difference(NamedTuple):
    """How one sequence differs from what it should be; elements are given by their positions."""

    lost: list[int]
    """Positions in the expected sequence."""
    extra: list[int]
    """Positions in the actual one; as `reordered`."""
    reordered: list[int]


def difference(expected: Sequence[Hashable], actual: Sequence[Hashable]) -> Difference:
    """Pairs equal elements, the first with the first; what is left over is lost or extra.

    Reordered is the smallest number of pairs whose move would bring the others into order.
    """
    places: dict[Hashable, list[int]] = defaultdict(list)
    for position in range(len(expected) - 1, -1, -1):
        places[expected[position]].append(position)
    extra: list[int] = []
    pairs: list[tuple[int, int]] = []
    for position, element in enumerate(actual):
        if places.get(element):
            pairs.append((places[element].pop(), position))
        else:
            extra.append(position)
    lost = sorted(position for left in places.values() for position in left)
    in_order = longest_increasing([wanted for wanted, _ in pairs])
    reordered = [place for index, (_, place) in enumerate(pairs) if index not in in_order]
    return Difference(lost, extra, reordered)


def longest_increasing(numbers: Sequence[int]) -> set[int]:
    """Indices of a longest increasing subsequence."""
    tails: list[int] = []
    tail_indices: list[int] = []
    previous: list[int] = []
    for index, number in enumerate(numbers):
        length = bisect_left(tails, number)
        tails[length : length + 1] = [number]
        tail_indices[length : length + 1] = [index]
        previous.append(tail_indices[length - 1] if length else -1)
    chosen: set[int] = set()
    index = tail_indices[-1] if tail_indices else -1
    while index >= 0:
        chosen.add(index)
        index = previous[index]
    return chosen


# Records


@dataclass(frozen=True)
class Record:
    """A record as it stands in a log."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @cached_property
    def content(self) -> bytes:
        """A digest of everything a mirror has to keep."""
        parts = (self.timestamp, self.timestamp_type, self.key, self.value, self.headers)
        return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()

    @cached_property
    def seq(self) -> int | None:
        """The sequence number that the workload gave this record."""
        for name, value in self.headers:
            if name == "seq" and value:
                return int(value)
        try:
            return int(json.loads(self.value or b"")["seq"])
        except (ValueError, KeyError, TypeError):
            return None


FIELDS = ("timestamp", "timestamp_type", "key", "value", "headers")


def altered_fields(before: Record, after: Record) -> list[str]:
    return [name for name in FIELDS if getattr(before, name) != getattr(after, name)]


@dataclass
class PartitionLog:
    """The committed records of one partition, and the log's limits."""

    records: list[Record]
    start: int
    end: int

    def next_at(self, offset: int) -> int:
        """Index of the first record at or after an offset."""
        return bisect_left([record.offset for record in self.records], offset)


Logs = dict[TopicPartition, PartitionLog]


class ClusterReader:
    """Reads all there is on one cluster, once."""

    def __init__(self, name: str, bootstrap: str) -> None:
        self.name = name
        self.bootstrap = bootstrap

    def read(self, topics: dict[str, int]) -> Logs:
        """Reads the partitions of the topics that exist here, as a `read_committed` consumer."""
        consumer = KafkaConsumer(
            **login(),
            bootstrap_servers=self.bootstrap.split(","),
            isolation_level="read_committed",
            auto_offset_reset="none",
            enable_auto_commit=False,
            max_poll_records=2000,
            fetch_max_wait_ms=100,
            check_crcs=True,
        )
        try:
            present = consumer.topics() & topics.keys()
            partitions = [
                TopicPartition(topic, number)
                for topic in sorted(present)
                for number in range(topics[topic])
            ]
            return {each: self.read_partition(consumer, each) for each in partitions}
        finally:
            consumer.close(autocommit=False)

    def read_partition(self, consumer: KafkaConsumer, partition: TopicPartition) -> PartitionLog:
        start = consumer.beginning_offsets([partition])[partition]
        end = consumer.end_offsets([partition])[partition]
        consumer.assign([partition])
        consumer.seek(partition, start)
        records: list[Record] = []
        deadline = time.monotonic() + READ_SECONDS
        while consumer.position(partition) < end:
            if time.monotonic() > deadline:
                raise CannotJudge(
                    f"{self.name} {partition.topic}/{partition.partition}: read up to"
                    f" {consumer.position(partition)} of {end} in {READ_SECONDS} s"
                )
            for record in consumer.poll(timeout_ms=500).get(partition, []):
                records.append(self.keep(record))
        return PartitionLog(records, start, end)

    def keep(self, record: Any) -> Record:
        headers = tuple((name, value) for name, value in record.headers or [])
        return Record(
            record.offset,
            record.timestamp,
            record.timestamp_type,
            record.key,
            record.value,
            headers,
        )

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """A group's committed offsets; none where the cluster does not know the group."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap.split(","), **login())
        deadline = time.monotonic() + READ_SECONDS
        try:
            while True:
                try:
                    offsets = admin.list_group_offsets(group).get(group, {})
                    return {tp: each.offset for tp, each in offsets.items() if each.offset >= 0}
                except KafkaError as error:  # a cluster that never had a group is not ready at once
                    if not error.retriable or time.monotonic() > deadline:
                        raise
                    time.sleep(0.2)
        finally:
            admin.close()


# The clients' side


class Entry(NamedTuple):
    """One line of a client's log."""

    t: float
    partition: TopicPartition
    offset: int
    seq: int
    cluster: str


def read_log(path: Path, clusters: dict[str, str]) -> list[Entry]:
    entries = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            each = json.loads(line)
        except ValueError as error:
            raise CannotJudge(
                f"{path}:{number}: not JSON; did a client die while writing?"
            ) from error
        cluster = clusters.get(each["cluster"])
        if cluster is None:
            raise CannotJudge(
                f"{path}:{number}: the client was on {each['cluster']!r},"
                f" which is neither --source nor --target"
            )
        partition = TopicPartition(each["topic"], each["partition"])
        entries.append(Entry(each["t"], partition, each["offset"], each["seq"], cluster))
    return entries


def by_partition(entries: list[Entry]) -> dict[TopicPartition, list[Entry]]:
    found: dict[TopicPartition, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[entry.partition].append(entry)
    return found


def split_key(key: str) -> TopicPartition:
    topic, _, number = key.rpartition(":")
    return TopicPartition(topic, int(number))


# The judgement


@dataclass
class Verdict:
    """What was found, with a line for each problem."""

    records: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    switched_seconds: float | None = None
    rolled_back_seconds: float | None = None

    def add(self, kind: str, where: str, what: str, count: int = 1) -> None:
        self.counts[kind] += count
        self.problems.append(f"{kind}: {where}: {what}")

    @property
    def clean(self) -> bool:
        return not any(self.counts[kind] for kind in KINDS)

    def line(self) -> str:
        sums = ", ".join(f"{kind} {self.counts[kind]}" for kind in KINDS)
        return f"{self.records} records, {sums}; {self.times()}"

    def times(self) -> str:
        there, back = self.switched_seconds, self.rolled_back_seconds
        return (
            ("not switched" if there is None else f"switched in {there:.1f} s")
            + ", "
            + ("not rolled back" if back is None else f"rolled back in {back:.1f} s")
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "records": self.records,
            "lost": self.counts["lost"],
            "duplicated": self.counts["duplicated"],
            "reordered": self.counts["reordered"],
            "reRead": self.counts["re-read"],
            "switchedSeconds": self.switched_seconds,
            "rolledBackSeconds": self.rolled_back_seconds,
            "problems": self.problems,
            "notes": self.notes,
            "line": self.line(),
        }


def place(cluster: str, partition: TopicPartition, offset: int | None = None) -> str:
    at = "" if offset is None else f" offset {offset}"
    return f"{cluster} {partition.topic}/{partition.partition}{at}"


class Judge:
    """Holds the facts of one workload and compares them."""

    def __init__(
        self, source: str, target: str, directory: Path, prefix: str | None, final: str | None
    ) -> None:
        path = directory / "workload.json"
        if not path.exists():
            raise CannotJudge(f"no {path}: --dir must be the workload's directory")
        manifest = json.loads(path.read_text())
        if prefix is not None and prefix != manifest["prefix"]:
            raise CannotJudge(f"{path} has the prefix {manifest['prefix']!r}, not {prefix!r}")
        self.topics: dict[str, dict[str, Any]] = manifest["topics"]
        self.groups: dict[str, dict[str, Any]] = manifest["groups"]
        self.history = {split_key(key): count for key, count in manifest["history"].items()}
        self.directory = directory
        self.clusters = {source: "source", target: "target"}
        self.readers = {
            name: ClusterReader(name, bootstrap) for bootstrap, name in self.clusters.items()
        }
        self.verdict = Verdict()
        self.acknowledged = self.read_logs("produced")
        self.acknowledged.sort(key=lambda entry: entry.t)
        self.final = final or (self.acknowledged[-1].cluster if self.acknowledged else "source")
        self.other = opposite(self.final)
        self.logs: dict[str, Logs] = {}

    def read_logs(self, kind: str) -> list[Entry]:
        return [
            entry
            for path in sorted(self.directory.glob(f"*.{kind}.jsonl"))
            for entry in read_log(path, self.clusters)
        ]

    def judge(self) -> Verdict:
        partitions = {name: topic["partitions"] for name, topic in self.topics.items()}
        self.logs = {name: reader.read(partitions) for name, reader in self.readers.items()}
        self.verdict.records = sum(len(log.records) for log in self.logs[self.final].values())
        self.judge_presence()
        for partition in self.common_partitions():
            reference = self.reference(partition)
            for cluster in self.clusters.values():
                self.judge_log(cluster, partition, reference)
            self.judge_acknowledged_offsets(partition)
        for group, facts in self.groups.items():
            if facts["topics"]:
                self.judge_consumer(group)
            else:
                self.judge_stopped_group(group)
        self.time_handovers()
        return self.verdict

    def common_partitions(self) -> list[TopicPartition]:
        """The partitions there are on the final cluster; an absent copy counts as an empty one."""
        for partition in self.logs[self.final]:
            self.logs[self.other].setdefault(partition, PartitionLog([], 0, 0))
        return list(self.logs[self.final])

    def judge_presence(self) -> None:
        for cluster, logs in self.logs.items():
            for topic in self.topics.keys() - {partition.topic for partition in logs}:
                here = f"{cluster} {topic}"
                if cluster == self.final:
                    self.verdict.add("lost", here, "the topic does not exist")
                else:
                    self.verdict.notes.append(f"{here}: the topic does not exist")

    def was_used(self, cluster: str) -> bool:
        return cluster == "source" or any(each.cluster == cluster for each in self.acknowledged)

    # Logs

    def reference(self, partition: TopicPartition) -> list[Record]:
        """What a partition's log has to be, each record as it is on the cluster it was born on."""
        if not self.topics[partition.topic]["live"]:
            return self.logs["source"][partition].records
        born = {
            entry.seq: entry.cluster for entry in self.acknowledged if entry.partition == partition
        }
        numbered = {
            name: {record.seq: record for record in reversed(logs[partition].records)}
            for name, logs in self.logs.items()
        }
        count = max([self.history[partition], *(seq + 1 for seq in born)])
        final = [record.seq for record in self.logs[self.final][partition].records]
        reference = []
        for seq in range(continued(final, count)):
            origin = born.get(seq, "source" if seq < self.history[partition] else self.final)
            record = numbered[origin].get(seq) or numbered[opposite(origin)].get(seq)
            if record is None:
                here = place(self.final, partition)
                self.verdict.add("lost", here, f"record number {seq} is on neither cluster")
            else:
                reference.append(record)
        return reference

    def judge_log(self, cluster: str, partition: TopicPartition, reference: list[Record]) -> None:
        """A cluster's log is the reference, or its beginning, up to the handover at least."""
        wanted, actual = reference, self.logs[cluster][partition].records
        if self.topics[partition.topic]["compacted"]:
            wanted, actual = without_superseded(wanted, actual)
        present = set(contents(actual))
        reached = max((i for i, each in enumerate(wanted, 1) if each.content in present), default=0)
        wanted = wanted[: max(reached, self.needed(cluster, partition, wanted))]
        found = difference(contents(wanted), contents(actual))
        altered = self.report_altered(cluster, partition, found, wanted, actual)
        self.report(cluster, partition, found, altered, wanted, actual)

    def needed(self, cluster: str, partition: TopicPartition, reference: list[Record]) -> int:
        """How many records a cluster must hold: up to the last that clients wrote to it."""
        if cluster == self.final:
            return len(reference)
        if not self.was_used(cluster):
            return 0
        if not self.topics[partition.topic]["live"]:
            return len(reference)
        mine = {
            entry.seq
            for entry in self.acknowledged
            if entry.partition == partition and entry.cluster == cluster
        }
        handover = max([self.history[partition] - 1, *mine])
        return sum(1 for record in reference if record.seq is not None and record.seq <= handover)

    def report_altered(
        self,
        cluster: str,
        partition: TopicPartition,
        found: Difference,
        wanted: list[Record],
        actual: list[Record],
    ) -> set[tuple[int, int]]:
        """Pairs a lost with an extra record of the same number: it was altered."""
        extras: dict[int, list[int]] = defaultdict(list)
        for position in found.extra:
            seq = actual[position].seq
            if seq is not None:
                extras[seq].append(position)
        altered = set()
        for position in found.lost:
            record = wanted[position]
            if record.seq is None or not extras[record.seq]:
                continue
            match = extras[record.seq].pop(0)
            altered.add((position, match))
            fields = ", ".join(altered_fields(record, actual[match]))
            here = place(cluster, partition, actual[match].offset)
            self.verdict.add("lost", here, f"altered {fields} of record number {record.seq}")
        return altered

    def report(
        self,
        cluster: str,
        partition: TopicPartition,
        found: Difference,
        altered: set[tuple[int, int]],
        wanted: list[Record],
        actual: list[Record],
    ) -> None:
        lost = set(found.lost) - {left for left, _ in altered}
        extra = set(found.extra) - {right for _, right in altered}
        for position in sorted(lost):
            there = f"record number {wanted[position].seq} is missing"
            self.verdict.add("lost", place(cluster, partition), there)
        for kind, positions in (("duplicated", sorted(extra)), ("reordered", found.reordered)):
            for position in positions:
                here = place(cluster, partition, actual[position].offset)
                self.verdict.add(kind, here, f"record number {actual[position].seq}")

    def judge_acknowledged_offsets(self, partition: TopicPartition) -> None:
        """A record stands where its producer was told, on the cluster that said so."""
        numbers = {
            name: {record.offset: record.seq for record in logs[partition].records}
            for name, logs in self.logs.items()
        }
        everywhere = {name: set(found.values()) for name, found in numbers.items()}
        for entry in self.acknowledged:
            if entry.partition != partition:
                continue
            moved = numbers[entry.cluster].get(entry.offset) != entry.seq
            if moved and entry.seq in everywhere[entry.cluster]:
                here = place(entry.cluster, partition, entry.offset)
                self.verdict.add("reordered", here, f"number {entry.seq} stands elsewhere now")

    # Consumers

    def judge_consumer(self, group: str) -> None:
        path = self.directory / f"{group}.consumed.jsonl"
        entries = read_log(path, self.clusters) if path.exists() else []
        processed = by_partition(entries)
        starts = {split_key(key): seq for key, seq in self.groups[group]["commits"].items()}
        committed = self.readers[self.final].committed(group)
        for partition, start in starts.items():
            mine = processed.get(partition, [])
            following = self.judge_processing(group, partition, start, mine)
            if mine:
                self.judge_commit(group, partition, following, committed.get(partition))

    def judge_processing(
        self, group: str, partition: TopicPartition, start: int, entries: list[Entry]
    ) -> int:
        """Each number once and in order, from the group's first commit on. Returns the next one."""
        seen: set[int] = set()
        following = start
        for entry in entries:
            here = f"group {group}, {place(entry.cluster, partition, entry.offset)}"
            if entry.seq in seen or entry.seq < start:
                self.verdict.add("re-read", here, f"record number {entry.seq}")
            elif entry.seq < following:
                self.verdict.add("reordered", here, f"record number {entry.seq} came late")
            following = max(following, entry.seq + 1)
            seen.add(entry.seq)
        for seq in sorted(set(range(start, following)) - seen):
            here = f"group {group}, {place(self.final, partition)}"
            self.verdict.add("lost", here, f"record number {seq} was never processed")
        return following

    def judge_commit(
        self, group: str, partition: TopicPartition, following: int, committed: int | None
    ) -> None:
        """What the group would read next is what it has not processed yet."""
        log = self.logs[self.final].get(partition)
        if log is None:
            return
        here = f"group {group}, {place(self.final, partition, committed)}"
        if committed is None:
            self.verdict.add("lost", here, "has no committed offset")
            return
        if self.is_past_end(here, committed, log):
            return
        index = log.next_at(committed)
        at_end = index == len(log.records)
        number = self.next_number(log) if at_end else log.records[index].seq
        if number is None or number == following:
            return
        kind = "lost" if number > following else "re-read"
        what = f"goes on at record number {number}, not at {following}"
        self.verdict.add(kind, here, what, abs(number - following))

    def is_past_end(self, here: str, committed: int, log: PartitionLog) -> bool:
        """Past the log's end a group would miss the records that come next."""
        past = committed - log.end
        if past > 0:
            self.verdict.add("lost", here, f"is past the log's end at {log.end}", past)
        return past > 0

    def next_number(self, log: PartitionLog) -> int:
        return max((record.seq + 1 for record in log.records if record.seq is not None), default=0)

    def judge_stopped_group(self, group: str) -> None:
        """A group that never ran stands before the same record on both clusters."""
        first = {split_key(key): offset for key, offset in self.groups[group]["commits"].items()}
        now = {name: reader.committed(group) for name, reader in self.readers.items()}
        for partition, original in first.items():
            for cluster in ("source", "target"):
                if partition in self.logs[cluster] and self.was_used(cluster):
                    self.compare_positions(
                        group, partition, cluster, original, now[cluster].get(partition)
                    )

    def compare_positions(
        self,
        group: str,
        partition: TopicPartition,
        cluster: str,
        original: int,
        committed: int | None,
    ) -> None:
        here = f"group {group}, {place(cluster, partition, committed)}"
        if committed is None:
            self.verdict.add("lost", here, "has no committed offset")
            return
        source, log = self.logs["source"][partition], self.logs[cluster][partition]
        if self.is_past_end(here, committed, log):
            return
        wanted = source.records[source.next_at(original) :]
        index = log.next_at(committed)
        actual = log.records[index:]
        if self.topics[partition.topic]["compacted"]:
            wanted, actual = without_superseded(wanted, actual)
        if contents(wanted) != contents(actual):
            skipped = len(difference(contents(wanted), contents(actual)).lost)
            again = len(difference(contents(actual), contents(wanted)).lost)
            for kind, count in (("lost", skipped), ("re-read", again)):
                if count:
                    what = f"{count} records off the committed offset {original} on the source"
                    self.verdict.add(kind, here, what, count)
        elif cluster == "target" and committed != exact_offset(log, index):
            self.verdict.notes.append(
                f"{here}: before the right record, but it stands at {exact_offset(log, index)}"
            )

    # Times

    def time_handovers(self) -> None:
        """How long producers stood still: from the last acknowledgement to the first elsewhere."""
        for before, after in pairwise(self.acknowledged):
            seconds = after.t - before.t
            if before.cluster == after.cluster:
                continue
            if after.cluster == "target" and self.verdict.switched_seconds is None:
                self.verdict.switched_seconds = round(seconds, 3)
            elif after.cluster == "source" and self.verdict.rolled_back_seconds is None:
                self.verdict.rolled_back_seconds = round(seconds, 3)


def opposite(cluster: str) -> str:
    return "target" if cluster == "source" else "source"


def contents(records: list[Record]) -> list[bytes]:
    return [record.content for record in records]


def exact_offset(log: PartitionLog, index: int) -> int:
    return log.records[index].offset if index < len(log.records) else log.end


def continued(actual: list[int | None], count: int) -> int:
    """Up to which number the log goes on in order past the acknowledged ones.

    The last records may have been written without their acknowledgement having arrived.
    """
    tail = actual[count:]
    return count + len(tail) if tail == list(range(count, count + len(tail))) else count


def without_superseded(
    first: list[Record], second: list[Record]
) -> tuple[list[Record], list[Record]]:
    """Two compacted logs without records that only one of them has cleaned away already.

    A record may be missing in a log where a later one has its key: that is what compaction does.
    """
    kept = [{record.content for record in records} for records in (first, second)]
    latest = [latest_by_key(records) for records in (first, second)]

    def needed(records: list[Record], other: int) -> list[Record]:
        return [
            record
            for record in records
            if record.content in kept[other] or latest[1 - other][record.key] == record.offset
        ]

    return needed(first, 1), needed(second, 0)


def latest_by_key(records: list[Record]) -> dict[bytes | None, int]:
    return {record.key: record.offset for record in records}


def show(verdict: Verdict, as_json: bool) -> None:
    if as_json:
        print(json.dumps(verdict.as_json()))
        return
    for note in verdict.notes:
        print(f"note: {note}")
    for problem in verdict.problems[:SHOWN_PROBLEMS]:
        print(problem)
    if len(verdict.problems) > SHOWN_PROBLEMS:
        print(f"... and {len(verdict.problems) - SHOWN_PROBLEMS} more; all of them with --json")
    print(verdict.line())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    judging = actions.add_parser("judge", help="compare both clusters and the clients' logs")
    judging.add_argument("--source", required=True, help="bootstrap servers, as clients were given")
    judging.add_argument("--target", required=True)
    judging.add_argument("--dir", type=Path, required=True, help="the workload's directory")
    judging.add_argument("--prefix", help="must be the workload's, where given")
    judging.add_argument(
        "--final",
        choices=["source", "target"],
        help="where clients are in the end; default: where the last record was acknowledged",
    )
    judging.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        judge = Judge(
            arguments.source, arguments.target, arguments.dir, arguments.prefix, arguments.final
        )
        verdict = judge.judge()
    except (CannotJudge, KafkaError, OSError) as error:
        print(f"oracle: cannot judge: {error or type(error).__name__}", file=sys.stderr)
        return 2
    show(verdict, arguments.json)
    return 0 if verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main())
