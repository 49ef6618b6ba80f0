"""What operators say to a running engine, and where none runs: gates, force, pause, veto, doctor."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from scenario import Scenario

GATES = "gates: [{ lagBelow: 100, for: 1s }, { drainWithin: 30s }, { approvals: 1 }]"


def gates(text: str) -> Any:
    return lambda plan: plan.replace(GATES, f"gates: [{text}]")


def gate(stage: dict, name: str) -> dict:
    return next((g for g in stage["gates"] if g["gate"] == name), {})


class OperatorTests(unittest.TestCase):
    def journal(self, scenario: Scenario, kind: str) -> list[dict]:
        answer = scenario.ferry("journal", "show", str(scenario.plan), "--json", plan=False)
        return [json.loads(e["payload"]) for e in json.loads(answer.stdout) if e["kind"] == kind]

    def doctor(self, scenario: Scenario, code: int) -> list[str]:
        answer = scenario.ferry("doctor", "--json")
        self.assertEqual(answer.returncode, code, answer.stdout + answer.stderr)
        return [f["what"] for f in json.loads(answer.stdout)["findings"]]

    def test_gates_are_shown_fail_closed_and_can_be_forced_for_a_reason(self) -> None:
        with Scenario(records=600) as scenario:
            agreed = scenario.directory / "agreed"
            scenario.write_plan(
                gates(
                    "{ lagBelow: 100 }, { approvals: 2 }, { validated: 5s }, { drainWithin: 30s }, "
                    # No hour of no day is open: a window that begins and ends within a minute of
                    # yesterday.
                    f"{{ window: {{ days: [{yesterday()}], from: '00:00', to: '00:01', zone: UTC }} }}, "
                    f"{{ exec: [test, -e, {agreed}] }}, {{ exec: [/no/such/program] }}"
                )
            )
            process = scenario.start()
            stage = scenario.wait(
                lambda s: gate(s, "window"), "the gates", approve=False
            )
            self.assertEqual(gate(stage, "lagBelow")["state"], "open")
            for name in ("approvals", "window", "exec", "exec#2"):
                self.assertEqual(gate(stage, name)["state"], "closed", stage["gates"])
            # One person is one person, however spelt.
            for name in ("anna", " Anna", "ANNA "):
                self.assertEqual(scenario.ferry("approve", "--by", name).returncode, 0)
            stage = scenario.wait(lambda s: s["approvals"] == ["anna"], "one", approve=False)
            self.assertIn("1 of 2", gate(stage, "approvals")["why"])
            self.assertEqual(scenario.ferry("approve", "--by", "  ").returncode, 1)
            self.assertEqual(scenario.ferry("approve", "--by", "ben").returncode, 0)
            self.assertEqual(scenario.ferry("force", "window").returncode, 2)
            self.assertEqual(scenario.ferry("force", "window", "--reason", " ").returncode, 2)
            answer = scenario.ferry("force", "windows", "--reason", "x")
            self.assertEqual(answer.returncode, 1)
            self.assertIn("only lagBelow, approvals, validated", answer.stderr)
            answer = scenario.ferry("force", "window", "--reason", "the director said so")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            # Now the hooks are asked: one says no, the other is not there.
            stage = scenario.wait(
                lambda s: "ended with" in gate(s, "exec").get("why", "")
                and "failed" in gate(s, "exec#2").get("why", ""),
                "the hooks' answers", approve=False,
            )  # fmt: skip
            self.assertEqual(gate(stage, "exec#2")["state"], "closed")
            self.assertEqual(gate(stage, "window")["state"], "forced")
            self.assertIn("the director said so", scenario.ferry("status").stdout)
            self.assertIn("the director said so", scenario.ferry("dry-run").stdout)
            agreed.touch()
            scenario.ferry("force", "exec#2", "--reason", "it was never installed")
            scenario.wait(lambda s: s["state"] == "soaking", "the switch", approve=False)
            self.assertEqual(scenario.ferry("force", "window", "--reason", "late").returncode, 1)
            entries = self.journal(scenario, "waiver")
            self.assertEqual([e["gate"] for e in entries], ["window", "exec#2"])
            self.assertTrue(entries[0]["order"]["user"] and entries[0]["order"]["host"])
            done = [e for e in self.journal(scenario, "stage") if "approve" in str(e["event"])]
            self.assertIn("FORCED gate window", str(done[-1]["evidence"]["notes"]))
            self.assertIsNone(process.poll())

    def test_a_stage_is_paused_before_its_fence_and_not_behind_it(self) -> None:
        with Scenario(records=600) as scenario:
            # Where no engine runs yet, there is no journal to say it to.
            self.assertEqual(scenario.ferry("pause").returncode, 2)
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "validated", "validation", approve=False)
            started = time.monotonic()
            answer = scenario.ferry("pause", "--reason", "lunch")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertLess(time.monotonic() - started, 10)
            scenario.ferry("approve", "--by", "anna")
            time.sleep(3)
            stage = scenario.stage()
            self.assertEqual(stage["state"], "validated")
            self.assertIn("lunch", stage["waitingFor"])
            # It outlives its engine, and can be said where none runs.
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(30), 130)
            self.assertEqual(scenario.stage()["paused"]["reason"], "lunch")
            self.assertEqual(scenario.ferry("resume").returncode, 0)
            self.assertEqual(scenario.ferry("resume").returncode, 1)
            self.assertEqual(scenario.ferry("pause", "--reason", "dinner").returncode, 0)
            scenario.start()
            scenario.wait(lambda s: "dinner" in (s.get("waitingFor") or ""), "the pause", approve=False)
            self.assertEqual(scenario.ferry("resume", "--reason", "done").returncode, 0)
            scenario.wait(lambda s: s["state"] == "soaking", "the switch", approve=False)
            answer = scenario.ferry("pause")
            self.assertEqual(answer.returncode, 1)
            self.assertIn("`ferry veto`", answer.stderr)
            holds = self.journal(scenario, "hold")
            self.assertEqual([h["isHeld"] for h in holds], [True, False, True, False])
            self.assertEqual(self.doctor(scenario, 0), [])

    def test_an_automatic_rollback_counts_down_and_can_be_stopped(self) -> None:
        with Scenario(records=600) as scenario:
            trigger = "rollbackOn: [{ groupLagAbove: 50, for: 1s, grace: 20s }]"
            scenario.write_plan(lambda text: text.replace("soak: 5s", f"soak: 5s\n    {trigger}"))
            process = scenario.start()
            # The slow groups of the quick start are behind on purpose.
            stage = scenario.wait(lambda s: s.get("countdown"), "the countdown")
            self.assertRegex(stage["countdown"]["reason"], "group (audit|archive) is [0-9]+ records behind")
            self.assertIn("`ferry veto` stops it", stage["waitingFor"])
            answer = scenario.ferry("veto", "--reason", "audit is always late")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertEqual(scenario.ferry("veto").returncode, 1)
            scenario.wait(lambda s: not s.get("countdown"), "the end of the countdown")
            time.sleep(22)
            self.assertEqual(scenario.stage()["state"], "soaking")
            self.assertEqual(self.journal(scenario, "veto")[0]["order"]["reason"], "audit is always late")
            # Without a veto it happens: another engine counts anew only where nobody has stopped it.
            self.assertEqual(scenario.ferry("rollback", "--yes").returncode, 0)
            process.wait(60)
            process = scenario.start("--again")
            scenario.wait(lambda s: s["attempt"] == 2 and s["state"] == "rolledBack", "the rollback", 240)
            self.assertEqual(process.wait(60), 4)
            self.assertIn("trigger of the plan fired", scenario.tail())
            time.sleep(1)
            scenario.assert_nothing_wrong()

    def test_ten_operators_at_once_each_get_their_own_answer(self) -> None:
        with Scenario(records=600) as scenario:
            scenario.write_plan(gates("{ approvals: 20 }"))

            def speak(number: int) -> tuple[int, int, str]:
                if number % 2:
                    answer = scenario.ferry("approve", "--by", f"person {number}")
                else:
                    answer = scenario.ferry("force", f"gate-{number}", "--reason", "x")
                return number, answer.returncode, answer.stdout + answer.stderr

            def all_speak(first: int) -> None:
                with ThreadPoolExecutor(10) as pool:
                    for number, code, words in pool.map(speak, range(first, first + 10)):
                        self.assertEqual(code, 0 if number % 2 else 1, words)
                        self.assertIn(f"person {number};" if number % 2 else f"no gate gate-{number}", words)

            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "validated", "validation", approve=False)
            all_speak(0)
            self.assertIsNone(process.poll(), scenario.tail())
            process.send_signal(signal.SIGINT)
            process.wait(30)
            all_speak(10)
            self.assertEqual(len(scenario.stage()["approvals"]), 10)
            self.assertEqual(len(self.journal(scenario, "approval")), 10)

    def test_the_doctor_says_what_differs_and_what_mends_it(self) -> None:
        with Scenario(records=600) as scenario:
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            self.assertEqual(self.doctor(scenario, 0), [])
            os.kill(process.pid, signal.SIGSTOP)
            self.assertIn("is stopped (SIGSTOP)", " ".join(self.doctor(scenario, 1)))
            process.kill()
            process.wait()
            found = " ".join(self.doctor(scenario, 1))
            self.assertIn("is gone and has not given its lease back", found)
            # A client that was left behind on the source.
            scenario.control("consumers", run=True, bootstrap=scenario.source)
            found = " ".join(self.doctor(scenario, 1))
            self.assertIn("has members on the source", found)
            scenario.control("consumers", run=True, bootstrap=scenario.target)
            before = scenario.ferry("journal", "verify", str(scenario.plan), plan=False).stdout
            self.doctor(scenario, 1)
            after = scenario.ferry("journal", "verify", str(scenario.plan), plan=False).stdout
            self.assertEqual(before, after, "it changed nothing")


def yesterday() -> str:
    return time.strftime("%a", time.gmtime(time.time() - 86_400)).lower()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
