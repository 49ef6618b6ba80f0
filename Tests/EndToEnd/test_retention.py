"""The source keeps its records for as long as a stage may go back to them."""

from __future__ import annotations

import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from scenario import Scenario

YEARS = 9 * 365 * 86_400_000
"""A retention that no record of the workload is old enough for, in ms; shorter than the soak."""


class RetentionTests(unittest.TestCase):
    def resource(self, scenario: Scenario) -> ConfigResource:
        topic = f"{scenario.prefix}.orders.ledger" if scenario.prefix else "orders.ledger"
        return ConfigResource(ConfigResourceType.TOPIC, topic)

    def retention(self, scenario: Scenario) -> str:
        admin = KafkaAdminClient(bootstrap_servers=scenario.source)
        try:
            return str(self.find(admin.describe_configs([self.resource(scenario)])))
        finally:
            admin.close()

    def find(self, value: object) -> object:
        """The value of `retention.ms`, wherever this client puts it."""
        if isinstance(value, dict):
            if "retention.ms" in value:
                found = value["retention.ms"]
                return found.get("value", found) if isinstance(found, dict) else found
            value = list(value.values())
        for each in value if isinstance(value, (list, tuple)) else []:
            if (found := self.find(each)) is not None:
                return found
        return None

    def limit(self, scenario: Scenario) -> None:
        admin = KafkaAdminClient(bootstrap_servers=scenario.source)
        resource = self.resource(scenario)
        resource.configs = {"retention.ms": str(YEARS)}
        admin.alter_configs([resource])
        admin.close()

    def test_a_retention_shorter_than_the_soak_blocks_unless_ferry_extends_it(self) -> None:
        with Scenario(records=600) as scenario:
            self.limit(scenario)
            soak = "soak: 3650d"
            scenario.write_plan(lambda text: text.replace("soak: 5s", soak))
            report = scenario.ferry("dry-run")
            self.assertEqual(report.returncode, 1, report.stdout)
            self.assertIn("orders.ledger keeps records for", report.stdout)
            self.assertIn("extendRetention: true", report.stdout)
            scenario.write_plan(
                lambda text: text.replace("soak: 5s", f"{soak}\n    extendRetention: true")
            )
            report = scenario.ferry("dry-run")
            self.assertEqual(report.returncode, 0, report.stdout)
            self.assertIn("keeps all records from the fence", report.stdout)
            scenario.start()
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            self.assertEqual(self.retention(scenario), "-1")
            time.sleep(1)
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(answer.returncode, 0, answer.stderr + scenario.tail())
            self.assertEqual(self.retention(scenario), str(YEARS))
            scenario.start("--again")
            scenario.wait(lambda s: s["state"] == "soaking" and s["attempt"] == 2, "the second switch")
            self.assertEqual(self.retention(scenario), "-1")
            self.assertEqual(scenario.ferry("finalize").returncode, 0)
            self.assertEqual(self.retention(scenario), str(YEARS))
            time.sleep(1)
            scenario.assert_nothing_wrong()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
