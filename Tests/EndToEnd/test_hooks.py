"""Hooks that are HTTP requests or a person's work: whole migrations with them, what they receive,
and services and people that do not do as they are asked."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from scenario import HOOK, STAGE, Scenario, ferry_binary

SECRET = "hunter4-do-not-print"
EXEC = re.compile(r'\{ exec: \["[^"]*/clients", (\w+)\] \}')
"""A hook of the quick start's plan; its action is the group."""

METHODS = {
    "fence": "put", "unfence": "delete", "switch": "post", "pause": "patch", "resume": "patch",
}  # fmt: skip
TIMEOUT_SECONDS = 20
"""How long a hook that works may take; the one that hangs is given less."""


@dataclass(frozen=True)
class Call:
    """A request that the service received."""

    method: str
    path: str
    body: str
    variables: dict[str, str]
    """The FERRY-... headers, by the names that `exec` hooks know them by."""

    @property
    def step(self) -> str:
        return self.variables["FERRY_STEP_ID"]


class Handler(BaseHTTPRequestHandler):
    server: Service

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        call = Call(
            self.command,
            self.path,
            self.rfile.read(length).decode(),
            {k.replace("-", "_"): v for k, v in self.headers.items() if k.startswith("FERRY-")},
        )
        self.server.obey(call, self)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def reply(self, status: int, text: str, length: int | None = None) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


class Service(ThreadingHTTPServer):
    """A deployment service: does what the quick start's `exec` hooks do, and keeps every request.

    `moods` says by action how it misbehaves: `refuses` does nothing and answers 503; `lies` does
    its work and answers 500; `hangs` does nothing and never answers; `drips` answers 200 and never
    ends its text. Without a mood an action is done and answered with 200.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.directory = directory
        self.calls: list[Call] = []
        self.moods: dict[str, str] = {}
        self.ended = threading.Event()
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Closes the port: connections are refused from now on."""
        self.ended.set()
        self.shutdown()
        self.server_close()

    def obey(self, call: Call, handler: Handler) -> None:
        self.calls.append(call)
        action = call.variables.get("FERRY_ACTION", "")
        match self.moods.get(action):
            case "refuses":
                return handler.reply(503, f"busy with {action}, password {SECRET}")
            case "hangs":
                self.ended.wait(120)
                return
            case "drips":
                handler.reply(200, "wait", length=1 << 16)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    while not self.ended.wait(0.5):
                        handler.wfile.write(b".")
                return
            case "lies":
                status = 500
            case _:
                status = 200
        done = subprocess.run(
            [str(HOOK)],
            env=os.environ | call.variables,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=100,
        )
        text = f"{action} done" if done.returncode == 0 else done.stdout + done.stderr
        handler.reply(status if done.returncode == 0 else 599, text)

    def steps(self) -> list[str]:
        return [call.step for call in self.calls]


def with_service(port: int, timeouts: dict[str, str] | None = None) -> Callable[[str], str]:
    """Makes every hook of the quick start's plan a request; some get a timeout of their own."""

    def request(found: re.Match[str]) -> str:
        action = found.group(1)
        http = f'{METHODS[action]}: "http://127.0.0.1:{port}/clients/{action}"'
        if action in ("switch", "pause", "resume"):
            http += f", expect: 200, body: '{{\"please\": \"{action}\"}}'"
        timeout = (timeouts or {}).get(action, f"{TIMEOUT_SECONDS}s")
        return f"{{ http: {{ {http} }}, timeout: {timeout} }}"

    return lambda text: EXEC.sub(request, text)


def with_manual(*wanted: str) -> Callable[[str], str]:
    """Makes these actions' hooks a person's work."""

    def manual(found: re.Match[str]) -> str:
        action = found.group(1)
        return f'{{ manual: "please {action}" }}' if action in wanted else found.group(0)

    return lambda text: EXEC.sub(manual, text)


class HookTests(unittest.TestCase):
    def expect(self, answer: Any, code: int, *words: str) -> None:
        self.assertEqual(answer.returncode, code, answer.stdout + answer.stderr)
        for word in words:
            self.assertIn(word, answer.stdout + answer.stderr)

    def named(self, scenario: Scenario, name: str) -> str:
        return f"{scenario.prefix}.{name}" if scenario.prefix else name

    def journalled(self, scenario: Scenario) -> list[dict[str, Any]]:
        """The hooks that succeeded, as the journal has them."""
        shown = scenario.ferry("journal", "show", str(scenario.plan), "--json", plan=False)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertNotIn(SECRET, shown.stdout)
        events = json.loads(shown.stdout)
        return [json.loads(event["payload"]) for event in events if event["kind"] == "hook"]


