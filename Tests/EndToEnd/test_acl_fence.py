"""Fences that are ACLs of Ferry's own. Only Apache Kafka has an authorizer here: set KAFKA_HOME."""

from __future__ import annotations

import re
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from kafka.admin import (
    ACL, ACLFilter, ACLOperation, ACLPermissionType, ACLResourcePatternType, KafkaAdminClient,
    ResourcePattern, ResourcePatternFilter, ResourceType,
)  # fmt: skip
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

    def write_plan(self, user: str, principals: str) -> None:
        fence = f"fence: {{ acl: deny-write, principals: [{principals}] }}"
        login = (
            "client: { security.protocol: SASL_PLAINTEXT, sasl.mechanism: PLAIN, "
            f"sasl.username: {user}, sasl.password: env:FERRY_TEST_PASSWORD }}"
        )

        def edit(text: str) -> str:
            text = re.sub(r" fence: .*", f" {fence}", text)
            text = re.sub(r"\n *unfence: .*", "", text)
            return re.sub(r'(bootstrap: \["[^"]*"\]) \}', rf"\1, {login} }}", text)

        self.scenario.write_plan(edit)

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
