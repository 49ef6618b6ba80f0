"""`ferry run` is killed with SIGKILL at every place of every way that a stage can take, and restarted;
afterwards nothing is lost, duplicated, reordered or re-read. See `matrix.py`."""

from __future__ import annotations

import os
import sys
import time
import unittest
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from matrix import FULL, Line, Points, Waves, places
from scenario import Scenario, broker_kind

PARALLEL = int(os.environ.get("FERRY_MATRIX_PARALLEL", "3"))


class CrashMatrix(unittest.TestCase):
    def test_killed_at_every_point_of_every_way(self) -> None:
        started = time.monotonic()
        points = Points()
        migrations: list[int] = []

        def line(strategy: str, name: str, ways: list[tuple[str, str, int]]) -> Callable[[], None]:
            def run() -> None:
                with Scenario(records=600, rate=60) as scenario:
                    line = Line(points, scenario, strategy, name)
                    for way in ways:
                        line.take(*way)
                    line.check_hooks()
                    line.judge()
                    migrations.append(line.attempt)

            return run

        def waves() -> None:
            with Scenario(records=600, rate=60) as scenario:
                estate = Waves(points, scenario)
                estate.go()
                estate.judge()
                migrations.append(2)

        lines = [
            line(strategy, name, ways)
            for strategy in ("together", "consumers-first")
            for name, ways in self.shared_out(strategy).items()
        ]
        with ThreadPoolExecutor(PARALLEL) as pool:
            running = [pool.submit(each) for each in [*lines, waves]]
            failures = [str(each.exception()) for each in running if each.exception()]
        self.assertFalse(failures, "\n\n".join(failures))
        self.assertEqual(points.wanted - points.killed, set(), "points that nobody killed at")
        print(
            f"crash matrix{' (full)' if FULL else ''}: {len(points.killed)} points, {points.kills}"
            f" kills, {sum(migrations)} migrations in {len(migrations)} estates,"
            f" {time.monotonic() - started:.0f} s on {broker_kind()}"
        )

    def shared_out(self, strategy: str) -> dict[str, list[tuple[str, str, int]]]:
        """The ways of a strategy by estate: each as its phase, its wish, and where the next step is
        interrupted. What is finalized comes last, since nothing follows on that."""
        whole: list[tuple[str, str, int]] = []
        early: list[tuple[str, str, int]] = []
        for number, way in enumerate(w for w in places(1)["ways"] if w["strategy"] == strategy):
            turns = len(way["next"]["points"]) if way.get("next") else 1
            # The nastiest by default: a step that has acted, and nobody has noted that.
            chosen = range(turns) if FULL else [-1 if number % 2 else turns // 2]
            if not way.get("next") or way["phase"] in ("reversed", "switched"):
                whole += [(way["phase"], way["wish"], turn) for turn in chosen]
            else:
                early += [(way["phase"], way["wish"], turn) for turn in chosen]
        whole.sort(key=lambda way: way[1] == "finalize")
        return {"there and back": whole, "back before the switch": early}


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