class HTTPTests(HookTests):
    def test_requests_carry_all_that_a_service_needs_and_the_same_id_after_a_crash(self) -> None:
        with Scenario() as scenario, Service(scenario.directory) as service:
            scenario.write_plan(with_service(service.port))
            for point in ("hook:fence:source", "hook:switch:target"):
                process = scenario.start(FERRY_FAILPOINT=point)
                scenario.wait(lambda _, p=process: p.poll() is not None, point)
                self.assertEqual(process.returncode, -signal.SIGKILL, scenario.tail())
            process = scenario.start()
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            self.expect(scenario.ferry("rollback", "--yes"), 0, "rolled back")
            self.assertEqual(process.wait(30), 4, scenario.tail())

            migration = self.named(scenario, "quickstart")
            billing, audit = (self.named(scenario, name) for name in ("billing", "audit"))
            key = f"{migration}/{STAGE}/1"
            steps = service.steps()
            self.assertEqual(set(steps), {
                f"{key}/fence/source", f"{key}/switch/target", f"{key}/fence/target",
                f"{key}/switch/source", f"{key}/unfence/source",
            } | {
                f"{key}/{action}/{cluster}/{group}" for action in ("pause", "resume")
                for cluster in ("source", "target") for group in (billing, audit)
            })  # fmt: skip
            # A hook that was killed behind its back is called once more, all others are not.
            twice = {step for step in steps if steps.count(step) > 1}
            self.assertEqual(twice, {f"{key}/fence/source", f"{key}/switch/target"})
            self.assertEqual(len(steps), len(set(steps)) + 2)
            self.assertEqual(steps[0], steps[1])
            self.assertEqual(steps[-1], f"{key}/unfence/source")

            for call in service.calls:
                action, cluster, *group = call.step.removeprefix(f"{key}/").split("/")
                expected = {
                    "FERRY_STEP_ID": call.step,
                    "FERRY_MIGRATION": migration,
                    "FERRY_STAGE": STAGE,
                    "FERRY_ACTION": action,
                    "FERRY_CLUSTER": cluster,
                    "FERRY_BOOTSTRAP": getattr(scenario, cluster),
                    "FERRY_ATTEMPT": "1",
                } | ({"FERRY_GROUP": group[0]} if group else {})
                self.assertEqual(call.variables, expected)
                self.assertEqual(call.method, METHODS[action].upper())
                self.assertEqual(call.path, f"/clients/{action}")
                body = f'{{"please": "{action}"}}' if "fence" not in action else ""
                self.assertEqual(call.body, body)

            kept = {hook["id"]: hook for hook in self.journalled(scenario)}
            self.assertLessEqual({step.removeprefix(f"{migration}/") for step in steps}, set(kept))
            fence = kept[f"{STAGE}/1/fence/source"]
            self.assertEqual(fence["output"], "fence done")
            self.assertIn(f"PUT http://127.0.0.1:{service.port}/clients/fence", fence["hook"])
            time.sleep(1)
            scenario.assert_nothing_wrong()

    def test_a_service_that_fails_brings_the_stage_back_and_it_can_be_tried_again(self) -> None:
        with Scenario() as scenario, Service(scenario.directory) as service:
            # The secret is any property's: what the service prints of it is struck out.
            direct = f'source: {{ bootstrap: ["{scenario.source}"] }}'
            secret = direct.replace("] }", "], client: { client.rack: env:FERRY_TEST_SECRET } }")
            edit = with_service(service.port, {"fence": "3s"})
            scenario.write_plan(lambda text: edit(text.replace(direct, secret)))
            self.assertIn(secret, scenario.plan.read_text())
            environment = {"FERRY_TEST_SECRET": SECRET}
            again: list[str] = []

            def attempt(moods: dict[str, str], *words: str) -> None:
                service.moods = moods
                process = scenario.start(*again, **environment)
                again[:] = ["--again"]
                scenario.wait(
                    lambda s: s["state"] == "rolledBack" and process.poll() is not None, str(moods)
                )
                self.assertEqual(process.returncode, 4, scenario.tail())
                for word in words:
                    self.assertIn(word, scenario.tail())

            fence = f"hook http PUT http://127.0.0.1:{service.port}/clients/fence, expecting 200"
            attempt(
                {"fence": "refuses"},
                f"fence failed: {fence} failed: it answered 503",
                "busy with fence, password [redacted]",
            )
            started = time.monotonic()
            attempt({"fence": "hangs"}, f"fence failed: {fence} failed: ", "it ran longer than")
            # Validation and the approval come before the fence, the way back behind it.
            self.assertLess(time.monotonic() - started, 3 + 30)

            # Nobody listens, neither for the fence nor for lifting it: the stage stands still on
            # its way back, until the service is there again.
            service.moods = {}
            service.stop()
            process = scenario.start(*again, **environment)
            scenario.wait(lambda _: process.poll() is not None, "a refused connection")
            self.assertEqual(process.returncode, 1, scenario.tail())
            self.assertIn("stopped at step withdraw: hook http DELETE", scenario.tail())
            self.assertIn("unfence", scenario.stage()["failure"])
            self.expect(scenario.ferry("run", **environment), 1, "stopped at step withdraw")
            migration = self.named(scenario, "quickstart")
            with Service(scenario.directory, service.port) as revived:
                self.expect(scenario.ferry("run", **environment), 4, "rolled back", fence)
                self.assertEqual(revived.steps(), [f"{migration}/{STAGE}/3/unfence/source"])

                # Clients have moved whatever the answer says: what they wrote is carried back. On
                # the way back the same answer is a reason to stand still.
                revived.moods = {"switch": "lies"}
                process = scenario.start(*again, **environment)
                scenario.wait(lambda _: process.poll() is not None, "a switch that failed")
                self.assertEqual(process.returncode, 1, scenario.tail())
                self.assertIn("stopped at step returnClients: hook http POST", scenario.tail())
                self.assertIn("it answered 500; it printed: switch done", scenario.tail())
                revived.moods = {}
                self.expect(scenario.ferry("run", **environment), 4, "switchClients failed: hook")
                steps = revived.steps()
                self.assertEqual(steps.count(f"{migration}/{STAGE}/4/switch/source"), 2)
                self.assertEqual(steps.count(f"{migration}/{STAGE}/4/unfence/target"), 1)

                process = scenario.start(*again, **environment)
                scenario.wait(lambda s: s["state"] == "soaking", "the switch")
                time.sleep(1)
                self.expect(scenario.ferry("finalize", **environment), 0, "finalized")
                self.assertEqual(process.wait(30), 0, scenario.tail())
                self.assertNotIn(SECRET, scenario.log.read_text())
                for file in scenario.directory.glob("*.ferry.db*"):
                    self.assertNotIn(SECRET.encode(), file.read_bytes(), file)
                self.assertTrue(self.journalled(scenario))
                scenario.assert_nothing_wrong()

    def test_an_answer_that_never_ends_is_bounded_by_the_timeout(self) -> None:
        with Scenario(records=300) as scenario, Service(scenario.directory) as service:
            scenario.write_plan(with_service(service.port, {"fence": "3s"}))
            service.moods = {"fence": "drips"}
            process = scenario.start()
            scenario.wait(lambda _: "fence" in str(service.steps()), "the fence")
            scenario.wait(lambda s: s["state"] == "rolledBack", "the way back", 20)
            self.assertEqual(process.wait(10), 4, scenario.tail())
            scenario.assert_nothing_wrong()


