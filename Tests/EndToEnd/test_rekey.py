"""A whole migration of a topic that is rekeyed, 3 -> 5 partitions: there, back and there again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import unittest
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from kafka import KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from rekey_clients import GROUP, Clients, judge, murmur2, number_of, read_all
from scenario import PYTHON, RETENTION, SANDBOX, Scenario, ferry_binary

sys.path.insert(0, str(SANDBOX))

from orders import patiently

TOPIC = "rekeyed"
LATE = "late-group"
"""Has commits, and no clients."""

LATE_GROUP = f"""
  - name: {LATE}
    owner: team
    pause: {{ exec: [/bin/true] }}
    resume: {{ exec: [/bin/true] }}
"""


class Rekeyed(Scenario):
    """Brokers with one topic, and clients of its own in place of the sandbox's."""

    def __enter__(self) -> Rekeyed:
        try:
            self.start_brokers()
            admin = KafkaAdminClient(bootstrap_servers=self.source)
            patiently(lambda: admin.create_topics([NewTopic(TOPIC, 3, 1, topic_configs=RETENTION)]))
            admin.close()
            self.write()
            return self
        except BaseException:
            self.close()
            raise

    def write(
        self, rule: str = "partitions: 5, order: rekey", stage: str = "", late: bool = False
    ) -> None:
        hook = f'[{PYTHON}, {Path(__file__).parent / "rekey_hook.py"}, {self.directory}]'
        self.plan.write_text(
            f"""
ferry: v1
migration: rekeyed
clusters:
  source: {{ bootstrap: ["{self.source}"] }}
  target: {{ bootstrap: ["{self.target}"] }}
topics:
  - name: {TOPIC}
    owner: team
    {rule.replace(", ", chr(10) + "    ")}
groups:
  - name: {GROUP}
    owner: team
    pause: {{ exec: {hook} }}
    resume: {{ exec: {hook} }}
    verify: {{ lagBelow: 1000, within: 30s }}
{LATE_GROUP if late else ""}
stages:
  - stage: wave-1
    topics: [{TOPIC}]
    groups: [{f"{GROUP}, {LATE}" if late else GROUP}]
    fence: {{ exec: {hook} }}
    unfence: {{ exec: {hook} }}
    gates: [{{ lagBelow: 100 }}, {{ approvals: 1 }}]
    switch: {{ exec: {hook} }}
    stability: 500ms
    soak: 2s
    {stage}
"""
        )


    def commit(self, offsets: list[int]) -> None:
        """Commits for the late group on the source."""
        admin = KafkaAdminClient(bootstrap_servers=self.source)
        commits = {TopicPartition(TOPIC, n): OffsetAndMetadata(o, "", -1) for n, o in enumerate(offsets)}
        patiently(lambda: admin.alter_group_offsets(LATE, commits))
        admin.close()

    def passed(self, cluster: str, partitions: int) -> set[int]:
        """What the late group has read there, by its commits."""
        admin = KafkaAdminClient(bootstrap_servers=cluster)
        commits = admin.list_group_offsets([LATE])[LATE]
        admin.close()
        return {
            number_of(record)
            for number, records in read_all(cluster, TOPIC, partitions).items()
            for record in records
            if record.offset < commits[TopicPartition(TOPIC, number)].offset
        }


