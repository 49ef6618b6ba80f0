"""The cutover's window on a wide estate: many topics and groups, hooks that take no time.

In a normal run the estate is small and only what is right is asserted. How long the window takes is
measured on a release build, on a quiet machine:

    swift build -c release --product ferry
    cd Tests/EndToEnd
    FERRY_BIN=../../.build/release/ferry ../../.venv-sandbox/bin/python test_window.py \
      --topics 100 --partitions 10 --groups 50

It prints what `ferry report` says of the stage. Brokers that have just been started are slow; with
`--times 4` the stage goes there, back and there again, and the later windows are those of brokers that
have been at work for a while. `--topics 5 --groups 1000 --width 50` measures how
long the commits of a thousand groups, on 50 partitions each, take to translate.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
import unittest
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import NoError
from kafka.structs import OffsetAndMetadata
from scenario import SANDBOX, STAGE, Scenario

sys.path.insert(0, str(SANDBOX))

from orders import administrator, patiently, producer

PLAN = """\
ferry: v1
migration: {prefix}wide
clusters:
  source: {{ bootstrap: ["{source}"] }}
  target: {{ bootstrap: ["{target}"] }}
topics:
  - {{ match: '{prefix}topic-.*', owner: team, start: earliest }}
groups:
  - match: '{prefix}group-.*'
    owner: team
    missingCommit: error
    pause: {hook}
    resume: {hook}
    failureMode: none
stages:
  - stage: wave-1
    topics: ['{prefix}topic-.*']
    groups: ['{prefix}group-.*']
    fence: {hook}
    gates: [{{ lagBelow: 1000, for: 1s }}, {{ approvals: 1 }}]
    switch: {hook}
    stability: 1s
    soak: 1s
"""


class Writer(threading.Thread):
    """Writes to random partitions of one cluster until told to stand still."""

    def __init__(self, bootstrap: str, partitions: list[TopicPartition]) -> None:
        super().__init__(daemon=True)
        self.partitions = partitions
        self.producer = producer(bootstrap, max_in_flight_requests_per_connection=5)
        self.still = threading.Event()

    def run(self) -> None:
        count = 0
        while not self.still.is_set():
            for _ in range(10):
                topic, number = random.choice(self.partitions)
                self.producer.send(topic, value=b"live %d" % count, partition=number)
                count += 1
            time.sleep(0.02)
        self.producer.flush()
        self.producer.close()

    def stand_still(self) -> None:
        self.still.set()
        self.join()


class Deployments(ThreadingHTTPServer):
    """Answers all hooks at once, and moves the writer where they say."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, partitions: list[TopicPartition]) -> None:
        self.partitions = partitions
        self.writer: Writer | None = None
        self.calls: list[tuple[str, str, float, float]] = []
        """Action, cluster, and when it was asked and answered."""
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def write_to(self, bootstrap: str) -> None:
        self.writer = Writer(bootstrap, self.partitions)
        self.writer.start()

    def obey(self, action: str, bootstrap: str) -> None:
        if action == "fence" and self.writer:
            self.writer.stand_still()
            self.writer = None
        elif action == "switch":
            self.write_to(bootstrap)


class Answer(BaseHTTPRequestHandler):
    server: Deployments
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        asked = time.time()
        self.rfile.read(int(self.headers.get("content-length") or 0))
        action = self.headers["FERRY-ACTION"]
        self.server.obey(action, self.headers["FERRY-BOOTSTRAP"])
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
        self.server.calls.append((action, self.headers["FERRY-CLUSTER"], asked, time.time()))

    def log_message(self, *_: object) -> None:
        pass


