"""Groups move before their producers, and back: there whole and back, back before the producers moved,
and back by itself when the producers' fence fails."""

from __future__ import annotations

import json
import re
import sys
import time
import unittest
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scenario import Scenario


def consumers_first(text: str) -> str:
    """The quick start's plan with that strategy, and a mirror that groups can be ahead of."""
    text = text.replace("strategy: together", "strategy: consumers-first")
    return text.replace("rate: 50MiB/s, lanes", "rate: 60KiB/s, tailRate: 60KiB/s, lanes")


class ConsumersFirstTests(unittest.TestCase):
    def start(self, scenario: Scenario, edit: Callable[[str], str] = lambda text: text) -> None:
        scenario.write_plan(lambda text: edit(consumers_first(text)))
        self.process = scenario.start()

    def where(self, scenario: Scenario, name: str) -> str:
        name = f"{scenario.prefix}.{name}" if scenario.prefix else name
        state = json.loads((scenario.clients_directory / f"{name}.state.json").read_text())
        self.assertTrue(state["running"], state)
        return {scenario.source: "source", scenario.target: "target"}[state["bootstrap"]]

    def assert_clients(self, scenario: Scenario, producer: str, groups: str) -> None:
        where = {name: self.where(scenario, name) for name in ("orders", "billing", "audit")}
        self.assertEqual(where, {"orders": producer, "billing": groups, "audit": groups})

    def until_groups_moved(self, scenario: Scenario) -> None:
        scenario.wait(lambda s: s["state"] == "groupsMoved", "the groups' move")
        time.sleep(2)
        stage = scenario.stage()
        self.assertEqual(stage["state"], "groupsMoved", "producers follow only when people say so")
        self.assertIn("that the producers follow: 0 of 1", stage["waitingFor"])
        self.assert_clients(scenario, "source", "target")

    def test_there_whole_and_back(self) -> None:
        with Scenario() as scenario:
            self.start(scenario)
            self.until_groups_moved(scenario)
            scenario.wait(lambda s: s["state"] == "soaking", "the producers' move")
            self.assert_clients(scenario, "target", "target")
            time.sleep(1)
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(answer.returncode, 0, answer.stderr + scenario.tail())
            self.assert_clients(scenario, "source", "source")
            time.sleep(1)
            scenario.assert_nothing_wrong()

    def test_back_before_the_producers_moved_and_there_again(self) -> None:
        with Scenario() as scenario:
            self.start(scenario)
            self.until_groups_moved(scenario)
            status = scenario.ferry("status").stdout
            self.assertIn("producers never moved", status)
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(answer.returncode, 0, answer.stderr + scenario.tail())
            self.assertEqual(self.process.wait(30), 4)
            self.assert_clients(scenario, "source", "source")
            time.sleep(1)
            self.process = scenario.start("--again")
            scenario.wait(lambda s: s["state"] == "groupsMoved", "the groups' second move")
            scenario.wait(lambda s: s["state"] == "soaking", "the producers' move")
            self.assert_clients(scenario, "target", "target")
            self.assertEqual(scenario.ferry("finalize").returncode, 0)
            self.assertEqual(self.process.wait(30), 0, scenario.tail())
            time.sleep(1)
            scenario.assert_nothing_wrong()

    def test_a_trigger_takes_the_groups_back_while_the_producers_have_yet_to_follow(self) -> None:
        trigger = "rollbackOn: [{ groupLagAbove: 50, for: 1s, grace: 5s }]"
        with Scenario() as scenario:
            self.start(scenario, lambda text: text.replace("soak: 5s", f"soak: 5s\n    {trigger}"))
            # Two groups of the quick start are behind on purpose: the slow one, and the one that nobody runs.
            scenario.wait(lambda s: s["state"] == "groupsMoved", "the groups' move")
            stage = scenario.wait(lambda s: s.get("countdown"), "the countdown", approve=False)
            self.assertEqual(stage["state"], "groupsMoved")
            reason = stage["countdown"]["reason"]
            group = re.fullmatch(r"group (\S+) is (\d+) records behind for 1.0 seconds", reason)
            self.assertTrue(group, reason)
            self.assertIn(group[1].removeprefix(f"{scenario.prefix}."), ("audit", "archive"))
            self.assertGreater(int(group[2]), 50)
            self.assertEqual(self.process.wait(90), 4, scenario.tail())
            self.assertIn("a rollback trigger of the plan fired", scenario.tail())
            self.assert_clients(scenario, "source", "source")
            time.sleep(1)
            scenario.assert_nothing_wrong()

    def test_a_fence_that_does_not_hold_takes_the_groups_back(self) -> None:
        with Scenario() as scenario:
            idle = "fence: { exec: [/bin/true] }"  # producers write on
            self.start(
                scenario, lambda text: re.sub(r" fence: \{ exec: \[.*, fence\] \}", f" {idle}", text)
            )
            self.until_groups_moved(scenario)
            scenario.ferry("approve", "--by", "tester")
            self.assertEqual(self.process.wait(90), 4, scenario.tail())
            self.assertIn("the fence on the source cluster does not hold", scenario.tail())
            self.assert_clients(scenario, "source", "source")
            time.sleep(1)
            scenario.assert_nothing_wrong()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
