#!/usr/bin/env python3
"""Kafka brokers for the quick start and the tests: real ones, started, stopped, paused and killed.

There are three kinds behind one interface:

- ``noida``: noida-db from the sandbox's virtual environment; the default;
- ``kafka``: Apache Kafka, where KAFKA_HOME points at an unpacked distribution;
- ``user``: brokers of the user's own, where FERRY_TEST_SOURCE and FERRY_TEST_TARGET name their
  bootstrap servers; these are never started, stopped or disturbed.

``sandbox.py serve --brokers source,target --dir D`` starts brokers and prints one line of JSON when
they answer. It then reads commands, one line of JSON each, and answers each with one line:

    {"do": "stop" | "kill" | "start" | "pause" | "cont", "broker": "source"}
    {"do": "cut", "broker": "source"}                                close all connections now
    {"do": "refuse", "broker": "source", "on": true}                 accept no new ones
    {"do": "delay", "broker": "source", "ms": 50}                    delay every reply
    {"do": "blackhole", "broker": "source", "direction": "up" | "down" | "both", "on": true}
    {"do": "breakframe", "broker": "source", "direction": "down", "after_bytes": 100,
     "api": "fetch" | "produce"}                                     api is optional
    {"do": "heal", "broker": "source"}                               end all faults
    {"do": "status"}                                                 the ready line again
    {"do": "quit"}

With ``--sasl USER:PASSWORD,...`` brokers of Apache Kafka also listen for clients that log in with
SASL/PLAIN. The ready line has that address as "sasl"; no fault strikes it, as it has no proxy.
With ``--acl`` they have an authorizer; who logs in as ``ferry``, or not at all, is a super user.

The end of its input, or of its parent, stops everything: no broker outlives the sandbox.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import ctypes
import glob
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from proxy import Proxy

START_SECONDS = {"noida": 20, "kafka": 90}
HOLD_SECONDS = 0.025
"""How long an empty fetch reply of noida is held; see `proxy`."""

PR_SET_PDEATHSIG = 1


class SandboxError(Exception):
    """Something the user of the sandbox can act on."""


def broker_kind() -> str:
    """Which kind of broker the environment asks for."""
    own = [os.environ.get(f"FERRY_TEST_{name}") for name in ("SOURCE", "TARGET")]
    if all(own):
        return "user"
    if any(own):
        raise SandboxError("set both FERRY_TEST_SOURCE and FERRY_TEST_TARGET, or neither")
    return "kafka" if os.environ.get("KAFKA_HOME") else "noida"


def die_with_parent() -> None:
    """Runs in the child before it starts: the kernel kills it when the sandbox dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers_kafka(port: int) -> bool:
    """Whether a broker lists its topics on this port: it is ready then, not only listening."""
    request = struct.pack(">hhih", 3, 1, 1, 4) + b"wait" + struct.pack(">i", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            head = connection.recv(12, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(head) == 12 and struct.unpack(">i", head[8:])[0] > 0


class Broker:
    """One broker of its own in a directory, with a proxy in front."""

    kind = ""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.log = directory / "broker.log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.paused = False
        self.proxy: Proxy | None = None

    # What a kind of broker has to say

    def choose_ports(self) -> None:
        """Picks free ports; called again when one of them was taken meanwhile."""
        self.port = free_port()

    def prepare(self) -> None:
        """Writes what the broker needs before its first start."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def hold_seconds(self) -> float:
        return 0

    # Life

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.poll() is None else None

    async def start_first(self) -> None:
        """Starts on ports that are free, and once more on others where they were snatched."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for attempt in range(5):
            self.choose_ports()
            self.prepare()
            try:
                await self.start()
                break
            except SandboxError:
                if attempt == 4 or not self.port_clash():
                    raise
        self.proxy = Proxy(self.port, self.hold_seconds())
        await self.proxy.start()

    def port_clash(self) -> bool:
        text = self.log.read_text(errors="replace").lower()
        return "address already in use" in text or "in use" in text

    async def start(self) -> None:
        """Starts the broker in its directory, on its ports, and waits until it answers."""
        if self.pid:
            return
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                preexec_fn=die_with_parent,
                start_new_session=True,
            )
        self.paused = False
        await self.wait_until_ready()

    async def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS[self.kind]
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                code = self.process.returncode if self.process else "?"
                raise SandboxError(f"broker {self.name} ended with {code}:\n{self.log_tail()}")
            if await asyncio.to_thread(answers_kafka, self.port):
                return
            await asyncio.sleep(0.02)
        await self.end(signal.SIGKILL)
        raise SandboxError(
            f"broker {self.name} did not answer within {START_SECONDS[self.kind]} s:\n"
            + self.log_tail()
        )

    def log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join(lines + [f"(all of it: {self.log})"])

    async def end(self, number: signal.Signals, patience: float = 30) -> None:
        """Signals the broker and waits for its end; kills it where that takes too long."""
        process = self.process
        if process is None or process.poll() is not None:
            return
        if self.paused and number != signal.SIGKILL:
            self.signal(signal.SIGCONT)
        self.signal(number)
        deadline = time.monotonic() + patience
        while process.poll() is None:
            if time.monotonic() > deadline:
                self.signal(signal.SIGKILL)
            await asyncio.sleep(0.01)

    def signal(self, number: signal.Signals) -> None:
        if self.pid is None:
            raise SandboxError(f"broker {self.name} does not run; start it first")
        os.kill(self.pid, number)

    async def stop(self) -> None:
        await self.end(signal.SIGTERM)

    async def kill(self) -> None:
        await self.end(signal.SIGKILL)

    async def pause(self) -> None:
        self.signal(signal.SIGSTOP)
        self.paused = True

    async def cont(self) -> None:
        self.signal(signal.SIGCONT)
        self.paused = False

    async def close(self) -> None:
        """The broker's and its proxy's end."""
        if self.proxy is not None:
            await self.proxy.stop()
        await self.end(signal.SIGKILL)

    def faults(self) -> Proxy:
        if self.proxy is None:
            raise SandboxError(f"broker {self.name} has no proxy, so it can have no faults")
        return self.proxy

    def describe(self) -> dict[str, Any]:
        port = self.proxy.port if self.proxy else self.port
        return {
            "bootstrap": f"127.0.0.1:{port}",
            "direct": f"127.0.0.1:{self.port}",
            "pid": self.pid,
        }


class Noida(Broker):
    """noida-db, from the environment that `setup` made."""

    kind = "noida"

    def prepare(self) -> None:
        """Gives the broker a cluster id and switches automatic topics off."""
        state = {
            "topics": [],
            "broker_id": 1,
            "host": "127.0.0.1",
            "port": self.port,
            "cluster_id": cluster_id(self.name),
            "next_producer_id": 1000,
            "committed_offsets": [],
            "offset_metadata": [],
            "broker_configs": {"auto.create.topics.enable": "false"},
        }
        path = self.data() / "kafka.json"
        if not path.exists():
            self.data().mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(state, separators=(",", ":")))

    async def start(self) -> None:
        """Starts with producer ids that were never given out.

        A killed noida gives ids out again, takes the second owner's first records for the first one's
        and drops them unsaid. Kafka never does.
        """
        path = self.data() / "kafka.json"
        if not self.pid:
            state = json.loads(path.read_text())
            state["next_producer_id"] += 1000
            path.write_text(json.dumps(state, separators=(",", ":")))
        await super().start()

    def data(self) -> Path:
        return self.directory / "data"

    def command(self) -> list[str]:
        arguments = ["--only", "kafka", "--kafka-port", str(self.port)]
        return [noida_binary(), "start", "--data-dir", str(self.data()), *arguments]

    async def stop(self) -> None:
        """Waits until the last second's records are saved; noida loses them otherwise."""
        if self.proxy is not None:
            self.proxy.refuse(True)
            self.proxy.cut()
        await asyncio.sleep(1.2)
        await self.end(signal.SIGTERM)
        if self.proxy is not None:
            self.proxy.refuse(False)

    def hold_seconds(self) -> float:
        return HOLD_SECONDS


