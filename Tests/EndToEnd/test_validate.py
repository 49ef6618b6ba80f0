"""`ferry validate` on any two clusters finds what somebody did to a copy, down to the offset, and raises
no alarm where nothing was done."""

from __future__ import annotations

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from scenario import RETENTION, Scenario

Record = tuple[bytes | None, bytes | None, int, list[tuple[str, bytes]]]


def history(count: int) -> list[Record]:
    """Keyed records with headers, some of them tombstones."""
    return [
        (f"k{n % 7}".encode(), None if n % 50 == 3 else f"v{n}".encode(), 1000 + n, [("h", b"1")])
        for n in range(count)
    ]


class ValidateTests(unittest.TestCase):
    scenario: Scenario
    number = 0

    @classmethod
    def setUpClass(cls) -> None:
        cls.scenario = Scenario(records=100)
        cls.scenario.__enter__()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.scenario.close()

    def compare(
        self, left: list[Record], right: list[Record], **config: str
    ) -> tuple[int, list[dict]]:
        """Writes both sides and asks Ferry; gives its exit code and its differences."""
        ValidateTests.number += 1
        topic = f"{self.scenario.prefix or 't'}.validate{ValidateTests.number}"
        for bootstrap, records in ((self.scenario.source, left), (self.scenario.target, right)):
            admin = KafkaAdminClient(bootstrap_servers=bootstrap)
            configs = RETENTION | {k.replace("_", "."): v for k, v in config.items()}
            admin.create_topics([NewTopic(topic, 1, 1, topic_configs=configs)])
            admin.close()
            producer = KafkaProducer(bootstrap_servers=bootstrap, retries=5)
            for key, value, timestamp, headers in records:
                producer.send(topic, value, key, headers, partition=0, timestamp_ms=timestamp)
            producer.flush(30)
            producer.close()
        answer = self.scenario.ferry(
            "validate", "--source", self.scenario.source, "--target", self.scenario.target,
            "--topic", topic, "--json", plan=False,
        )  # fmt: skip
        self.assertIn(answer.returncode, (0, 1), answer.stderr)
        (verdict,) = json.loads(answer.stdout)
        self.assertEqual(verdict["differenceCount"], len(verdict["differences"]))
        return answer.returncode, verdict["differences"]

    def test_equal_copies_are_equal(self) -> None:
        self.assertEqual(self.compare(history(500), history(500)), (0, []))

    def test_a_missing_record_is_named(self) -> None:
        copy = history(500)
        del copy[123]
        code, differences = self.compare(history(500), copy)
        self.assertEqual((code, differences), (1, [{"missing": {"source": 123}}]))

    def test_an_extra_record_is_named(self) -> None:
        copy = history(500)
        copy.insert(77, (b"x", b"foreign", 5, []))
        code, differences = self.compare(history(500), copy)
        self.assertEqual((code, differences), (1, [{"extra": {"target": 77}}]))

    def test_a_duplicate_is_an_extra_record(self) -> None:
        copy = history(500)
        copy.insert(42, copy[41])
        code, differences = self.compare(history(500), copy)
        self.assertEqual(code, 1)
        self.assertEqual(len(differences), 1)
        self.assertIn(differences[0]["extra"]["target"], (41, 42))

    def test_a_lost_tail_is_named_whole(self) -> None:
        code, differences = self.compare(history(500), history(497))
        self.assertEqual(code, 1)
        self.assertEqual([d["missing"]["source"] for d in differences], [497, 498, 499])

    def test_swapped_records_are_reordered_not_lost(self) -> None:
        copy = history(500)
        copy[10], copy[11] = copy[11], copy[10]
        code, differences = self.compare(history(500), copy)
        self.assertEqual(code, 1)
        self.assertTrue(all("reordered" in d for d in differences), differences)

    def test_any_altered_field_is_a_difference(self) -> None:
        for change in (
            lambda r: (b"other", *r[1:]),
            lambda r: (r[0], r[1] + b"!", *r[2:]),
            lambda r: (*r[:2], r[2] + 1, r[3]),
            lambda r: (*r[:3], [("h", b"2")]),
            lambda r: (*r[:3], [*r[3], *r[3]]),
            lambda r: (r[0], b"", *r[2:]),
        ):
            copy = history(60)
            copy[20] = change(copy[20])
            code, differences = self.compare(history(60), copy)
            self.assertEqual(code, 1)
            self.assertTrue(differences)

    def test_compacted_topics_are_compared_by_the_latest_value_of_each_key(self) -> None:
        left = history(60)
        right = [record for n, record in enumerate(left) if n >= 40]
        self.assertEqual(self.compare(left, right, cleanup_policy="compact"), (0, []))
        right[-1] = (right[-1][0], b"stale", *right[-1][2:])
        code, differences = self.compare(left, right, cleanup_policy="compact")
        self.assertEqual(code, 1)
        self.assertEqual(differences[0]["altered"]["fields"], ["value"])


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
