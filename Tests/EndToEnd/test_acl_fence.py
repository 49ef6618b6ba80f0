"""Fences that are ACLs of Ferry's own. Only Apache Kafka has an authorizer here: set KAFKA_HOME."""

from __future__ import annotations

import os
import re
import sys
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent))

from kafka.admin import (
    ACL, ACLFilter, ACLOperation, ACLPermissionType, ACLResourcePatternType, KafkaAdminClient,
    ResourcePattern, ResourcePatternFilter, ResourceType,
)  # fmt: skip
from matrix import Line, Points, Way, places
from scenario import STAGE, Scenario, broker_kind

LOGINS = "ferry:ferry-pw,orders:orders-pw,guest:guest-pw"
TOPICS = {f"orders.{name}" for name in ("events", "payments", "state", "ledger", "trimmed")}
CANARY = f"ferry.canary.quickstart.{STAGE}"


class AclFenceTests(unittest.TestCase):
    def setUp(self) -> None:
        if broker_kind() != "kafka":
            self.skipTest("only Apache Kafka has an authorizer here: set KAFKA_HOME")
        self.scenario = Scenario(records=600, sasl=LOGINS, client="orders:orders-pw")
        self.enterContext(self.scenario)

    def admin(self, cluster: str) -> KafkaAdminClient:
        admin = KafkaAdminClient(bootstrap_servers=self.scenario.plain[cluster])
        self.addCleanup(admin.close)
        return admin

    def allow(self, cluster: str) -> None:
        """As an estate has it: those who use the topics are allowed to."""
        pattern = ResourcePattern(ResourceType.TOPIC, "orders.", ACLResourcePatternType.PREFIXED)
        rule = ACL("User:*", "*", ACLOperation.ALL, ACLPermissionType.ALLOW, pattern)
        self.admin(cluster).create_acls([rule])

    def rules(self, cluster: str) -> set[tuple[str, str, str, str]]:
        """The rules on literal names: topic, principal, operation, permission."""
        pattern = ResourcePatternFilter(ResourceType.TOPIC, None, ACLResourcePatternType.LITERAL)
        every = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, pattern)
        found, _ = self.admin(cluster).describe_acls(every)
        return {
            (
                each.resource_pattern.resource_name, each.principal, each.operation.name,
                each.permission_type.name,
            )
            for each in found
        }  # fmt: skip

    @staticmethod
    def edit(user: str, principals: str) -> Callable[[str], str]:
        fence = f"fence: {{ acl: deny-write, principals: [{principals}] }}"
        login = (
            "client: { security.protocol: SASL_PLAINTEXT, sasl.mechanism: PLAIN, "
            f"sasl.username: {user}, sasl.password: env:FERRY_TEST_PASSWORD }}"
        )

        def edit(text: str) -> str:
            text = re.sub(r" fence: .*", f" {fence}", text)
            text = re.sub(r"\n *unfence: .*", "", text)
            return re.sub(r'(bootstrap: \["[^"]*"\]) \}', rf"\1, {login} }}", text)

        return edit

    def write_plan(self, user: str, principals: str) -> None:
        self.scenario.write_plan(self.edit(user, principals))

    def test_producers_are_denied_exactly_while_the_fence_is_up(self) -> None:
        scenario = self.scenario
        self.allow("source")
        self.allow("target")
        mine = ("orders.state", "User:orders", "WRITE", "DENY")  # not Ferry's, and stays
        pattern = ResourcePattern(ResourceType.TOPIC, mine[0], ACLResourcePatternType.LITERAL)
        self.admin("source").create_acls(
            [ACL(mine[1], "*", ACLOperation.WRITE, ACLPermissionType.DENY, pattern)]
        )
        self.write_plan("ferry", '"User:orders"')
        secret = {"FERRY_TEST_PASSWORD": "ferry-pw"}
        report = scenario.ferry("dry-run", **secret)
        self.assertEqual(report.returncode, 0, report.stdout + report.stderr)
        self.assertIn("super users pass", report.stdout)
        scenario.start(**secret)
        scenario.wait(lambda s: s["state"] == "soaking", "the switch")
        denied = {(topic, "User:orders", "WRITE", "DENY") for topic in TOPICS | {CANARY}}
        opened = {(CANARY, "User:*", "ALL", "ALLOW")}
        self.assertEqual(self.rules("source"), denied | opened)
        self.assertEqual(self.rules("target"), set())
        time.sleep(1)
        answer = scenario.ferry("rollback", "--yes", **secret)
        self.assertEqual(answer.returncode, 0, answer.stderr + scenario.tail())
        self.assertEqual(self.rules("source"), {mine})
        self.assertEqual(self.rules("target"), denied | opened)
        time.sleep(1)
        scenario.start("--again", **secret)
        scenario.wait(lambda s: s["state"] == "soaking" and s["attempt"] == 2, "the second switch")
        self.assertEqual(self.rules("target"), set())
        self.assertEqual(self.rules("source"), denied | opened)
        time.sleep(1)
        scenario.assert_nothing_wrong()

    def test_killed_at_every_place_of_putting_it_up_and_taking_it_down(self) -> None:
        self.kill_everywhere("together")

    def test_killed_at_every_place_of_it_with_groups_that_move_first(self) -> None:
        self.kill_everywhere("consumers-first")

    def kill_everywhere(self, strategy: str) -> None:
        """The crash matrix's ways, killed where putting up and taking down rules has places of its own."""
        self.allow("source")
        self.allow("target")
        self.enterContext(patch.dict(os.environ, FERRY_TEST_PASSWORD="ferry-pw"))
        points = Points("acl")
        points.wanted = {point for point in points.wanted if point[0] == strategy}
        edit = self.edit("ferry", '"User:orders"')
        line = Line(points, self.scenario, strategy, "with ACLs", edit)
        fenced = {(topic, "User:orders", "WRITE", "DENY") for topic in TOPICS | {CANARY}}
        fenced.add((CANARY, "User:*", "ALL", "ALLOW"))
        for way in (w for w in places(1)["ways"] if (w["strategy"], w["wish"]) == (strategy, "rollback")):
            # Each attempt is as the ones after the first: the target's fence may be up from the one before.
            way = line.way(way["phase"], way["wish"], ahead=1)
            legs = [*way["there"], *way["after"], *([way["next"]] if way.get("next") else [])]
            left = {(strategy, leg["phase"], point) for leg in legs for point in leg["points"]}
            if not left & (points.wanted - points.killed):
                continue
            line.take(way["phase"], way["wish"], self.turn(points, way))
            self.assertEqual(self.rules("source"), set(), way["phase"])
            self.assertIn(self.rules("target"), (set(), fenced), way["phase"])
        self.assertEqual(points.wanted - points.killed, set(), "points that nobody killed at")
        line.check_hooks()
        line.judge()
        print(f"ACL fence, {strategy}: {len(points.killed)} points, {line.kills} kills, {line.attempt} migrations")

    @staticmethod
    def turn(points: Points, way: Way) -> int:
        """Where the next step is interrupted: in putting the fence up, if it does that."""
        listed = way["next"]["points"] if way.get("next") else []
        places = [(way["strategy"], way["phase"], point) for point in listed]
        own = [turn for turn, place in enumerate(places) if place in points.wanted]
        return own[len(own) // 2] if own else -1

    def test_a_fence_that_would_stop_ferry_itself_is_not_put_up(self) -> None:
        self.allow("source")
        self.allow("target")
        self.write_plan("guest", '"User:orders", "User:guest"')
        secret = {"FERRY_TEST_PASSWORD": "guest-pw"}
        check = self.scenario.ferry("check", **secret)
        self.assertIn("denies User:guest to write, which means Ferry's own mirror", check.stdout + check.stderr)
        process = self.scenario.start(**secret)
        self.scenario.wait(lambda s: s["state"] == "rolledBack", "the refusal")
        self.assertEqual(process.wait(30), 4)
        self.assertIn("would keep Ferry's own mirror from writing to the source", self.scenario.tail())
        self.assertEqual(self.rules("source"), set())
        self.scenario.assert_nothing_wrong()

    def test_a_denial_that_would_lock_everyone_out_is_refused(self) -> None:
        self.allow("source")
        self.write_plan("ferry", '"User:orders"')
        secret = {"FERRY_TEST_PASSWORD": "ferry-pw"}
        report = self.scenario.ferry("dry-run", **secret)
        self.assertEqual(report.returncode, 1, report.stdout)
        self.assertIn("no ACL that the target cluster shows applies to", report.stdout)
        process = self.scenario.start(**secret)
        self.scenario.wait(lambda s: s["state"] == "rolledBack", "the refusal")
        self.assertEqual(process.wait(30), 4)
        self.assertEqual(self.rules("source"), set())
        self.scenario.assert_nothing_wrong()


class NoAuthorizerTests(unittest.TestCase):
    def test_without_an_authorizer_the_dry_run_says_that_the_fence_cannot_be_put_up(self) -> None:
        with Scenario(records=300) as scenario:
            fence = "fence: { acl: deny-write, principals: [\"User:orders\"] }"
            scenario.write_plan(
                lambda text: re.sub(r"\n *unfence: .*", "", re.sub(r" fence: .*", f" {fence}", text))
            )
            report = scenario.ferry("dry-run")
            self.assertEqual(report.returncode, 1, report.stdout + report.stderr)
            blockers = [l for l in report.stdout.splitlines() if "it has no authorizer" in l]
            self.assertEqual(len(blockers), 2, report.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
