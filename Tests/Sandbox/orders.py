"""The small order system of the quick start and the tests: its topics, records and files.

Every record of a partition carries the next sequence number: that is what the oracle counts.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from kafka.record.default_records import DefaultRecordBatchBuilder

Headers = list[tuple[str, bytes | None]]


class WorkloadError(Exception):
    """Something the user of the workload can act on."""


@dataclass(frozen=True)
class TopicShape:
    """A topic of the workload, and its share of the history."""

    name: str
    partitions: int
    share: float
    live: bool = False
    compacted: bool = False

    def configs(self, small_segments: bool) -> dict[str, str]:
        """The topic's settings; only full segments are compacted, so small ones show it sooner."""
        configs = {"retention.ms": "-1"}
        if self.compacted:
            configs |= {
                "cleanup.policy": "compact",
                "min.cleanable.dirty.ratio": "0.01",
                "segment.ms": "1000",
            }
            if small_segments:
                configs["segment.bytes"] = "16384"
        return configs


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

    def append(self: Any, offset: int, stamp: int, key: Any, value: Any, headers: Headers) -> Any:
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


def login() -> dict[str, str]:
    """How clients log in: `WORKLOAD_LOGIN` holds USER:PASSWORD for SASL/PLAIN; without it, not at all."""
    user, _, password = os.environ.get("WORKLOAD_LOGIN", "").partition(":")
    if not user:
        return {}
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": user,
        "sasl_plain_password": password,
    }


def producer(bootstrap: str, **options: Any) -> KafkaProducer:
    """An idempotent producer that goes on trying through any outage of a few minutes."""
    return KafkaProducer(
        bootstrap_servers=bootstrap.split(","),
        acks="all",
        **(
            login()
            | {
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


def manifest_of(directory: Path) -> dict[str, Any]:
    manifest = read_json(directory / "workload.json")
    if manifest is None:
        raise WorkloadError(f"no workload in {directory}; run `workload.py prepare` first")
    return manifest
