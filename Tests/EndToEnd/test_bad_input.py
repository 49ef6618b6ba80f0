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

from scenario import HOOK, RETENTION, Scenario, broker_kind

SECRET = "hunter2-do-not-print"

WRAPPER = """#!/usr/bin/env bash
# The quick start's hook, which misbehaves as the file `misbehave` says.
case "$(cat misbehave 2>/dev/null):$FERRY_ACTION:$FERRY_CLUSTER:${{FERRY_GROUP:-}}" in
  fence-noop:fence:source:*) exit 0 ;;
  fence-hangs:fence:source:*) sleep 300 ;;
  pause-noop:pause:source:*billing) exit 0 ;;
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
            attempt("pause-noop", "billing still has members")
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
            prefix = f"{scenario.prefix}." if scenario.prefix else ""
            billing, position = f"{prefix}billing", f"{prefix}orders.events:0:5"
            self.expect(scenario.ferry("translate", billing, **environment), 0, "orders.events:0")
            self.expect(
                scenario.ferry("translate", position, "--to", "source", **environment),
                0, f"{position} -> {position}",
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
            self.expect(scenario.ferry("run"), 5, name, "retention.ms is 86400000")
            # Nothing was half-done: the other topics were not created.
            self.assertNotIn(f"{prefix}orders.events", admin.list_topics())
            admin.delete_topics([name])
            admin.create_topics([NewTopic(name, 3, 1, topic_configs=RETENTION)])
            producer = KafkaProducer(bootstrap_servers=scenario.target)
            producer.send(name, b"foreign", partition=1).get(30)
            producer.close()
            admin.close()
            self.expect(scenario.ferry("dry-run"), 1, "orders.payments:1", "not empty")
            self.expect(scenario.ferry("run"), 5, "orders.payments:1", "not empty")


RIGHT = "open-sesame-do-not-print"
WRONG = "hunter3-do-not-print"
REFUSED = "SASL authentication error: Authentication failed: Invalid username or password"


class PasswordTests(unittest.TestCase):
    """Clusters that Ferry has to log in to; the plan has references to passwords."""

    def setUp(self) -> None:
        if broker_kind() != "kafka":
            self.skipTest("only Apache Kafka's brokers look at passwords here: set KAFKA_HOME")
        self.scenario = Scenario(records=300, sasl=f"ferry:{RIGHT}")
        self.enterContext(self.scenario)
        self.scenario.write_plan(self.with_logins)
        self.printed: list[str] = []

    def with_logins(self, text: str) -> str:
        for name, reference in (("source", "env:FERRY_TEST_PASSWORD"), ("target", "file:password")):
            direct = f'{name}: {{ bootstrap: ["{getattr(self.scenario, name)}"] }}'
            self.assertIn(direct, text)
            client = (
                "{ security.protocol: SASL_PLAINTEXT, sasl.mechanism: PLAIN, "
                f'sasl.username: ferry, sasl.password: "{reference}" }}'
            )
            address = self.scenario.logins[name]
            text = text.replace(direct, f'{name}: {{ bootstrap: ["{address}"], client: {client} }}')
        return text

    def passwords(self, source: str, target: str) -> dict[str, str]:
        """Puts the passwords where the plan looks for them; returns the environment's part."""
        (self.scenario.directory / "password").write_text(f"{target}\n")
        return {"FERRY_TEST_PASSWORD": source}

    def expect(
        self, arguments: list[str], source: str, target: str, code: int, *words: str, within: float
    ) -> None:
        started = time.monotonic()
        environment = self.passwords(source, target)
        answer = self.scenario.ferry(*arguments, timeout=within + 30, **environment)
        self.assertLess(time.monotonic() - started, within, arguments)
        text = answer.stdout + answer.stderr
        self.printed.append(text)
        self.assertEqual(answer.returncode, code, text)
        for word in words:
            self.assertIn(word, text)

    def mirror_and_stop(self) -> None:
        """A run with the right passwords, up to its wish for an approval."""
        process = self.scenario.start(**self.passwords(RIGHT, RIGHT))
        self.scenario.wait(lambda s: "pprov" in s.get("waitingFor", ""), "mirror", approve=False)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30), 130, self.scenario.tail())

    def test_a_wrong_password_ends_each_command_in_time_and_is_never_printed(self) -> None:
        # `check` is offline: no password is looked at, nor looked up.
        self.expect(["check"], WRONG, WRONG, 0, "valid, sha256:", within=10)
        self.expect(["dry-run"], WRONG, RIGHT, 1, "source cluster", within=30)
        self.expect(["dry-run"], RIGHT, WRONG, 1, "target cluster", within=30)
        self.expect(["dry-run", "--verbose"], WRONG, WRONG, 1, "source cluster", REFUSED, within=30)
        self.expect(["run"], WRONG, RIGHT, 1, "source cluster", REFUSED, within=30)
        self.expect(["run"], RIGHT, WRONG, 1, "stopped at step provision: target cluster", REFUSED,
                    within=30)  # fmt: skip
        self.expect(["status"], RIGHT, WRONG, 0, "provision: target cluster", within=10)

        # Nothing was half-done, and what is mirrored outlives a password that changed meanwhile.
        self.expect(["dry-run"], RIGHT, RIGHT, 0, "Way back", within=30)
        self.mirror_and_stop()
        self.expect(["run"], WRONG, RIGHT, 1, "source cluster", within=30)
        self.mirror_and_stop()
        self.expect(["validate"], RIGHT, RIGHT, 0, " 0 differences", within=60)

        shown = self.scenario.ferry("journal", "show", str(self.scenario.plan), plan=False)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        files = [self.scenario.log, *self.scenario.directory.glob("*.ferry.db*")]
        self.assertGreater(len(files), 1)
        for password in (RIGHT, WRONG):
            self.assertNotIn(password, "\n".join([shown.stdout, *self.printed]))
            for file in files:
                self.assertNotIn(password.encode(), file.read_bytes(), file)

    def test_a_wrong_password_is_called_one(self) -> None:
        self.expect(["dry-run"], WRONG, RIGHT, 1, "source cluster", "credentials", within=30)
        self.expect(["dry-run"], RIGHT, WRONG, 1, "target cluster", "credentials", within=30)
        self.expect(["run"], WRONG, RIGHT, 1, "source cluster", "credentials", within=30)
        self.expect(["run"], RIGHT, WRONG, 1, "target cluster", "credentials", within=30)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