class ApacheKafka(Broker):
    """A single Apache Kafka node that is its own controller."""

    kind = "kafka"

    def __init__(
        self, name: str, directory: Path, acl: bool = False, sasl: str | None = None
    ) -> None:
        super().__init__(name, directory)
        self.home = Path(os.environ["KAFKA_HOME"])
        self.controller_port = 0
        self.sasl_port = 0
        self.acl = acl
        self.sasl = sasl
        self.formatted = False

    def choose_ports(self) -> None:
        super().choose_ports()
        self.controller_port = free_port()
        self.sasl_port = free_port()
        self.formatted = False

    def prepare(self) -> None:
        self.properties().write_text(
            "".join(f"{key}={value}\n" for key, value in self.settings().items())
        )
        if (self.directory / "data" / "meta.properties").exists():
            return
        tool = self.home / "bin" / "kafka-storage.sh"
        if not tool.exists():
            raise SandboxError(f"no {tool}: point KAFKA_HOME at an unpacked Apache Kafka")
        command = [str(tool), "format", "-t", kafka_uuid(), "-c", str(self.properties())]
        done = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SandboxError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")

    def properties(self) -> Path:
        return self.directory / "server.properties"

    def settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},"
            f"CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self.directory / "data",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 5,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 5,
            "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "false",
            "log.cleaner.backoff.ms": 500,
            "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
        }
        if self.acl:
            settings["authorizer.class.name"] = (
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
            )
            settings["allow.everyone.if.no.acl.found"] = "true"
            settings["super.users"] = "User:ANONYMOUS;User:ferry"
        if self.sasl:
            settings |= self.sasl_settings(settings, self.sasl)
        return settings

    def sasl_settings(self, settings: dict[str, Any], logins: str) -> dict[str, Any]:
        """One more listener, with a JAAS configuration that knows these users."""
        name = "SASL_PLAINTEXT"
        address = f",{name}://127.0.0.1:{self.sasl_port}"
        users = [login.split(":", 1) for login in logins.split(",")]
        known = " ".join(f'user_{user}="{password}"' for user, password in users)
        module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        return {
            "listeners": settings["listeners"] + address,
            "advertised.listeners": settings["advertised.listeners"] + address,
            "listener.security.protocol.map": settings["listener.security.protocol.map"]
            + f",{name}:{name}",
            "sasl.enabled.mechanisms": "PLAIN",
            f"listener.name.{name.lower()}.plain.sasl.jaas.config": f"{module} required"
            f" {known};",
        }

    def describe(self) -> dict[str, Any]:
        sasl = {"sasl": f"127.0.0.1:{self.sasl_port}"} if self.sasl else {}
        return super().describe() | sasl

    def command(self) -> list[str]:
        return [str(self.home / "bin" / "kafka-server-start.sh"), str(self.properties())]

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "KAFKA_HEAP_OPTS": "-Xms128m -Xmx384m",
            "KAFKA_GC_LOG_OPTS": " ",
            "LOG_DIR": str(self.directory / "logs"),
        }


