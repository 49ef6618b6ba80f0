"""The crash matrix: every way that a stage can take, as the built command itself lists them, with the
engine killed at every place on it.

A point is a phase of a strategy and a place that an engine comes by there (`ferry crash-points`): before
a step acts, in its middle, when it has acted and nobody has noted that; around the journalling of a
wish; while a stage soaks. Each point is killed at once, and every third kill is followed by another one
while the engine takes the migration up again. FERRY_MATRIX=full kills at each point on every way on
which it lies, turns back at each place of every step, and kills each recovery at all of its places.

One estate takes many ways, one after the other: what went wrong on any of them stays wrong, so it is
judged once, at its end. Estates run in parallel.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from scenario import STAGE, Scenario, ferry_binary

HOOK = Path(__file__).with_name("matrix_hook.py")
FULL = os.environ.get("FERRY_MATRIX") == "full"
KILL_SECONDS = 180
YEARS = str(9 * 365 * 86_400_000)
"""A retention that no record of the workload is old enough for, in ms."""

Way = dict[str, Any]
Leg = dict[str, Any]


def places(attempt: int, fence: str = "hook") -> dict[str, Any]:
    command = [ferry_binary(), "crash-points", "--attempt", str(attempt), "--fence", fence]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(answer.stdout))


Point = tuple[str, str, str]
"""A strategy, a phase, and a place."""


class Points:
    """Which points have been killed at, by all lines together.

    `fence`: what the plan's fence is. Where it is no hook, only the places that it alone has are points.
    """

    def __init__(self, fence: str = "hook") -> None:
        self.fence = fence
        self.wanted = self.all(fence)
        if fence != "hook":
            self.wanted -= self.all("hook")
        self.killed: set[Point] = set()
        self.kills = 0
        self.lock = threading.Lock()

    def claim(self, strategy: str, phase: str, point: str) -> bool:
        """Whether the caller is to kill there: it is a point, and nobody else has, or all do."""
        with self.lock:
            if (strategy, phase, point) not in self.wanted:
                return False
            isNew = (strategy, phase, point) not in self.killed
            self.killed.add((strategy, phase, point))
            return isNew or FULL

    @staticmethod
    def all(fence: str) -> set[Point]:
        found: set[Point] = set()
        for listed in (places(1, fence), places(2, fence)):
            for way in listed["ways"]:
                for leg in [*way["there"], *way["after"]]:
                    found |= {(way["strategy"], leg["phase"], point) for point in leg["points"]}
                found |= {(way["strategy"], way["phase"], point) for point in way["wishPoints"]}
                found |= {(way["strategy"], "soaking", point) for point in listed["soaking"]}
                found |= {(way["strategy"], "rolledBack", point) for point in listed["again"]}
        return found


class Journal:
    """Reads a journal that a killed engine left, without touching it: opening it would mend it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def phase(self, stage: str) -> str:
        with tempfile.TemporaryDirectory() as directory:
            copy = Path(directory) / "copy.db"
            for ending in ("", "-wal"):
                if Path(f"{self.path}{ending}").exists():
                    shutil.copy(f"{self.path}{ending}", f"{copy}{ending}")
            if not copy.exists():
                return "planned"
            database = sqlite3.connect(copy)
            try:
                row = database.execute(
                    "SELECT payload FROM event WHERE kind = 'stage' AND stage = ?"
                    " ORDER BY sequence DESC LIMIT 1",
                    (stage,),
                ).fetchone()
            finally:
                database.close()
        return str(json.loads(row[0])["phase"]) if row else "planned"


def plan_edit(scenario: Scenario, strategy: str) -> Callable[[str], str]:
    """The quick start's plan with hooks that are logged and can kill, short waits, and a retention that
    is extended."""

    def edit(text: str) -> str:
        hook = f'exec: ["{sys.executable}", "-I", "-S", "{HOOK}", "{scenario.directory}"]'
        text = re.sub(r"exec: \[[^\]]*\]", lambda _: hook, text)
        text = text.replace("lagBelow: 100, for: 1s", "lagBelow: 20000, for: 300ms")
        text = text.replace("verify: { lagBelow: 1000,", "verify: { lagBelow: 20000,")
        text = text.replace("stability: 1s", "stability: 500ms\n    extendRetention: true")
        return text.replace("strategy: together", f"strategy: {strategy}")

    return edit


