"""Clients and oracle of `test_rekey.py`: they know nothing of Ferry."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition

GROUP = "rekey-group"


def murmur2(data: bytes) -> int:
    """Kafka's hash of a key, from its description: MurmurHash2 with seed 0x9747b28c."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(data)
    while len(data) >= 4:
        k = int.from_bytes(data[:4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
        data = data[4:]
    if data:
        h = (h ^ int.from_bytes(data, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def place(key: bytes | None, number: int, count: int) -> int:
    """Of the record with this sequence number."""
    return number % count if key is None else (murmur2(key) & 0x7FFFFFFF) % count


def key_of(number: int) -> bytes | None:
    return None if number % 5 == 0 else f"key-{number % 37}".encode()


def value_of(number: int) -> bytes | None:
    # kafka-python sends no record that has neither key nor value.
    return None if number % 11 == 0 and number % 5 else f"value {number}".encode()


def headers_of(number: int) -> list[tuple[str, bytes]]:
    return [("number", str(number).encode()), ("number", b""), ("kind", b"test")]


class Clients:
    """One producer and one group, each on at most one cluster, as the hooks want it."""

    def __init__(self, directory: Path, topic: str, counts: dict[str, int], rate: float) -> None:
        self.directory = directory
        self.topic = topic
        self.counts = counts
        self.rate = rate
        self.next = 0
        self.processed: list[int] = []
        self.over = threading.Event()
        self.failure: BaseException | None = None
        self.threads = [
            threading.Thread(target=self.guard, args=(work,)) for work in (self.produce, self.consume)
        ]

    def __enter__(self) -> Clients:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def guard(self, work: Any) -> None:
        try:
            work()
        except BaseException as error:
            self.failure = error
            raise

    def want(self, client: str, bootstrap: str) -> None:
        (self.directory / f"{client}.want").write_text(bootstrap)
        while (self.directory / f"{client}.is").read_text() != bootstrap:
            time.sleep(0.02)

    def wanted(self, client: str) -> str:
        try:
            return (self.directory / f"{client}.want").read_text()
        except FileNotFoundError:
            return ""

    def confirm(self, client: str, bootstrap: str) -> None:
        part = self.directory / f"{client}.confirmed"
        part.write_text(bootstrap)
        part.rename(self.directory / f"{client}.is")

    def history(self, bootstrap: str, records: int) -> None:
        writer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
        for _ in range(records):
            self.send(writer, bootstrap)
        writer.flush(60)
        writer.close()

    def send(self, writer: KafkaProducer, bootstrap: str) -> Any:
        number = self.next
        self.next += 1
        key = key_of(number)
        return writer.send(
            self.topic, value_of(number), key=key, headers=headers_of(number),
            partition=place(key, number, self.counts[bootstrap]),
            timestamp_ms=1_700_000_000_000 + number,
        )  # fmt: skip

    def produce(self) -> None:
        current, writer = "", None
        while not self.over.is_set():
            wanted = self.wanted("producer")
            if wanted != current:
                if writer:
                    writer.flush(60)
                    writer.close()
                writer = None
                if wanted:
                    writer = KafkaProducer(bootstrap_servers=wanted, acks="all", retries=0)
                current = wanted
            self.confirm("producer", current)
            if writer:
                self.send(writer, current).get(30)
            time.sleep(1 / self.rate)

    def consume(self) -> None:
        current, reader = "", None
        while not self.over.is_set():
            wanted = self.wanted("consumer")
            if wanted != current:
                if reader:
                    reader.close(autocommit=False)
                reader = None
                if wanted:
                    reader = KafkaConsumer(
                        self.topic, bootstrap_servers=wanted, group_id=GROUP,
                        enable_auto_commit=False, auto_offset_reset="none" if self.processed else "earliest",
                    )  # fmt: skip
                current = wanted
            self.confirm("consumer", current)
            if not reader:
                time.sleep(0.02)
                continue
            for records in reader.poll(200).values():
                self.processed += [number_of(record) for record in records]
                last = records[-1]
                reader.commit(
                    {
                        TopicPartition(last.topic, last.partition): OffsetAndMetadata(
                            last.offset + 1, "", -1
                        )
                    }
                )


def number_of(record: Any) -> int:
    return int(dict(reversed(record.headers))["number"])


def read_all(bootstrap: str, topic: str, count: int) -> dict[int, list[Any]]:
    """Every partition's records, in order."""
    reader = KafkaConsumer(bootstrap_servers=bootstrap)
    found: dict[int, list[Any]] = {}
    for number in range(count):
        partition = TopicPartition(topic, number)
        reader.assign([partition])
        reader.seek_to_beginning(partition)
        end = reader.end_offsets([partition])[partition]
        found[number] = []
        while reader.position(partition) < end:
            for records in reader.poll(500).values():
                found[number] += records
    reader.close()
    return found


def judge(partitions: dict[int, list[Any]], written: int, name: str) -> list[str]:
    """What is wrong with a cluster's copy of the topic."""
    wrong: list[str] = []
    seen = Counter(number_of(record) for records in partitions.values() for record in records)
    wrong += [f"{name}: lost {n}" for n in range(written) if seen[n] == 0]
    wrong += [f"{name}: {n} stands there {c} times" for n, c in seen.items() if c > 1]
    for partition, records in partitions.items():
        last: dict[bytes, int] = {}
        for record in records:
            number, key = number_of(record), record.key
            expected = (key_of(number), value_of(number), headers_of(number))
            if (key, record.value, [tuple(h) for h in record.headers]) != expected:
                wrong.append(f"{name}: {number} is another record")
            if record.timestamp != 1_700_000_000_000 + number:
                wrong.append(f"{name}: {number} has another timestamp")
            if key is None:
                continue
            if place(key, number, len(partitions)) != partition:
                wrong.append(f"{name}: {number} stands in partition {partition}")
            if last.get(key, -1) > number:
                wrong.append(f"{name}: {number} stands behind {last[key]}")
            last[key] = number
    return wrong
