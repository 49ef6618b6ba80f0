"""Bad input, bad hooks and bad luck: each gives a clear error or a safe stop, the right exit code, and
loses nothing."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scenario import HOOK, RETENTION, Scenario

SECRET = "hunter2-do-not-print"

WRAPPER = """#!/usr/bin/env bash
# The quick start's hook, which misbehaves as the file `misbehave` says.
case "$(cat misbehave 2>/dev/null):$FERRY_ACTION:$FERRY_CLUSTER:${{FERRY_GROUP:-}}" in
  fence-noop:fence:source:*) exit 0 ;;
  fence-hangs:fence:source:*) sleep 300 ;;
  pause-noop:pause:source:billing) exit 0 ;;
  switch-fails:switch:target:*) echo "cannot switch, password $FERRY_TEST_SECRET" >&2; exit 3 ;;
esac
exec {hook} "$@"
"""


class BadInputTests(unittest.TestCase):
    def expect(self, answer: object, code: int, *words: str) -> None:
        self.assertEqual(answer.returncode, code, answer.stdout + answer.stderr)
        for word in words:
            self.assertIn(word, answer.stdout + answer.stderr)

    def test_bad_plans_and_clusters_are_refused_before_anything_is_done(self) -> None:
        with Scenario(records=300) as scenario:
            good = scenario.plan.read_text()
            self.expect(scenario.ferry("check"), 0, "valid", "sha256:")
            self.expect(scenario.ferry("check", "--no-such-flag"), 2)
            self.expect(scenario.ferry("status"), 2, "journal")

            scenario.plan.write_text(good.replace("owner: team-orders", "ownr: team-orders"))
            self.expect(scenario.ferry("check"), 2, "did you mean `owner`", "plan.yaml:")
            self.expect(scenario.ferry("run"), 2, "did you mean `owner`")

            scenario.plan.write_text(good.replace(scenario.target, "127.0.0.1:1"))
            started = time.monotonic()
            self.expect(scenario.ferry("dry-run"), 1, "target cluster", "bootstrap")
            self.assertLess(time.monotonic() - started, 60)

            scenario.plan.write_text(good.replace(r"orders\..*", r"nothing\..*"))
            self.expect(scenario.ferry("run"), 1, "no topic on the source", "wave-1")

            secret = good.replace(
                f'source: {{ bootstrap: ["{scenario.source}"] }}',
                f'source: {{ bootstrap: ["{scenario.source}"], '
                "client: { sasl.password: env:FERRY_NOT_SET } }",
            )
            scenario.plan.write_text(secret)
            self.expect(scenario.ferry("run"), 2, "env:FERRY_NOT_SET")
            scenario.plan.write_text(good)
            self.expect(scenario.ferry("run", "--digest", "sha256:0"), 5, "reviewed")

    def test_misbehaving_hooks_bring_the_stage_back_and_it_can_be_tried_again(self) -> None:
        with Scenario() as scenario:
            wrapper = scenario.directory / "hook"
            wrapper.write_text(WRAPPER.format(hook=HOOK))
            wrapper.chmod(0o755)
            scenario.write_plan(
                lambda text: text.replace(str(HOOK), "./hook")
                .replace("./hook, fence]", "./hook, fence], timeout: 15s")
                .replace('["./hook", fence] }', '["./hook", fence], timeout: 15s }')
                .replace(
                    f'source: {{ bootstrap: ["{scenario.source}"] }}',
                    f'source: {{ bootstrap: ["{scenario.source}"], '
                    "client: { client.rack: env:FERRY_TEST_SECRET } }",
                )
            )
            environment = {"FERRY_TEST_SECRET": SECRET}
            misbehave = scenario.directory / "misbehave"

            def attempt(how: str, *words: str) -> None:
                misbehave.write_text(how)
                process = scenario.start(*again, **environment)
                again[:] = ["--again"]
                scenario.wait(
                    lambda s: s["state"] == "rolledBack" and process.poll() is not None, how
                )
                self.assertEqual(process.returncode, 4, scenario.tail())
                for word in words:
                    self.assertIn(word, scenario.tail())

            again: list[str] = []
            attempt("fence-noop", "does not hold", "orders.events", "records/s")
            attempt("pause-noop", "group billing still has members")
            attempt("switch-fails", "hook exec ./hook switch failed", "[redacted]")
            attempt("fence-hangs", "ran longer than")
            self.assertNotIn(SECRET, scenario.log.read_text())
            shown = scenario.ferry("journal", "show", str(scenario.plan), plan=False)
            self.expect(shown, 0, "[redacted]")
            self.assertNotIn(SECRET, shown.stdout)
            for file in scenario.directory.glob("*.ferry.db*"):
                self.assertNotIn(SECRET.encode(), file.read_bytes(), file)

            # A run of a rolled-back stage does nothing by itself.
            self.expect(scenario.ferry("run", **environment), 4, "--again")
            misbehave.write_text("")
            process = scenario.start("--again", **environment)
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")

            # A second engine, an edited plan, and Ctrl-C.
            self.expect(scenario.ferry("run", **environment), 1, "process")
            good = scenario.plan.read_text()
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(30), 130, scenario.tail())
            self.assertIn("resume with: ferry run", scenario.tail())
            scenario.plan.write_text(good.replace("lagBelow: 100,", "lagBelow: 101,"))
            self.expect(scenario.ferry("run", **environment), 5, "changed after the run began")
            scenario.plan.write_text(good)
            self.expect(scenario.ferry("validate", **environment), 0, " 0 differences")
            self.expect(scenario.ferry("translate", "billing", **environment), 0, "orders.events:0")
            self.expect(
                scenario.ferry("translate", "orders.events:0:5", "--to", "source", **environment),
                0, "orders.events:0:5 -> orders.events:0:5",
            )  # fmt: skip
            self.expect(scenario.ferry("rollback", "--yes", **environment), 0, "rolled back")
            time.sleep(1)
            scenario.assert_nothing_wrong()

    def test_damaged_and_newer_journals_are_refused_and_left_alone(self) -> None:
        with Scenario(records=300) as scenario:
            process = scenario.start()
            scenario.wait(lambda s: s["state"] in ("validated", "approved", "soaking"), "mirroring")
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            journal = next(scenario.directory.glob("*.ferry.db"))
            with sqlite3.connect(journal) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.close()
            self.assertEqual(journal.stat().st_mode & 0o777, 0o600)
            kept = Path(tempfile.mkdtemp(prefix="ferry-journal.")) / "kept.db"
            shutil.copy(journal, kept)

            with sqlite3.connect(journal) as database:
                database.execute("PRAGMA user_version = 999")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.close()
            before = journal.read_bytes()
            self.expect(scenario.ferry("run"), 1, "newer")
            self.assertEqual(before, journal.read_bytes())

            shutil.copy(kept, journal)
            data = bytearray(journal.read_bytes())
            data[20] ^= 0xFF
            journal.write_bytes(data)
            self.expect(scenario.ferry("run"), 1, "journal")
            self.assertEqual(bytes(data), journal.read_bytes())

            shutil.copy(kept, journal)
            data = bytearray(journal.read_bytes())
            at = data.find(b'"provision"')
            self.assertGreater(at, 0)
            data[at + 1] ^= 0x01
            journal.write_bytes(data)
            verify = scenario.ferry("journal", "verify", str(scenario.plan), plan=False)
            self.assertEqual(verify.returncode, 1, verify.stdout)
            self.expect(scenario.ferry("run"), 1, "journal")
            os.unlink(kept)

    def test_a_target_topic_that_holds_records_is_refused(self) -> None:
        with Scenario(records=300) as scenario:
            from kafka import KafkaProducer
            from kafka.admin import KafkaAdminClient, NewTopic

            prefix = f"{scenario.prefix}." if scenario.prefix else ""
            admin = KafkaAdminClient(bootstrap_servers=scenario.target)
            name = f"{prefix}orders.payments"
            admin.create_topics([NewTopic(name, 3, 1, topic_configs={"retention.ms": "86400000"})])
            self.expect(scenario.ferry("dry-run"), 1, "retention.ms is 86400000")
            self.expect(scenario.ferry("run"), 1, name, "retention.ms is 86400000")
            # Nothing was half-done: the other topics were not created.
            self.assertNotIn(f"{prefix}orders.events", admin.list_topics())
            admin.delete_topics([name])
            admin.create_topics([NewTopic(name, 3, 1, topic_configs=RETENTION)])
            producer = KafkaProducer(bootstrap_servers=scenario.target)
            producer.send(name, b"foreign", partition=1).get(30)
            producer.close()
            admin.close()
            self.expect(scenario.ferry("dry-run"), 1, "orders.payments:1", "not empty")
            self.expect(scenario.ferry("run"), 1, "orders.payments:1", "not empty")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
