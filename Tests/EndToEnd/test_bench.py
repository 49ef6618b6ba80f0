"""`ferry bench` copies what it says, measures it, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from kafka.admin import KafkaAdminClient
from scenario import Scenario, ferry_binary


class BenchTests(unittest.TestCase):
    def left(self, scenario: Scenario) -> list[str]:
        """Bench topics on both clusters, once what was deleted has had time to leave the lists."""
        deadline = time.monotonic() + 20
        while True:
            found: list[str] = []
            for servers in (scenario.source, scenario.target):
                admin = KafkaAdminClient(bootstrap_servers=servers)
                found += [t for t in admin.list_topics() if t.startswith("ferry.bench.")]
                admin.close()
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.2)

    def test_it_measures_and_cleans_up(self) -> None:
        with Scenario(records=10) as scenario:
            clusters = ["--source", scenario.source, "--target", scenario.target]
            answer = scenario.ferry(
                "bench", *clusters, "--records", "4000", "--size", "64", "--partitions", "3",
                "--idle-partitions", "5", "--codec", "lz4", "--rounds", "2", "--tail-rate", "200",
                "--tail-seconds", "2", "--json", plan=False,
            )  # fmt: skip
            self.assertEqual(answer.returncode, 0, answer.stderr)
            report = json.loads(answer.stdout)
            for way in ("bare", "mirror"):
                self.assertEqual([copy["records"] for copy in report[way]], [4000, 4000])
                self.assertTrue(all(copy["seconds"] > 0 for copy in report[way]))
            self.assertEqual(report["tail"]["records"], 400)
            for side in ("source", "target"):
                self.assertGreater(report["tail"][side]["p50"], 0)
            for share in ("handling", "keeping"):
                times = report["tail"][share]
                self.assertGreater(times["p50"], 0)
                self.assertTrue(times["p50"] <= times["p99"] <= times["max"], times)
            # What is handled is kept as well.
            for name in ("p50", "p99", "max"):
                self.assertLessEqual(
                    report["tail"]["handling"][name], report["tail"]["keeping"][name]
                )
            self.assertGreater(report["startMemory"], 1 << 20)
            self.assertGreaterEqual(report["peakMemory"], report["startMemory"])
            self.assertEqual(self.left(scenario), [])

            # Cut off in the middle, it cleans up as well.
            process = scenario.spawn(
                [ferry_binary(), "bench", *clusters, "--records", "4000"]
                + ["--tail-rate", "100", "--tail-seconds", "60"],
                stderr=scenario.log.open("a"),
            )
            deadline = time.monotonic() + 60
            while "100 records/s" not in scenario.tail() and time.monotonic() < deadline:
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(60), 130, scenario.tail())
            self.assertEqual(self.left(scenario), [])

    def test_it_measures_a_rekeyed_topic(self) -> None:
        with Scenario(records=10) as scenario:
            clusters = ["--source", scenario.source, "--target", scenario.target]
            arguments = [
                "bench", *clusters, "--records", "3000", "--size", "64", "--partitions", "3",
                "--rekey-to", "5", "--rounds", "1", "--tail-rate", "200", "--tail-seconds", "2",
            ]  # fmt: skip
            answer = scenario.ferry(*arguments, "--json", plan=False)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            report = json.loads(answer.stdout)
            self.assertEqual((report["partitions"], report["rekeyTo"]), (3, 5))
            for way in ("bare", "mirror"):
                self.assertEqual([copy["records"] for copy in report[way]], [3000])
                self.assertGreater(report[way][0]["seconds"], 0)
            # All of the tail was read from the five partitions.
            self.assertEqual(report["tail"]["records"], 400)
            self.assertGreater(report["tail"]["target"]["p50"], 0)
            # What a lane of other topics spends on a record is not measured here.
            self.assertNotIn("handling", report["tail"])
            self.assertEqual(self.left(scenario), [])

            answer = scenario.ferry(*arguments, "--tail-rate", "0", plan=False)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertIn("in 3 partitions, rekeyed to 5,", answer.stdout)
            self.assertRegex(answer.stdout, r"ratio: \d+\.\d+ of the bare loop's speed")
            self.assertEqual(self.left(scenario), [])

    def test_bad_arguments_are_refused(self) -> None:
        with Scenario(records=10) as scenario:
            for arguments in (
                [],
                ["--source", "localhost:1"],
                ["--source", "localhost:1", "--target", "localhost:2", "--size", "3"],
                ["--source", "localhost:1", "--target", "localhost:2", "--codec", "zip"],
                ["--source", "localhost:1", "--target", "localhost:2", "--rekey-to", "0"],
                ["--source", "localhost:1", "--target", "localhost:2", "--rekey-to", "4"]
                + ["--lanes", "2"],
            ):
                self.assertEqual(scenario.ferry("bench", *arguments, plan=False).returncode, 2)
            answer = scenario.ferry(
                "bench", "--source", "127.0.0.1:1", "--target", scenario.target, plan=False
            )
            self.assertEqual(answer.returncode, 1)
            self.assertIn("source cluster", answer.stderr)
            self.assertEqual(self.left(scenario), [])


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