class ManualTests(HookTests):
    def await_person(self, scenario: Scenario, hook: str, text: str = "") -> None:
        """Waits until the status asks a person for this hook's work."""
        command = f"{text}, then `ferry ack {hook}`"
        scenario.wait(lambda s: (s.get("waitingFor") or "").endswith(command), hook)

    def acknowledge(self, scenario: Scenario, hook: str) -> None:
        self.expect(scenario.ferry("ack", hook), 0, f"{hook}: acknowledged")

    def refuse(self, scenario: Scenario, *hooks: str) -> None:
        for hook in hooks:
            self.expect(scenario.ferry("ack", hook), 1, f"no manual hook {hook} waits now")

    def roll_back(self, scenario: Scenario) -> subprocess.Popen[str]:
        """`ferry rollback`, which ends when people have done their part."""
        return scenario.spawn(
            [ferry_binary(), "rollback", str(scenario.plan), "--yes"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=scenario.directory,
        )

    def test_a_manual_fence_waits_for_a_person_there_and_back(self) -> None:
        with Scenario() as scenario:
            scenario.write_plan(with_manual("fence", "unfence"))
            process = scenario.start()
            first = f"{STAGE}/1/fence/source"
            self.await_person(scenario, first, "please fence")
            self.expect(
                scenario.ferry("status"), 0,
                f"waits for a person: please fence, then `ferry ack {first}`",
            )  # fmt: skip
            self.refuse(
                scenario, f"{STAGE}/1/fence/target", f"{STAGE}/2/fence/source", f"{STAGE}/1/fence",
                "1/fence/source", "moon/1/fence/source", "fence", first.upper(), f"{first} ",
            )  # fmt: skip
            self.expect(scenario.ferry("ack"), 2, "Missing expected argument '<hook>'")
            stage = scenario.stage()
            self.assertEqual((stage["state"], stage["step"]), ("approved", "fence"))

            # Without an engine nobody listens; the next one asks for the same.
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(30), 130, scenario.tail())
            self.expect(scenario.ferry("ack", first), 1, "no engine runs")
            process = scenario.start()
            self.await_person(scenario, first, "please fence")

            # A person who did not do it is not believed.
            self.acknowledge(scenario, first)
            back = f"{STAGE}/1/unfence/source"
            self.await_person(scenario, back, "please unfence")
            self.refuse(scenario, first)
            migration = self.named(scenario, "quickstart")
            self.acknowledge(scenario, f"{migration}/{back}")  # FERRY_STEP_ID is as good
            self.assertEqual(process.wait(30), 4, scenario.tail())
            self.assertIn("the fence on the source cluster does not hold", scenario.tail())

            # The second attempt asks anew, and goes through.
            process = scenario.start("--again")
            self.await_person(scenario, f"{STAGE}/2/fence/source", "please fence")
            self.refuse(scenario, first)
            scenario.control("producers", run=False)
            self.acknowledge(scenario, f"{STAGE}/2/fence/source")
            self.await_person(scenario, f"{STAGE}/2/unfence/target", "please unfence")
            self.acknowledge(scenario, f"{STAGE}/2/unfence/target")
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            time.sleep(1)
            rollback = self.roll_back(scenario)
            self.await_person(scenario, f"{STAGE}/2/fence/target", "please fence")
            scenario.control("producers", run=False)
            self.acknowledge(scenario, f"{STAGE}/2/fence/target")
            self.await_person(scenario, f"{STAGE}/2/unfence/source", "please unfence")
            self.acknowledge(scenario, f"{STAGE}/2/unfence/source")
            self.assertEqual(rollback.wait(60), 0, scenario.tail())
            self.assertEqual(process.wait(30), 4, scenario.tail())

            # A person who waits may also be told that it is over.
            process = scenario.start("--again")
            self.await_person(scenario, f"{STAGE}/3/fence/source", "please fence")
            rollback = self.roll_back(scenario)
            self.await_person(scenario, f"{STAGE}/3/unfence/source", "please unfence")
            self.refuse(scenario, f"{STAGE}/3/fence/source")
            self.acknowledge(scenario, f"{STAGE}/3/unfence/source")
            self.assertEqual(rollback.wait(60), 0, scenario.tail())
            self.assertEqual(process.wait(30), 4, scenario.tail())
            ids = [hook["id"] for hook in self.journalled(scenario)]
            self.assertIn(f"{STAGE}/2/fence/target", ids)
            self.assertNotIn(f"{STAGE}/3/fence/source", ids)
            scenario.assert_nothing_wrong()

    def test_several_people_are_waited_for_at_once(self) -> None:
        with Scenario(records=300) as scenario:
            scenario.write_plan(with_manual("pause"))
            process = scenario.start()
            asked: list[str] = []
            for _ in range(2):
                stage = scenario.wait(
                    lambda s: "ferry ack" in (s.get("waitingFor") or "")
                    and not any(hook in s["waitingFor"] for hook in asked),
                    f"more than {asked}",
                    40,
                )
                hook = re.findall("`ferry ack ([^`]+)`", stage["waitingFor"])[-1]
                self.assertNotIn(hook, asked)
                group = hook.split("/")[-1]
                scenario.workload(
                    "control", "--role", "consumers", "--group", group, "--run", "false"
                )
                self.acknowledge(scenario, hook)
                asked.append(hook)
            scenario.wait(lambda s: s["state"] == "soaking", "the switch")
            self.expect(scenario.ferry("finalize"), 0)
            self.assertEqual(process.wait(30), 0, scenario.tail())
            scenario.assert_nothing_wrong()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