class Estate:
    """A scenario whose engine is killed."""

    def __init__(self, name: str, points: Points, scenario: Scenario) -> None:
        self.name = name
        self.points = points
        self.scenario = scenario
        self.prefix = f"{scenario.prefix}." if scenario.prefix else ""
        self.journal = Journal(scenario.directory / f"{self.prefix}quickstart.ferry.db")
        self.recoveries = places(1)["recovery"]
        self.kills = 0
        self.story: list[str] = []

    def limit_retention(self) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.scenario.plain["source"])
        resource = ConfigResource(ConfigResourceType.TOPIC, f"{self.prefix}orders.ledger")
        resource.configs = {"retention.ms": YEARS}
        admin.alter_configs([resource])
        admin.close()

    def ferry(self, *command: str, seconds: float = KILL_SECONDS, **environment: str) -> int:
        """Runs a command that may take its time, its words in the log; gives its exit code."""
        scenario = self.scenario
        with scenario.log.open("a") as log:
            log.write(f"--- {' '.join(command)} {environment}\n")
            log.flush()
            process = scenario.spawn(
                [ferry_binary(), command[0], str(scenario.plan), *command[1:]],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=os.environ | environment, cwd=scenario.directory,
            )  # fmt: skip
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self.failure(f"{command} {environment}: not within {seconds} s") from None
        scenario.children.remove(process)
        return code

    def failure(self, what: str) -> AssertionError:
        story = ", ".join(self.story[-12:])
        return AssertionError(f"{self.name}: {what}\nafter {story}\n{self.scenario.tail(60)}")

    def kill(self, point: str, phase: str, *command: str, stage: str | None = STAGE) -> None:
        """Starts the engine, lets it die at the point, and sees in which phase that was."""
        code = self.ferry(*(command or ("run",)), FERRY_FAILPOINT=point)
        self.story.append(f"{phase} {point}")
        if code != -signal.SIGKILL:
            raise self.failure(f"{point} was not met in {phase}: ended with {code}")
        if stage and (now := self.journal.phase(stage)) != phase:
            raise self.failure(f"killed at {point} in {now}, not in {phase}")
        self.kills += 1

    def kill_recovery(self, phase: str, stage: str | None = STAGE) -> None:
        """The engine that takes over dies, too."""
        for point in self.recoveries if FULL else [self.recoveries[self.kills % 4]]:
            self.kill(point, phase, stage=stage)

    def approve(self, stage: str = STAGE) -> None:
        answer = self.scenario.ferry("approve", "--by", "tester", "--stage", stage)
        if answer.returncode != 0:
            raise self.failure(f"approve: {answer.stderr}")

    def end(self, code: int, *command: str) -> None:
        if (found := self.ferry(*command)) != code:
            raise self.failure(f"{command} ended with {found}, not {code}")

    # What must be true in the end.

    def check_clients(self, cluster: str) -> None:
        """Every client works, on that cluster."""
        wanted = getattr(self.scenario, cluster)
        for path in sorted(self.scenario.clients_directory.glob("[!.]*.state.json")):
            state = json.loads(path.read_text())
            if not state["running"] or state["bootstrap"] != wanted:
                raise self.failure(f"{path.name} is not on the {cluster}: {state}")

    def hook_calls(self) -> list[dict[str, Any]]:
        log = self.scenario.directory / "hooks.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line) for line in lines]

    def judge(self) -> None:
        time.sleep(1)
        self.scenario.assert_nothing_wrong()
        answer = self.scenario.ferry("journal", "verify", str(self.scenario.plan), plan=False)
        if answer.returncode != 0:
            raise self.failure(answer.stderr)
        with self.points.lock:
            self.points.kills += self.kills


