"""Trouble in the middle of a step: connections that are cut, brokers that are started anew, a full disk
under the journal, a clock that jumps. Afterwards nothing is lost, duplicated, reordered or re-read."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
import unittest
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scenario import Places, Scenario

STEPS = (
    "fence drain seal translate armReverse switchClients observe "
    "fenceTarget drainReverse sealReverse translateBack returnClients release"
).split()
"""Of a cutover and of the way back."""


def there_and_back(
    test: unittest.TestCase, scenario: Scenario, act: Callable[[str], None], **environment: str
) -> None:
    """A cutover and its rollback, in which `act` is called at each place: once before each step and once
    when it has acted."""
    seen: set[str] = set()

    def once(place: str) -> None:
        if place not in seen and place.partition(":")[2] in STEPS:
            seen.add(place)
            act(place)

    with Places(scenario, once) as places:
        scenario.start(FERRY_HOLD=str(places.directory), **environment)
        scenario.wait(lambda s: s["state"] == "soaking", "the switch", 400)
        time.sleep(1)
        answer = scenario.ferry("rollback", "--yes", timeout=400, **environment)
        test.assertEqual(answer.returncode, 0, answer.stderr + scenario.tail())
        test.assertEqual(scenario.engine.wait(400), 4, scenario.tail())
    for step in STEPS:
        test.assertLessEqual({f"begin:{step}", f"act:{step}"}, seen)
    time.sleep(1)
    scenario.assert_nothing_wrong()


class DoubleFaultTests(unittest.TestCase):
    def test_connections_cut_in_each_step_of_the_cutover_and_back_change_nothing(self) -> None:
        with Scenario(records=600) as scenario:
            if scenario.kind == "user":
                self.skipTest("there is no fault proxy before brokers of the user's own")

            def cut(_: str) -> None:
                scenario.broker("cut", "source")
                scenario.broker("cut", "target")

            there_and_back(self, scenario, cut)

    def test_each_broker_restarted_in_each_step_of_the_cutover_and_back_changes_nothing(self) -> None:
        with Scenario(records=600) as scenario:
            if scenario.kind == "user":
                self.skipTest("brokers of the user's own are not restarted")

            def restart(place: str) -> None:
                broker = "source" if place.startswith("begin:") else "target"
                scenario.broker("stop", broker)
                scenario.broker("start", broker)

            there_and_back(self, scenario, restart)


class DisturbedMachineTests(unittest.TestCase):
    """`disturbed.c` is the machine's trouble."""

    def machine(self, scenario: Scenario) -> tuple[Path, dict[str, str]]:
        """The folder that disturbs, and what a command needs to be disturbed by it."""
        folder = scenario.directory / "disturbed"
        folder.mkdir()
        library = folder / "disturbed.so"
        source = Path(__file__).with_name("disturbed.c")
        command = ["clang", "-shared", "-fPIC", "-o", str(library), str(source)]
        subprocess.run(command, check=True)
        return folder, {"LD_PRELOAD": str(library), "FERRY_DISTURBED": str(folder)}

    def assert_history_is_whole(self, scenario: Scenario) -> None:
        answer = scenario.ferry("journal", "verify", str(scenario.plan), plan=False)
        self.assertEqual(answer.returncode, 0, answer.stderr)

    def test_a_disk_that_is_full_in_any_step_stops_ferry_and_changes_nothing(self) -> None:
        with Scenario(records=600) as scenario:
            folder, environment = self.machine(scenario)
            full = folder / "full"
            seen: set[str] = set()

            def fill(place: str) -> None:
                if place in seen or place.partition(":")[2] not in ("mirror", *STEPS):
                    return
                seen.add(place)
                full.touch()

            def run_until(state: str, seconds: float) -> None:
                """Starts Ferry as often as the disk gets full, until the stage is there."""
                deadline = time.monotonic() + seconds
                while time.monotonic() < deadline:
                    process = scenario.start(FERRY_HOLD=str(places.directory), **environment)
                    while process.poll() is None and scenario.stage().get("state") != state:
                        self.assertLess(time.monotonic(), deadline, scenario.tail())
                        if "pprov" in (scenario.stage().get("waitingFor") or ""):
                            scenario.ferry("approve", "--by", "tester")
                        time.sleep(0.1)
                    if process.poll() is None or not full.exists():
                        break
                    self.assertEqual(process.returncode, 1, scenario.tail())
                    words = scenario.tail(6)
                    self.assertRegex(words, "the disk of the journal .*ferry.db is full")
                    self.assertIn("free space and run again", words)
                    full.unlink()
                self.assertEqual(scenario.stage()["state"], state, scenario.tail())

            with Places(scenario, fill) as places:
                run_until("soaking", 450)
                # The command asks; the engine that answers meets a full disk at the next place.
                scenario.ferry("rollback", "--yes", timeout=300)
                full.unlink(missing_ok=True)
                run_until("rolledBack", 450)
            self.assertEqual({place.partition(":")[2] for place in seen}, {"mirror", *STEPS})
            self.assert_history_is_whole(scenario)
            time.sleep(1)
            scenario.assert_nothing_wrong()

    def test_a_clock_that_jumps_in_each_step_changes_nothing(self) -> None:
        with Scenario(records=600) as scenario:
            folder, environment = self.machine(scenario)
            clock = folder / "clock"
            jumps = itertools.cycle([3600, -7200, 86_400 * 400, -86_400 * 400, 20, -20])

            def jump(_: str) -> None:
                copy = folder / "next"
                copy.write_text(str(next(jumps)))
                copy.rename(clock)

            there_and_back(self, scenario, jump, **environment)
            self.assert_history_is_whole(scenario)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
