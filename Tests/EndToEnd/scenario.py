"""A whole migration on real brokers, driven as an operator would drive it, and judged by the oracle.

Brokers, clients and oracle are the sandbox's (`Tests/Sandbox`); Ferry is the built command.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SANDBOX = ROOT / "Tests" / "Sandbox"
HOOK = ROOT / "Plans" / "quickstart" / "hooks" / "clients"
PYTHON = sys.executable
STAGE = "wave-1"
# What `workload.py prepare` gives its topics.
RETENTION = {"retention.ms": "-1"}


def ferry_binary() -> str:
    """The command under test: FERRY_BIN, or the repository's own debug build."""
    path = os.environ.get("FERRY_BIN") or str(ROOT / ".build" / "debug" / "ferry")
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{path} is not there: run `swift build --product ferry` first")
    return path


def broker_kind() -> str:
    """Which kind of broker the environment asks for: see `sandbox.py`."""
    command = [PYTHON, str(SANDBOX / "sandbox.py"), "kind"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def die_with_parent() -> None:
    """In a child: end when the test does, however it ends (Linux prctl PR_SET_PDEATHSIG)."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Scenario:
    """Two brokers, live clients, one plan. Use as a context manager.

    `sasl`: USER:PASSWORD,... for which the brokers also listen, at `logins`; Apache Kafka only.
    `client`: who of them the clients and the oracle are; the brokers then have an authorizer.
    """

    def __init__(
        self, *, records: int = 3000, rate: int = 150, sasl: str | None = None,
        client: str | None = None,
    ) -> None:  # fmt: skip
        self.records = records
        self.rate = rate
        self.sasl = sasl
        self.client = client
        self.environment = os.environ | ({"WORKLOAD_LOGIN": client} if client else {})
        self.directory = Path(tempfile.mkdtemp(prefix="ferry-e2e."))
        self.clients_directory = self.directory / "clients"
        self.plan = self.directory / "plan.yaml"
        self.log = self.directory / "ferry.log"
        self.children: list[subprocess.Popen[Any]] = []
        self.engine: subprocess.Popen[Any] | None = None

    # Set-up and end.

    def __enter__(self) -> Scenario:
        try:
            self.start_brokers()
            self.workload(
                "prepare", "--source", self.source, "--records", str(self.records),
                "--profile", "small", "--prefix", self.prefix,
            )  # fmt: skip
            self.clients = self.spawn(
                [PYTHON, str(SANDBOX / "workload.py"), "clients", "--rate", str(self.rate)]
                + ["--dir", str(self.clients_directory)],
                stderr=(self.directory / "clients.log").open("w"),
                env=self.environment,
            )
            self.plain = {"source": self.source, "target": self.target}
            if self.client:
                self.source, self.target = self.logins["source"], self.logins["target"]
            self.control("all", run=True, bootstrap=self.source)
            self.write_plan()
            return self
        except BaseException:
            self.close()
            raise

    def start_brokers(self) -> None:
        self.sandbox = self.spawn(
            [PYTHON, str(SANDBOX / "sandbox.py"), "serve", "--brokers", "source,target"]
            + ["--dir", str(self.directory / "brokers")]
            + (["--sasl", self.sasl] if self.sasl else [])
            + (["--acl"] if self.client else []),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ready = self.read_sandbox()
        self.kind = ready["kind"]
        self.source = ready["brokers"]["source"]["bootstrap"]
        self.target = ready["brokers"]["target"]["bootstrap"]
        self.logins = {name: each.get("sasl") for name, each in ready["brokers"].items()}
        self.prefix = f"t{os.getpid()}x{time.time_ns() % 10**9}" if self.kind == "user" else ""

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for child in reversed(self.children):
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
            for stream in (child.stdin, child.stdout):
                if stream:
                    stream.close()

    def spawn(self, command: list[str], **options: Any) -> subprocess.Popen[Any]:
        child = subprocess.Popen(command, preexec_fn=die_with_parent, **options)
        self.children.append(child)
        return child

    def read_sandbox(self) -> dict[str, Any]:
        assert self.sandbox.stdout
        line = self.sandbox.stdout.readline()
        if not line:
            raise RuntimeError("the sandbox ended; its words are above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def broker(self, action: str, broker: str, **arguments: Any) -> None:
        """A fault or its end: see `sandbox.py serve`."""
        assert self.sandbox.stdin
        self.sandbox.stdin.write(json.dumps({"do": action, "broker": broker, **arguments}) + "\n")
        self.sandbox.stdin.flush()
        answer = self.read_sandbox()
        if not answer.get("ok"):
            raise RuntimeError(f"{action} {broker}: {answer}")

    def workload(self, *arguments: str) -> None:
        subprocess.run(
            [PYTHON, str(SANDBOX / "workload.py"), *arguments]
            + ["--dir", str(self.clients_directory)],
            check=True,
            timeout=240,
        )

    def control(self, role: str, *, run: bool, bootstrap: str | None = None) -> None:
        more = ["--bootstrap", bootstrap] if bootstrap else []
        self.workload(
            "control", "--role", role, "--run", str(run).lower(), "--timeout", "90", *more
        )

    def write_plan(self, edit: Callable[[str], str] = lambda text: text) -> None:
        text = (ROOT / "Plans" / "quickstart" / "plan.yaml.in").read_text()
        prefix = f"{self.prefix}." if self.prefix else ""
        for name, value in {
            "@SOURCE@": self.source,
            "@TARGET@": self.target,
            "@HOOKS@": str(HOOK.parent),
            "@PREFIX@": prefix,
        }.items():
            text = text.replace(name, value)
        self.plan.write_text(edit(text))

    # Ferry.

    def ferry(
        self, *arguments: str, timeout: float = 120, plan: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        command = [ferry_binary(), arguments[0], *([str(self.plan)] if plan else [])]
        return subprocess.run(
            [*command, *arguments[1:]],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | environment,
            cwd=self.directory,
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[Any]:
        """Starts `ferry run` in the background, its words in the log."""
        with self.log.open("a") as log:
            self.engine = self.spawn(
                [ferry_binary(), "run", str(self.plan), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
                cwd=self.directory,
            )
        return self.engine

    def stage(self) -> dict[str, Any]:
        """The stage's status; empty before the journal is there."""
        answer = self.ferry("status", "--json")
        if answer.returncode != 0:
            return {}
        return next(s for s in json.loads(answer.stdout)["stages"] if s["stage"] == STAGE)

    def wait(
        self,
        condition: Callable[[dict[str, Any]], bool],
        what: str,
        seconds: float = 120,
        *,
        approve: bool = True,
    ) -> dict[str, Any]:
        """Looks at the status until `condition` holds, approving where Ferry waits for it.

        Fails at once where the `ferry run` that was started last has ended with an error: nothing
        will change the status any more. A condition that counts on such an end holds before that.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            code = self.engine.poll() if self.engine else None
            stage = self.stage()
            if stage and condition(stage):
                return stage
            if code:
                raise AssertionError(
                    f"{what}: `ferry run` ended with {code} before; last {stage}\n{self.tail()}"
                )
            if approve and "pprov" in (stage.get("waitingFor") or ""):
                self.ferry("approve", "--by", "tester")
            time.sleep(0.15)
        raise AssertionError(f"{what}: not within {seconds} s; last {self.stage()}\n{self.tail()}")

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text().splitlines()[-lines:]) if self.log.exists() else ""

    def judge(self) -> dict[str, Any]:
        """Stops the clients and asks the oracle."""
        self.control("all", run=False)
        answer = subprocess.run(
            [PYTHON, str(SANDBOX / "oracle.py"), "judge", "--source", self.source]
            + ["--target", self.target, "--dir", str(self.clients_directory), "--json"],
            capture_output=True,
            text=True,
            timeout=240,
            env=self.environment,
        )
        if answer.returncode > 1:
            raise AssertionError(f"the oracle could not judge: {answer.stderr}")
        verdict: dict[str, Any] = json.loads(answer.stdout)
        verdict["words"] = answer.stderr + answer.stdout
        return verdict

    def assert_nothing_wrong(self) -> None:
        verdict = self.judge()
        wrong = {k: verdict.get(k) for k in ("lost", "duplicated", "reordered")}
        wrong["re-read"] = verdict.get("re-read", verdict.get("reRead", verdict.get("re_read")))
        if any(value != 0 for value in wrong.values()):
            raise AssertionError(f"{wrong}\n{verdict['words'][-4000:]}\n{self.tail()}")


class Places:
    """Holds an engine at each of its places, where `act` is called with the place's name."""

    def __init__(self, scenario: Scenario, act: Callable[[str], None]) -> None:
        self.directory = scenario.directory / "places"
        self.directory.mkdir(exist_ok=True)
        self.act = act
        self.over = threading.Event()
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self.attend)

    def attend(self) -> None:
        try:
            while not self.over.wait(0.02):
                # A file that is still being made has no name like this.
                for place in list(self.directory.glob("* *")):
                    self.act(place.name.split()[1])
                    place.unlink()
        except BaseException as error:
            self.failure = error

    def __enter__(self) -> Places:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        if self.failure:
            raise self.failure
