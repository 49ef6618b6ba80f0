#!/usr/bin/env python3
"""The sandbox keeps its word: clients stay behind the proxy, faults strike, nothing outlives it.

Run with the sandbox's Python: `.venv-sandbox/bin/python Tests/Sandbox/test_sandbox.py`.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

import orders
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from proxy import FETCH, Request, fetch_reply_is_empty, parse_request

HERE = Path(__file__).parent
NO_RECORDS = struct.pack(">i", 0)


def fetch_reply(records: bytes, error: int = 0) -> bytes:
    """A version 4 reply for one partition; `records` comes with its length."""
    partition = struct.pack(">ihqqi", 0, error, 5, 5, -1) + records
    return struct.pack(">iii", 1, 0, 1) + b"\0\1t" + struct.pack(">i", 1) + partition


class FrameTests(unittest.TestCase):
    """What the proxy reads of frames."""

    def test_fetch_request(self) -> None:
        head = struct.pack(">hhih", FETCH, 11, 9, 2) + b"me" + struct.pack(">ii", -1, 250)
        self.assertEqual(parse_request(head), Request(FETCH, 11, 0.25))
        head = struct.pack(">hhih", FETCH, 12, 9, -1) + b"\0" + struct.pack(">ii", -1, 250)
        self.assertEqual(parse_request(head), Request(FETCH, 12, 0.25))

    def test_empty_fetch_reply(self) -> None:
        self.assertTrue(fetch_reply_is_empty(fetch_reply(NO_RECORDS), 4))
        self.assertTrue(fetch_reply_is_empty(fetch_reply(struct.pack(">i", -1)), 4))

    def test_records_errors_and_damage_are_not_empty(self) -> None:
        records = struct.pack(">i", 3) + b"abc"
        self.assertFalse(fetch_reply_is_empty(fetch_reply(records), 4))
        self.assertFalse(fetch_reply_is_empty(fetch_reply(NO_RECORDS, error=1), 4))
        self.assertFalse(fetch_reply_is_empty(fetch_reply(NO_RECORDS)[:20], 4))


class SandboxTests(unittest.TestCase):
    """A served noida broker."""

    def setUp(self) -> None:
        self.temporary = tempfile.TemporaryDirectory(prefix="ferry-sandbox-")
        self.process = subprocess.Popen(
            [sys.executable, HERE / "sandbox.py", "serve", "--kind", "noida", "--brokers", "source"]
            + ["--dir", self.temporary.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.broker = self.answer()["brokers"]["source"]
        self.admin = KafkaAdminClient(bootstrap_servers=self.broker["bootstrap"])
        self.admin.create_topics([NewTopic("t", 1, 1, topic_configs={"retention.ms": "-1"})])

    def tearDown(self) -> None:
        self.admin.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.temporary.cleanup()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def do(self, action: str, **more: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": action, "broker": "source"} | more) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def write(self, count: int) -> None:
        producer = orders.producer(self.broker["bootstrap"])
        sent = [producer.send("t", value=b"x" * 100, partition=0) for _ in range(count)]
        for each in sent:
            each.get(20)
        producer.close()

    def count(self) -> int:
        consumer = KafkaConsumer(bootstrap_servers=self.broker["bootstrap"])
        try:
            return consumer.end_offsets([TopicPartition("t", 0)])[TopicPartition("t", 0)]
        finally:
            consumer.close()

    def gone(self, pid: int) -> bool:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.02)
        return False

    def test_a_produce_reply_that_is_cut_off_duplicates_nothing(self) -> None:
        for direction in ("up", "down"):
            self.do("breakframe", direction=direction, after_bytes=20, api="produce")
            self.write(10)
        self.assertEqual(self.count(), 20)

    def test_delay_and_heal(self) -> None:
        self.do("delay", ms=200)
        started = time.monotonic()
        self.write(1)
        self.assertGreater(time.monotonic() - started, 0.2)
        self.do("heal")

    def test_stop_keeps_records_and_ports(self) -> None:
        self.write(10)
        self.assertIsNone(self.do("stop")["pid"])
        self.assertEqual(self.do("start")["bootstrap"], self.broker["bootstrap"])
        self.assertEqual(self.count(), 10)

    def test_wrong_commands_are_answered(self) -> None:
        for action in ({"do": "breakframe"}, {"do": "nonsense"}, {"do": "cut", "broker": "moon"}):
            reply = self.do(**{"action": action.pop("do")}, **action)
            self.assertFalse(reply["ok"])
            self.assertTrue(reply["error"])

    def test_brokers_end_with_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.assertEqual(self.process.wait(10), 0)
        self.process.stdin = None
        self.assertTrue(self.gone(self.broker["pid"]))

    def test_brokers_die_with_the_sandbox(self) -> None:
        self.process.kill()
        self.assertTrue(self.gone(self.broker["pid"]))


if __name__ == "__main__":
    unittest.main()
