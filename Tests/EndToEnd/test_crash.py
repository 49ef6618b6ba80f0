"""`ferry run` is killed with SIGKILL at named points of its journal, there and back, and restarted;
afterwards nothing is lost, duplicated, reordered or re-read.

FERRY_FAILPOINT names the point (debug builds only): `begin:STEP` after the intent is journalled,
`act:STEP` after the step acted and before that is journalled, `done:STEP` after; `hook:...` behind a
hook; `map:before` and `map:after` around a checkpoint of the offset map.
"""

from __future__ import annotations

import signal
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scenario import Scenario

THERE = [
    "provision", "mirror", "catchUp", "validate", "approve", "fence", "drain", "seal",
    "translate", "armReverse", "switchClients", "observe",
]  # fmt: skip
BACK = ["fenceTarget", "drainReverse", "sealReverse", "translateBack", "returnClients", "release"]
CONSUMERS_FIRST = ["carryGroups", "moveGroups", "follow", "fence", "drain", "seal", "armReverse"]


def consumers_first(text: str) -> str:
    return text.replace("strategy: together", "strategy: consumers-first")


class CrashTests(unittest.TestCase):
    """One migration per test, killed at every point of a list in turn."""

    def kill_at_each(self, scenario: Scenario, points: list[str], final: str) -> int:
        """Runs on from point to point. A point that is not met because the stage came to `final`
        first is a failure: a list must not silently test nothing."""
        for point in points:
            process = scenario.start(FERRY_FAILPOINT=point)
            deadline = time.monotonic() + 90
            while process.poll() is None:
                stage = scenario.stage()
                if "pprov" in (stage.get("waitingFor") or ""):
                    scenario.ferry("approve", "--by", "tester")
                self.assertLess(
                    time.monotonic(), deadline, f"{point} was not met: {stage}\n{scenario.tail()}"
                )
                time.sleep(0.1)
            self.assertEqual(
                process.returncode, -signal.SIGKILL, f"{point} was not met\n{scenario.tail()}"
            )
        return len(points)

    def there_and_back(self, there: list[str], back: list[str]) -> None:
        with Scenario() as scenario:
            started = time.monotonic()
            killed = self.kill_at_each(scenario, there, "soaking")
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            time.sleep(1)  # the clients work on the target
            process.kill()  # and the rollback is begun by a command of its own, also killed
            process.wait()
            answer = scenario.ferry("rollback", "--yes", FERRY_FAILPOINT=back[0])
            self.assertEqual(answer.returncode, -signal.SIGKILL, answer.stderr)
            killed += 2 + self.kill_at_each(scenario, back[1:], "rolledBack")
            answer = scenario.ferry("rollback", "--yes")
            state = scenario.stage()["state"]
            self.assertEqual(state, "rolledBack", answer.stderr + scenario.tail())
            time.sleep(1)
            scenario.assert_nothing_wrong()
            verified = scenario.ferry("journal", "verify", plan=False)
            self.assertEqual(verified.returncode, 2)  # it needs the plan
            verified = scenario.ferry("journal", "verify", str(scenario.plan), plan=False)
            self.assertEqual(verified.returncode, 0, verified.stderr)
            print(f"{killed} kills in {time.monotonic() - started:.0f} s: {there[0]} ... {back[-1]}")

    def test_killed_before_each_step_acts(self) -> None:
        self.there_and_back(
            [f"begin:{step}" for step in THERE], [f"begin:{step}" for step in BACK]
        )

    def test_killed_after_each_step_acted_and_before_it_is_journalled(self) -> None:
        self.there_and_back([f"act:{step}" for step in THERE], [f"act:{step}" for step in BACK])

    def test_killed_behind_hooks_and_checkpoints(self) -> None:
        self.there_and_back(
            ["map:before", "map:after", "map:before", "hook:fence:source", "hook:pause:source",
             "map:after", "hook:switch:target", "hook:resume:target"],
            ["hook:fence:target", "hook:pause:target", "hook:switch:source",
             "hook:resume:source", "hook:unfence:source"],
        )  # fmt: skip

    def test_killed_while_groups_go_first_and_come_back_alone(self) -> None:
        with Scenario() as scenario:
            scenario.write_plan(consumers_first)
            started = time.monotonic()
            points = [f"{when}:{step}" for step in CONSUMERS_FIRST for when in ("begin", "act")]
            killed = self.kill_at_each(scenario, points[:-1], "sealed")
            # The reverse mirror is about to be armed; no producer has moved.
            back = ["begin:recallGroups", "hook:unfence:source", "hook:pause:target"]
            back += ["act:recallGroups", "begin:withdraw", "hook:resume:source"]
            for point in back:
                answer = scenario.ferry("rollback", "--yes", FERRY_FAILPOINT=point)
                self.assertEqual(answer.returncode, -signal.SIGKILL, f"{point}: {answer.stderr}")
                killed += 1
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(scenario.stage()["state"], "rolledBack", answer.stderr)
            time.sleep(1)
            scenario.assert_nothing_wrong()
            print(f"{killed} kills in {time.monotonic() - started:.0f} s, consumers first")

    def test_killed_on_the_way_back_before_clients_moved(self) -> None:
        with Scenario() as scenario:
            self.kill_at_each(scenario, ["act:translate"], "translated")
            for point in ["begin:withdraw", "hook:resume:source", "hook:unfence:source"]:
                answer = scenario.ferry("rollback", "--yes", FERRY_FAILPOINT=point)
                self.assertEqual(answer.returncode, -signal.SIGKILL, answer.stderr)
            answer = scenario.ferry("rollback", "--yes")
            self.assertEqual(scenario.stage()["state"], "rolledBack", answer.stderr)
            # A refused command is done with: it must not come back in the next attempt.
            self.assertEqual(scenario.ferry("rollback", "--yes").returncode, 1)
            self.assertEqual(scenario.ferry("finalize").returncode, 1)
            # The stage can be tried again, from what is there, and goes through.
            process = scenario.start("--again")
            scenario.wait(lambda s: s["state"] == "soaking" and s["attempt"] == 2, "the second try")
            self.assertEqual(scenario.ferry("finalize").returncode, 0)
            self.assertEqual(process.wait(30), 0, scenario.tail())
            self.assertEqual(scenario.ferry("rollback", "--yes").returncode, 1)
            time.sleep(1)
            scenario.assert_nothing_wrong()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