class Line(Estate):
    """One stage of one strategy, taking ways one after the other. `edit` changes its plan."""

    GROUPS = ("billing", "audit", "archive")

    def __init__(
        self, points: Points, scenario: Scenario, strategy: str, name: str,
        edit: Callable[[str], str] = lambda text: text,
    ) -> None:  # fmt: skip
        super().__init__(f"{strategy} {name}", points, scenario)
        self.strategy = strategy
        self.attempt = 0
        self.listed = {attempt: places(attempt, points.fence) for attempt in (1, 2)}
        self.must: set[str] = set()
        self.may: set[str] = set()
        self.repeated: list[set[str]] = []
        scenario.write_plan(lambda text: edit(plan_edit(scenario, strategy)(text)))
        self.limit_retention()

    def way(self, phase: str, wish: str, *, ahead: int = 0) -> Way:
        """Of the attempt that runs, or of one ahead: those after the first are alike."""
        ways = self.listed[min(self.attempt + ahead, 2)]["ways"]
        return next(
            dict(w) for w in ways
            if (w["strategy"], w["phase"], w["wish"]) == (self.strategy, phase, wish)
        )  # fmt: skip

    def hooks(self, legs: list[Leg]) -> set[str]:
        """The FERRY_STEP_IDs of what these legs call."""
        return {each for leg in legs for point in leg["points"] for each in self.calls(point)}

    def calls(self, point: str) -> set[str]:
        place, *what = point.split(":")
        if place not in ("running", "hook"):
            return set()
        action, cluster = what
        base = f"{self.prefix}quickstart/{STAGE}/{self.attempt}/{action}/{cluster}"
        if action not in ("pause", "resume"):
            return {base}
        return {f"{base}/{self.prefix}{group}" for group in self.GROUPS}

    def claim(self, phase: str, point: str) -> bool:
        return self.points.claim(self.strategy, phase, point)

    def kill_at(self, leg: Leg, point: str, *, turns: bool = False) -> None:
        self.kill(point, leg["phase"])
        if point.startswith("running:") and not turns:
            self.repeated.append(self.calls(point))
        if FULL or self.kills % 3 == 0:
            self.kill_recovery(leg["phase"])

    def take(self, phase: str, wish: str, turn: int = 0) -> None:
        """Takes a way: there up to `phase`, then what is wished for.

        `turn`: where the next step is interrupted when the wish is uttered, by number.
        """
        self.attempt += 1
        way = self.way(phase, wish)
        self.begin()
        for leg in way["there"]:
            self.reach(leg)
            for point in leg["points"]:
                isLast = point == leg["points"][-1]
                if self.claim(leg["phase"], point) or (isLast and self.is_gated(leg)):
                    if isLast and self.is_gated(leg):
                        self.approve()
                    self.kill_at(leg, point)
        done = way["there"] + way["after"]
        if way.get("next"):
            points = way["next"]["points"]
            point = points[turn % len(points)]
            self.reach(way["next"])
            if self.is_gated(way["next"]) and point == points[-1]:
                self.approve()
            self.claim(phase, point)
            self.kill_at(way["next"], point, turns=True)
            self.may |= self.hooks([way["next"]])
        else:
            self.soak()
        self.wish(way)
        for leg in way["after"]:
            for point in leg["points"]:
                if self.claim(leg["phase"], point):
                    self.kill_at(leg, point)
        self.end(4 if way["wish"] == "rollback" else 0, "run")
        if (now := self.journal.phase(STAGE)) != way["end"]:
            raise self.failure(f"it rests in {now}, not in {way['end']}")
        self.check_clients("source" if way["wish"] == "rollback" else "target")
        self.must |= self.hooks(done)

    def is_gated(self, leg: Leg) -> bool:
        return leg["step"] in ("approve", "follow")

    def reach(self, leg: Leg) -> None:
        """Up to a step that waits for people: an approval counts from here on, and what the mirror does
        here it has done before as well."""
        if self.is_gated(leg):
            self.kill(leg["points"][0], leg["phase"])

    def begin(self) -> None:
        """Up to the moment at which the first step of a new attempt is about to act."""
        if self.attempt == 1:
            self.kill("begin:provision", "planned")
        else:
            if self.claim("rolledBack", "wish:reopen"):
                self.kill("wish:reopen", "rolledBack", "run", "--again")
            self.claim("rolledBack", "wished:reopen")
            self.kill("wished:reopen", "planned", "run", "--again")

    def soak(self) -> None:
        for point in self.listed[1]["soaking"]:
            if self.claim("soaking", point) or point == "done:observe":
                # The first one is met on the way to this phase, the others in it.
                self.kill(point, "soaking")

    def wish(self, way: Way) -> None:
        command = [way["wish"], "--yes"] if way["wish"] == "rollback" else [way["wish"]]
        before, behind = way["wishPoints"]
        if self.claim(way["phase"], before):
            self.kill(before, way["phase"], *command)
        self.claim(way["phase"], behind)
        first = way["after"][0]["phase"] if way["after"] else way["end"]
        self.kill(behind, first, *command)

    def check_hooks(self) -> None:
        """Each ran to its end at least once; what was repeated bore the same id."""
        calls = self.hook_calls()
        ended = {call["id"] for call in calls if call["when"] == "end"}
        if missing := self.must - ended:
            raise self.failure(f"hooks did not run: {sorted(missing)}")
        if unknown := {call["id"] for call in calls} - self.must - self.may:
            raise self.failure(f"hooks ran under other ids: {sorted(unknown)}")
        begun = [call["id"] for call in calls if call["when"] == "begin"]
        for ids in self.repeated:
            if not any(begun.count(each) > 1 for each in ids):
                raise self.failure(f"killed while it ran, and not called again: {sorted(ids)}")