class UserBroker(Broker):
    """A cluster of the user's own: only its address is known, and it is left in peace."""

    kind = "user"

    def __init__(self, name: str, directory: Path) -> None:
        super().__init__(name, directory)
        bootstrap = os.environ.get(f"FERRY_TEST_{name.upper()}")
        if not bootstrap:
            raise SandboxError(f"no FERRY_TEST_{name.upper()} in the environment for {name}")
        self.bootstrap = bootstrap

    async def start_first(self) -> None:
        pass

    async def start(self) -> None:
        self.not_ours()

    async def stop(self) -> None:
        self.not_ours()

    kill = pause = cont = stop

    async def close(self) -> None:
        pass

    def not_ours(self) -> None:
        raise SandboxError(f"{self.name} is a broker of your own: it is not started or stopped")

    def describe(self) -> dict[str, Any]:
        return {"bootstrap": self.bootstrap, "direct": self.bootstrap, "pid": None}


def cluster_id(name: str) -> str:
    """A cluster id in the shape Kafka's have, that shows whose it is."""
    return f"{name[:11]}-{uuid.uuid4().hex}"[:22]


def kafka_uuid() -> str:
    """A random id as `kafka-storage.sh random-uuid` makes them."""
    return "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


def noida_binary() -> str:
    """noida's own program in this Python's environment or in the sandbox's."""
    root = Path(__file__).resolve().parents[2]
    for prefix in (Path(sys.prefix), root / ".venv-sandbox"):
        for found in glob.glob(str(prefix / "lib/python3*/site-packages/noida_db/noida-db")):
            os.chmod(found, 0o755)
            return found
    raise SandboxError("noida-db is not installed; run Tests/Sandbox/setup")


def make_broker(kind: str, name: str, directory: Path, acl: bool, sasl: str | None) -> Broker:
    if sasl and kind != "kafka":
        raise SandboxError(f"--sasl needs Apache Kafka, not {kind}: see KAFKA_HOME")
    match kind:
        case "noida":
            return Noida(name, directory)
        case "kafka":
            return ApacheKafka(name, directory, acl, sasl)
        case "user":
            return UserBroker(name, directory)
    raise SandboxError(f"no kind of broker is called {kind!r}; there are noida, kafka and user")