class WideScenario(Scenario):
    """Two brokers and an estate of any width."""

    def __init__(
        self, topics: int, partitions: int, groups: int, *, records: int = 10, width: int = 40
    ) -> None:
        super().__init__()
        self.shape = (topics, partitions, groups)
        self.per_partition = records
        self.width = width
        """How many partitions each group reads."""

    def __enter__(self) -> WideScenario:
        try:
            self.start_brokers()
            dot = f"{self.prefix}." if self.prefix else ""
            topics, partitions, groups = self.shape
            self.partitions = [
                TopicPartition(f"{dot}topic-{topic:04}", number)
                for topic in range(topics)
                for number in range(partitions)
            ]
            self.commits: dict[str, dict[TopicPartition, int]] = {}
            self.fill(dot, groups)
            self.deployments = Deployments(self.partitions)
            url = f"http://127.0.0.1:{self.deployments.server_address[1]}/"
            self.plan.write_text(
                PLAN.format(
                    prefix=dot, source=self.source, target=self.target,
                    hook=f'{{ http: {{ post: "{url}", expect: 200 }} }}',
                )
            )  # fmt: skip
            return self
        except BaseException:
            self.close()
            raise

    def fill(self, dot: str, groups: int) -> None:
        admin = administrator(self.source)
        names = sorted({each.topic for each in self.partitions})
        config = {"retention.ms": "-1"}
        for start in range(0, len(names), 50):
            admin.create_topics(
                [
                    NewTopic(name, self.shape[1], 1, topic_configs=config)
                    for name in names[start : start + 50]
                ]
            )
        admin.wait_for_topics(names, timeout_ms=120_000)
        writer = producer(self.source, linger_ms=50, max_in_flight_requests_per_connection=5)
        for number in range(self.per_partition):
            for topic, partition in self.partitions:
                writer.send(topic, value=b"history %d" % number, partition=partition)
        writer.flush()
        writer.close()
        # A group reads whole topics, so that none of its partitions is without a commit.
        per_group = max(1, min(len(names), self.width // self.shape[1]))
        for group in range(groups):
            chosen = [names[(group + step) % len(names)] for step in range(per_group)]
            commits = {
                each: random.randint(0, self.per_partition)
                for each in self.partitions
                if each.topic in chosen
            }
            name = f"{dot}group-{group:04}"
            self.commits[name] = commits
            offsets = {each: OffsetAndMetadata(at, "", -1) for each, at in commits.items()}
            patiently(partial(self.commit, admin, name, offsets))
        admin.close()

    def serve_others(self, times: int) -> None:
        """Lets other groups commit on the target, so that it is no broker that has just been started."""
        admin = administrator(self.target)
        admin.create_topics([NewTopic("elsewhere", 40, 1)])
        admin.wait_for_topics(["elsewhere"], timeout_ms=60_000)
        offsets = {TopicPartition("elsewhere", n): OffsetAndMetadata(0, "", -1) for n in range(40)}
        for number in range(times):
            patiently(partial(self.commit, admin, f"other-{number % 100}", offsets))
        admin.close()

    @staticmethod
    def commit(admin: Any, group: str, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        for error in admin.alter_group_offsets(group, offsets).values():
            if error is not NoError:
                raise error(f"commit of {group}")

    def close(self) -> None:
        if hasattr(self, "deployments"):
            if self.deployments.writer:
                self.deployments.writer.stand_still()
            self.deployments.shutdown()
            self.deployments.server_close()
        super().close()

    # What the clusters hold.

    def committed(self, bootstrap: str) -> dict[str, dict[TopicPartition, int]]:
        admin = administrator(bootstrap)
        found = admin.list_group_offsets(list(self.commits))
        admin.close()
        return {
            group: {each: commit.offset for each, commit in commits.items() if commit.offset >= 0}
            for group, commits in found.items()
        }

    def values(self, bootstrap: str) -> dict[TopicPartition, list[bytes]]:
        """All records, by partition in order."""
        reader = KafkaConsumer(
            bootstrap_servers=bootstrap.split(","), fetch_max_wait_ms=50, enable_auto_commit=False
        )
        reader.assign(self.partitions)
        ends = reader.end_offsets(self.partitions)
        reader.seek_to_beginning(*self.partitions)
        found: dict[TopicPartition, list[bytes]] = {each: [] for each in self.partitions}
        deadline = time.monotonic() + 120
        while any(len(found[each]) < ends[each] for each in self.partitions):
            assert time.monotonic() < deadline, "the cluster does not give its records"
            for each, records in reader.poll(timeout_ms=500).items():
                found[each] += [record.value for record in records]
        reader.close()
        return found

    def switch(self, *arguments: str) -> None:
        if not self.deployments.writer:
            self.deployments.write_to(self.source)
        self.deployments.calls.clear()
        self.start(*arguments)
        self.wait(lambda s: s["state"] == "soaking", "the switch", 600)

    def report(self) -> dict[str, Any]:
        answer = self.ferry("report", "--json")
        assert answer.returncode == 0, answer.stderr
        return next(s for s in json.loads(answer.stdout)["stages"] if s["stage"] == STAGE)

    def seen_window(self) -> float:
        """Seconds from the fence's answer to the switch's call, as the hooks' side saw them."""
        calls = self.deployments.calls
        fenced = next(end for action, where, _, end in calls if (action, where) == ("fence", "source"))
        switched = next(
            start for action, where, start, _ in calls if (action, where) == ("switch", "target")
        )
        return switched - fenced


class WindowTests(unittest.TestCase):
    def check_preparations(self, scenario: WideScenario) -> None:
        """What can be done before the fence was; the hook of each group ran, and is journalled."""
        report = scenario.report()
        steps = {run["step"]: run for run in report["steps"]}
        prepared = [part["what"] for part in steps["approve"]["parts"]]
        for what in ("the groups' brokers", "the reverse mirror", "lately is compared"):
            self.assertTrue(any(what in each for each in prepared), prepared)
        hooks = [run["id"] for run in report["hooks"]]
        for action, cluster in (("pause", "source"), ("resume", "target")):
            self.assertEqual(
                sorted(each.rsplit("/", 1)[1] for each in hooks if f"/{action}/{cluster}/" in each),
                sorted(scenario.commits),
            )

    def test_many_topics_and_groups_there_and_back_and_the_window_is_accounted_for(self) -> None:
        with WideScenario(12, 5, 10, width=20) as scenario:
            scenario.switch()
            self.assertEqual(scenario.committed(scenario.target), scenario.commits)
            window = scenario.report()["window"]
            # Every moment of it belongs to a part, and it is what the hooks' side saw.
            self.assertAlmostEqual(
                sum(part["seconds"] for part in window["parts"]), window["seconds"], delta=0.005
            )
            self.assertAlmostEqual(window["seconds"], scenario.seen_window(), delta=1)
            self.assertEqual(window["stabilitySeconds"], 1)
            self.assertGreater(window["seconds"], 1)
            self.check_preparations(scenario)
            steps = list(dict.fromkeys(part["step"] for part in window["parts"]))
            self.assertEqual(
                steps, ["fence", "drain", "seal", "translate", "armReverse", "switchClients"]
            )
            shown = scenario.ferry("report").stdout
            for words in ("window", "stood still", "armReverse", "approved by tester"):
                self.assertIn(words, shown)
            time.sleep(1)
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(answer.returncode, 0, answer.stderr + scenario.tail())
            scenario.deployments.writer.stand_still()
            self.assertEqual(scenario.committed(scenario.source), scenario.commits)
            source, target = scenario.values(scenario.source), scenario.values(scenario.target)
            for each in scenario.partitions:
                shared = len(target[each])
                self.assertEqual(source[each][:shared], target[each], each)
            report = scenario.report()
            self.assertGreater(report["rolledBack"]["actualSeconds"], 0)
            self.assertGreater(report["rolledBack"]["predictedSeconds"], 0)
            self.assertEqual(report["state"], "rolledBack")


def measure() -> None:
    parser = argparse.ArgumentParser(description="Measures the cutover's window.")
    parser.add_argument("--topics", type=int, default=100)
    parser.add_argument("--partitions", type=int, default=10)
    parser.add_argument("--groups", type=int, default=50)
    parser.add_argument("--width", type=int, default=40, help="partitions that each group reads")
    parser.add_argument("--served", type=int, default=0, help="commits the target has served before")
    parser.add_argument("--times", type=int, default=1, help="how often to go there; and back between")
    arguments = parser.parse_args()
    shape = (arguments.topics, arguments.partitions, arguments.groups)
    with WideScenario(*shape, width=arguments.width) as scenario:
        if arguments.served:
            scenario.serve_others(arguments.served)
        for attempt in range(arguments.times):
            if attempt:
                answer = scenario.ferry("rollback", "--yes")
                assert answer.returncode == 0, answer.stderr
                assert scenario.engine.wait(60) is not None
            scenario.switch(*["--again"] if attempt else [])
            print(scenario.ferry("report").stdout)
            assert scenario.committed(scenario.target) == scenario.commits
            print(f"{scenario.kind}: the hooks' side saw {scenario.seen_window():.2f} s")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("--"):
        measure()
    else:
        unittest.main(verbosity=2, warnings="ignore")