class Waves(Estate):
    """Two stages of different strategies in one plan. While one is killed at a step, the other one is
    somewhere else: before its gates, soaking, or with its groups moved."""

    FIRST, SECOND = STAGE, "wave-2"

    def __init__(self, points: Points, scenario: Scenario) -> None:
        super().__init__("two stages", points, scenario)
        scenario.write_plan(lambda text: self.two(plan_edit(scenario, "together")(text)))
        self.limit_retention()
        listed = places(1)["ways"]
        self.ways = {
            (way["strategy"], way["wish"]): way for way in listed if way["phase"] == "soaking"
        }

    def two(self, text: str) -> str:
        """Live topics and their groups first; history and the group that stopped long ago then."""
        head, stage = text.split("  - stage: wave-1\n")
        first = re.sub(
            r"topics: \['(.*?)orders.*", r"topics: ['\1orders\\.(events|payments)']", stage
        )
        second = re.sub(
            r"topics: \['(.*?)orders.*", r"topics: ['\1orders\\.(state|ledger|trimmed)']", stage
        )
        first = re.sub(r", \"[^\"]*archive\"\]", "]", first)
        second = re.sub(r"groups: .*", f'groups: ["{self.prefix}archive"]', second)
        second = second.replace("strategy: together", "strategy: consumers-first\n    after: []")
        # It moves no producer: its topics have none.
        second = re.sub(r"(fence|switch)(: \{ exec: .*)\]", r'\1\2, "--idle"]', second)
        return f"{head}  - stage: wave-1\n{first}  - stage: wave-2\n{second}"

    def some(self, leg: Leg, turn: int, stage: str | None = None) -> list[str]:
        """One of the step's points, of each of its three kinds in turn; or all."""
        points = list(leg["points"])
        if stage == self.FIRST:
            # The topic whose retention is limited is the other stage's.
            points = [point for point in points if not point.endswith(":saved")]
        if FULL:
            return points
        kinds = [points[:1], points[1:-1] or points[-1:], points[-1:]]
        chosen = kinds[turn % 3]
        return chosen[turn // 3 % len(chosen):][:1]

    def kill_stage(self, stage: str, legs: list[Leg], *command: str) -> None:
        for turn, leg in enumerate(legs):
            for point in self.some(leg, turn, stage):
                if point.startswith("map:"):
                    continue  # the stages' mirrors have one journal
                self.kill(f"{stage}/{point}", leg["phase"], *command, stage=stage)
                if self.kills % 3 == 0:
                    self.kill_recovery(leg["phase"], stage)

    def go(self) -> None:
        first = self.ways["together", "rollback"]
        second = self.ways["consumers-first", "finalize"]
        steps = [leg["step"] for leg in second["there"]]
        gates, follow = steps.index("approve"), steps.index("follow")
        # Side by side: whichever stage comes by first.
        for turn, leg in enumerate(second["there"][:gates]):
            for point in self.some(leg, turn):
                self.kill(point, "", stage=None)
        self.kill(f"{self.FIRST}/begin:approve", "validated")
        self.kill(f"{self.SECOND}/begin:approve", "validated", stage=self.SECOND)
        self.approve(self.FIRST)
        self.kill_stage(self.FIRST, first["there"][gates:])
        self.kill(f"{self.FIRST}/done:observe", "soaking")
        self.approve(self.SECOND)
        self.kill_stage(self.SECOND, second["there"][gates:follow])
        self.kill(f"{self.SECOND}/begin:follow", "groupsMoved", stage=self.SECOND)
        # One goes back; the other one's groups have moved, and stay.
        back = f"{self.FIRST}/wished:rollback"
        self.kill(back, "retreating", "rollback", "--yes", "--stage", self.FIRST)
        self.kill_stage(self.FIRST, first["after"])
        self.approve(self.SECOND)
        self.kill_stage(self.SECOND, second["there"][follow:])
        self.kill(f"{self.SECOND}/done:observe", "soaking", stage=self.SECOND)
        if (now := self.journal.phase(self.FIRST)) != "rolledBack":
            raise self.failure(f"{self.FIRST} is {now}")
        self.kill_stage(self.SECOND, second["after"], "finalize", "--stage", self.SECOND)
        # One is back, and says so.
        self.end(4, "run")
        if (now := self.journal.phase(self.SECOND)) != "finalized":
            raise self.failure(f"{self.SECOND} is {now}")
        self.check_clients("source")