class Sandbox:
    """Some brokers of one kind, by name."""

    def __init__(
        self,
        names: list[str],
        directory: Path,
        kind: str,
        acl: bool = False,
        sasl: str | None = None,
    ) -> None:
        self.kind = kind
        self.brokers: dict[str, Broker] = {
            name: make_broker(kind, name, directory / name, acl, sasl) for name in names
        }

    async def start(self) -> None:
        await asyncio.gather(*(each.start_first() for each in self.brokers.values()))

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for each in self.brokers.values()))

    def describe(self) -> dict[str, Any]:
        brokers = {name: each.describe() for name, each in self.brokers.items()}
        return {"ready": True, "kind": self.kind, "brokers": brokers}

    async def perform(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carries out one command of `serve` and returns what to answer beside ok."""
        action = command.get("do")
        if action == "status":
            return self.describe()
        broker = self.brokers.get(command.get("broker", ""))
        if broker is None:
            known = ", ".join(self.brokers)
            raise SandboxError(f"no broker {command.get('broker')!r}; there are {known}")
        if action in ("start", "stop", "kill", "pause", "cont"):
            await getattr(broker, action)()
            return broker.describe()
        return self.inject(broker.faults(), command)

    def inject(self, proxy: Proxy, command: dict[str, Any]) -> dict[str, Any]:
        match command["do"]:
            case "cut":
                return {"connections": proxy.cut()}
            case "refuse":
                proxy.refuse(bool(command.get("on", True)))
            case "delay":
                proxy.delay(float(command["ms"]))
            case "blackhole":
                proxy.blackhole(command.get("direction", "both"), bool(command.get("on", True)))
            case "breakframe":
                proxy.break_frame(
                    command["direction"], int(command["after_bytes"]), command.get("api")
                )
            case "heal":
                proxy.heal()
            case other:
                raise SandboxError(f"unknown command {other!r}; see sandbox.py serve --help")
        return {}


async def answer(sandbox: Sandbox, line: bytes) -> dict[str, Any]:
    """The answer to one line of input; a wrong line is answered too, never fatal."""
    try:
        command = json.loads(line)
        return {"ok": True} | await sandbox.perform(command)
    except KeyError as error:
        return {"ok": False, "error": f"the command lacks {error}"}
    except (SandboxError, ValueError, TypeError, AttributeError, OSError) as error:
        return {"ok": False, "error": str(error)}


def credentials(text: str) -> str:
    """`USER:PASSWORD,...`, of characters that need no quoting in a JAAS configuration."""
    if not re.fullmatch(r"[\w.-]+:[\w.-]+(,[\w.-]+:[\w.-]+)*", text):
        raise argparse.ArgumentTypeError("give USER:PASSWORD,..., of letters, digits, `_`, `.` and `-`")
    return text


def say(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)


async def standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def serve(arguments: argparse.Namespace) -> None:
    """Starts brokers and obeys the commands on standard input until it ends."""
    names = [name for name in arguments.brokers.split(",") if name]
    kind = arguments.kind or broker_kind()
    sandbox = Sandbox(names, arguments.dir.resolve(), kind, arguments.acl, arguments.sasl)
    serving = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, serving.cancel)  # type: ignore[union-attr]
    try:
        await sandbox.start()
        say(sandbox.describe())
        commands = await standard_input()
        while line := await commands.readline():
            if b'"quit"' in line and json.loads(line).get("do") == "quit":
                say({"ok": True})
                break
            if line.strip():
                say(await answer(sandbox, line))
    except asyncio.CancelledError:
        pass
    finally:
        await sandbox.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    serving = actions.add_parser("serve", help="start brokers and obey commands on standard input")
    serving.add_argument("--brokers", default="source,target", help="names, with commas between")
    serving.add_argument("--dir", type=Path, required=True, help="where brokers keep their data")
    serving.add_argument(
        "--kind", choices=["noida", "kafka", "user"], help="default: by environment"
    )
    serving.add_argument("--acl", action="store_true", help="Apache Kafka: with an authorizer")
    serving.add_argument(
        "--sasl", type=credentials, metavar="USER:PASSWORD,...",
        help="Apache Kafka: a second listener, with SASL/PLAIN",
    )  # fmt: skip
    actions.add_parser("kind", help="print which kind of broker the environment asks for")
    arguments = parser.parse_args()
    try:
        if arguments.action == "kind":
            print(broker_kind())
        else:
            asyncio.run(serve(arguments))
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