class RekeyTests(unittest.TestCase):
    @contextmanager
    def migration(self, records: int = 2000) -> Iterator[tuple[Rekeyed, Clients]]:
        with Rekeyed() as scenario:
            counts = {scenario.source: 3, scenario.target: 5}
            with Clients(scenario.directory, TOPIC, counts, 60) as clients:
                clients.history(scenario.source, records)
                clients.want("producer", scenario.source)
                clients.want("consumer", scenario.source)
                deadline = time.monotonic() + 60
                while len(clients.processed) < records and time.monotonic() < deadline:
                    time.sleep(0.1)
                yield scenario, clients

    def finish(self, scenario: Rekeyed, clients: Clients, home: str) -> None:
        """Stops the clients and judges both sides and the group."""
        self.assertIsNone(clients.failure)
        clients.want("producer", "")
        deadline = time.monotonic() + 30
        while len(clients.processed) < clients.next and time.monotonic() < deadline:
            time.sleep(0.1)
        clients.want("consumer", "")
        wrong = judge(read_all(home, TOPIC, clients.counts[home]), clients.next, "home")
        seen = Counter(clients.processed)
        wrong += [f"group skipped {n}" for n in range(clients.next) if seen[n] == 0]
        wrong += [f"group read {n} {c} times" for n, c in seen.items() if c > 1]
        self.assertEqual(wrong[:20], [], f"{self.commits(home)}\n{scenario.tail()}" if wrong else "")

    @staticmethod
    def commits(cluster: str) -> str:
        """Where the group stands, to tell a group that was misled from one that did not come to read."""
        admin = KafkaAdminClient(bootstrap_servers=cluster)
        commits = admin.list_group_offsets([GROUP])[GROUP]
        admin.close()
        return f"{GROUP} has committed {sorted((p.partition, c.offset) for p, c in commits.items())}"

    def both(self, scenario: Rekeyed, clients: Clients) -> None:
        """Waits until both sides hold all, and judges both."""
        deadline = time.monotonic() + 30
        wrong = ["not looked at"]
        while wrong and time.monotonic() < deadline:
            wrong = []
            for name in (scenario.source, scenario.target):
                found = read_all(name, TOPIC, clients.counts[name])
                wrong += judge(found, clients.next, "source" if name == scenario.source else "target")
        self.assertEqual(wrong[:20], [], scenario.tail())

    def run_to(self, scenario: Rekeyed, state: str, *arguments: str, kill: list[str] = []) -> None:
        """Runs until the stage is in `state`; killed at each of the places in turn."""
        for point in kill:
            engine = scenario.start(*arguments, FERRY_FAILPOINT=point)
            deadline = time.monotonic() + 90
            while engine.poll() is None and time.monotonic() < deadline:
                if "pprov" in (scenario.stage().get("waitingFor") or ""):
                    scenario.ferry("approve", "--by", "tester")
                time.sleep(0.1)
            self.assertEqual(engine.poll(), -signal.SIGKILL, f"{point}: {scenario.tail()}")
            arguments = ()
        engine = scenario.start(*arguments)
        scenario.wait(lambda s: s["state"] == state, state)

    def stop(self, scenario: Rekeyed) -> None:
        engine = scenario.engine
        assert engine
        if engine.poll() is None:
            engine.send_signal(signal.SIGINT)
            engine.wait(60)

    def back(self, scenario: Rekeyed, kill: list[str] = []) -> None:
        self.stop(scenario)
        command = [ferry_binary(), "rollback", str(scenario.plan), "--stage", "wave-1", "--yes"]
        for point in kill:
            with scenario.log.open("a") as log:
                done = subprocess.run(
                    command, env=os.environ | {"FERRY_FAILPOINT": point}, stdout=log,
                    stderr=subprocess.STDOUT, cwd=scenario.directory, timeout=120,
                )  # fmt: skip
            self.assertEqual(done.returncode, -signal.SIGKILL, f"{point}: {scenario.tail()}")
            command = [ferry_binary(), "run", str(scenario.plan)]
        with scenario.log.open("a") as log:
            done = subprocess.run(
                command, stdout=log, stderr=subprocess.STDOUT, cwd=scenario.directory, timeout=120
            )
        # A rollback that a killed engine had begun is gone on with by `run`.
        self.assertEqual(done.returncode, 4 if kill else 0, scenario.tail())
        self.assertEqual(scenario.stage()["state"], "rolledBack")

    def test_there_and_back_and_there_again(self) -> None:
        with self.migration() as (scenario, clients):
            report = scenario.ferry("dry-run")
            self.assertEqual(report.returncode, 0, report.stdout + report.stderr)
            self.assertIn("do not correspond one to one", report.stdout)
            self.run_to(scenario, "soaking")
            self.assertEqual(scenario.ferry("validate").returncode, 0)
            time.sleep(2)
            card = scenario.ferry("status", "--json").stdout
            self.assertIn('"skipped" : 0', card.replace('"skipped":0', '"skipped" : 0'))
            self.back(scenario)
            self.both_at_rest(scenario, clients)
            clients.want("producer", scenario.source)
            self.run_to(scenario, "soaking", "--again")
            doctor = scenario.ferry("doctor")
            self.assertEqual(doctor.returncode, 0, doctor.stdout + doctor.stderr)
            time.sleep(1)
            self.both_at_rest(scenario, clients)
            self.finish(scenario, clients, scenario.target)

    def test_a_group_that_lags_skips_nothing_and_reads_little_again(self) -> None:
        with self.migration(500) as (scenario, clients):
            scenario.write(late=True)
            scenario.commit([0, 0, 0])
            scenario.start()
            scenario.wait(lambda s: s["state"] == "validated", "validation", approve=False)
            time.sleep(1)
            # Somewhere within what has been mirrored as it came, and with a partition that is ahead.
            found = read_all(scenario.source, TOPIC, 3)
            scenario.commit([len(found[n]) - (n != 1) for n in range(3)])
            time.sleep(1)
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            source, target = scenario.passed(scenario.source, 3), scenario.passed(scenario.target, 5)
            self.assertEqual(target - source, set(), "skipped")
            self.assertGreater(len(target), 400)
            self.assertLess(len(source - target), 60, "read again")
            time.sleep(1)
            self.back(scenario)
            again = scenario.passed(scenario.source, 3)
            self.assertEqual(again - target, set(), "skipped")
            self.assertLess(len(target - again), 60, "read again")
            self.both_at_rest(scenario, clients)

    def both_at_rest(self, scenario: Rekeyed, clients: Clients) -> None:
        """The way back carries all of the target to the source; the way there, while it soaks, too."""
        place = clients.wanted("producer")
        clients.want("producer", "")
        if place == scenario.source:
            # Nobody carries on what was written there since.
            found = read_all(scenario.source, TOPIC, 3)
            self.assertEqual(judge(found, clients.next, "source"), [], scenario.tail())
        else:
            self.both(scenario, clients)

    def test_killed_while_it_copies(self) -> None:
        with self.migration(20_000) as (scenario, clients):
            for number in range(8):
                engine = scenario.start()
                time.sleep(0.6 + 0.15 * number)
                engine.kill()
                engine.wait()
            self.run_to(
                scenario, "validated", kill=["rekey:begun", "map:before", "map:after"] * 2
            )
            clients.want("producer", "")
            self.both(scenario, clients)
            clients.want("producer", scenario.source)
            self.stop(scenario)
            self.run_to(scenario, "soaking")
            self.finish(scenario, clients, scenario.target)

    def test_killed_at_the_steps_of_the_cutover_and_of_the_way_back(self) -> None:
        there = [
            "during:provision:created", "during:mirror:armed", "rekey:begun", "done:fence",
            "during:drain:drained", "done:drain", "during:seal:compared", "during:translate:written",
            "during:armReverse:armed", "during:armReverse:sent", "done:armReverse",
            "done:switchClients", "rekey:begun", "map:before",
        ]  # fmt: skip
        back = [
            "done:fenceTarget", "during:drainReverse:drained", "done:drainReverse",
            "during:sealReverse:compared", "during:translateBack:written", "done:translateBack",
            "done:returnClients",
        ]  # fmt: skip
        with self.migration() as (scenario, clients):
            self.run_to(scenario, "soaking", kill=there)
            time.sleep(1)
            self.back(scenario, kill=back)
            self.run_to(scenario, "soaking", "--again", kill=["done:mirror", "rekey:begun"])
            self.finish(scenario, clients, scenario.target)

    def test_a_stray_write_takes_the_way_back_and_nothing_else(self) -> None:
        with self.migration(300) as (scenario, clients):
            self.run_to(scenario, "soaking")
            stray = KafkaProducer(bootstrap_servers=scenario.source)
            stray.send(TOPIC, b"stray", key=b"stray", partition=1).get(30)
            stray.close()
            scenario.wait(lambda s: bool(s["strays"]), "the stray", 30)
            answer = scenario.ferry("strays", "--stage", "wave-1", "--forward", "--reason", "no")
            self.assertNotEqual(answer.returncode, 0)
            self.assertIn("cannot be forwarded", answer.stdout + answer.stderr)
            self.assertNotEqual(scenario.ferry("rollback", "--yes").returncode, 0)
            self.assertEqual(scenario.stage()["state"], "soaking")
            answer = scenario.ferry("strays", "--stage", "wave-1", "--leave", "--reason", "by hand")
            self.assertEqual(answer.returncode, 0, answer.stdout + answer.stderr)
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                answer = scenario.ferry("finalize", "--stage", "wave-1")
                if answer.returncode == 0:
                    break
                time.sleep(1)
            self.assertEqual(answer.returncode, 0, answer.stdout + answer.stderr)
            self.finish(scenario, clients, scenario.target)

    def test_what_cannot_be_rekeyed_is_refused(self) -> None:
        with Rekeyed() as scenario:
            for rule, stage, words in [
                ("order: rekey", "", "is for another number of partitions"),
                ("partitions: 5, order: rekey, onGap: accept", "", "`onGap: accept` cannot"),
                ("partitions: 5, order: rekey, onNewPartitions: mirror", "", "`onNewPartitions: mirror`"),
                ("partitions: 5, order: rekey, config: { cleanup.policy: compact }", "", "compacted"),
            ]:  # fmt: skip
                scenario.write(rule, stage)
                answer = scenario.ferry("check")
                self.assertEqual(answer.returncode, 2, answer.stdout + answer.stderr)
                self.assertIn(words, answer.stdout + answer.stderr)
            for rule, stage, words in [
                ("partitions: 3, order: rekey", "", "would have 3 partitions both"),
                ("partitions: 5, order: rekey", "strategy: consumers-first", "strategy: together"),
                ("partitions: 5, order: rekey", "strays: forward", "strays: forward"),
            ]:
                scenario.write(rule, stage)
                for command in ("dry-run", "run"):
                    answer = scenario.ferry(command)
                    self.assertNotEqual(answer.returncode, 0)
                    self.assertIn("cannot be rekeyed", answer.stdout + answer.stderr)
                    self.assertIn(words, answer.stdout + answer.stderr)
                    self.assertIn("plan.yaml:8:", answer.stdout + answer.stderr)

    def test_the_hash_is_java_s(self) -> None:
        known = {b"21": -973932308, b"foobar": -790332482, b"abc": 479470107}
        for key, wanted in known.items():
            self.assertEqual(murmur2(key), wanted & 0xFFFFFFFF)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
