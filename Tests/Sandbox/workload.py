#!/usr/bin/env python3
"""Live clients for the quick start and the tests: a small order system, whatever cluster it is on.

``prepare`` creates topics with history on the source. ``clients`` runs one producer and two
consumer groups, all in one process; ``client`` runs a single one. Each client obeys a control file,
as a deployment obeys its configuration, and confirms in a state file what it has done:

    D/NAME.control.json   {"role": "producer", "run": true, "bootstrap": "...", "revision": 3}
    D/NAME.state.json     {"revision": 3, "running": true, "bootstrap": "...", "error": null}
    D/NAME.produced.jsonl {"t", "topic", "partition", "offset", "seq", "cluster"}  per ack
    D/NAME.consumed.jsonl the same, per processed record

``control`` rewrites control files and waits for the confirmations: hooks of a plan call it.
``remove`` deletes the topics and groups again, on clusters that outlive the sandbox.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from clients import END_SECONDS, TICK_SECONDS, Client, OrderConsumer, OrderProducer
from history import History
from kafka.errors import KafkaError, UnknownTopicOrPartitionError
from orders import (
    WorkloadError,
    administrator,
    manifest_of,
    qualified,
    read_json,
    write_atomically,
)

DEFAULT_RECORDS = {"quickstart": 20_000, "crash": 6_000, "small": 1_000}


# prepare


def prepare(arguments: argparse.Namespace) -> None:
    directory: Path = arguments.dir
    directory.mkdir(parents=True, exist_ok=True)
    if (directory / "workload.json").exists():
        raise WorkloadError(f"{directory} holds a workload already; give an empty --dir")
    records = arguments.records or DEFAULT_RECORDS[arguments.profile]
    if records > 100_000:
        raise WorkloadError("--records must be 100000 at most: the sandbox broker is a small one")
    history = History(arguments.source, arguments.prefix, records, arguments.replication)
    manifest = history.write()
    write_atomically(directory / "workload.json", manifest)
    roles = {qualified(arguments.prefix, "orders"): "producer"} | {
        name: "consumer" for name, group in manifest["groups"].items() if group["topics"]
    }
    for name, role in roles.items():
        control = {"role": role, "run": False, "bootstrap": arguments.source, "revision": 1}
        write_atomically(directory / f"{name}.control.json", control)


# clients


def make_client(
    name: str, role: str, directory: Path, arguments: argparse.Namespace, control: Path | None
) -> Client:
    if role == "producer":
        return OrderProducer(name, directory, arguments.rate, control)
    group = manifest_of(directory)["groups"].get(name)
    if group is None or not group["topics"]:
        raise WorkloadError(f"no group {name!r} with topics in {directory}/workload.json")
    slow = group["slow"] or getattr(arguments, "slow", False)
    return OrderConsumer(
        name, directory, group["topics"], arguments.slow_rate if slow else None, control
    )


def run_clients(clients: list[Client]) -> None:
    """Runs clients until the process is told to end; each stops cleanly then."""

    def end(*_: Any) -> None:
        for client in clients:
            client.ending.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    for client in clients:
        client.daemon = True
        client.start()
    for client in clients:
        while client.is_alive():
            client.join(0.2)
            if client.ending.is_set():
                client.join(3 * END_SECONDS)
                break
    logging.shutdown()
    os._exit(0)  # a client whose cluster is gone must not keep the process


def all_clients(arguments: argparse.Namespace) -> None:
    directory: Path = arguments.dir
    clients = [
        make_client(name, control["role"], directory, arguments, None)
        for name, control in controls(directory).items()
    ]
    run_clients(clients)


def one_client(arguments: argparse.Namespace) -> None:
    run_clients(
        [make_client(arguments.name, arguments.role, arguments.dir, arguments, arguments.control)]
    )


# control


def controls(directory: Path) -> dict[str, dict[str, Any]]:
    """All clients' control files, by name."""
    found = {
        path.name.removesuffix(".control.json"): json.loads(path.read_text())
        for path in sorted(directory.glob("[!.]*.control.json"))
    }
    if not found:
        raise WorkloadError(f"no control files in {directory}; run `workload.py prepare` first")
    return found


def control(arguments: argparse.Namespace) -> None:
    """Brings clients into a state and waits until all of them have confirmed it."""
    chosen = choose(controls(arguments.dir), arguments.role, arguments.group)
    wanted = arguments.run == "true"
    waiting: dict[str, dict[str, Any]] = {}
    for name, now in chosen.items():
        then = now | {"run": wanted, "bootstrap": arguments.bootstrap or now["bootstrap"]}
        if then != now or has_failed(arguments.dir, name):
            then["revision"] = now["revision"] + 1
            write_atomically(arguments.dir / f"{name}.control.json", then)
        waiting[name] = then
    wait_for(arguments.dir, waiting, arguments.timeout)


def choose(
    known: dict[str, dict[str, Any]], role: str, group: str | None
) -> dict[str, dict[str, Any]]:
    roles = {"producers": {"producer"}, "consumers": {"consumer"}, "all": {"producer", "consumer"}}
    chosen = {
        name: each
        for name, each in known.items()
        if each["role"] in roles[role] and (group is None or name == group)
    }
    if not chosen:
        raise WorkloadError(
            f"no {role}{f' of group {group}' if group else ''} here; there are {', '.join(known)}"
        )
    return chosen


def has_failed(directory: Path, name: str) -> bool:
    state = read_json(directory / f"{name}.state.json")
    return bool(state and state["error"])


def wait_for(directory: Path, wanted: dict[str, dict[str, Any]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        missing = {
            name: trouble
            for name, each in wanted.items()
            if (trouble := unconfirmed(read_json(directory / f"{name}.state.json"), each))
        }
        if not missing:
            return
        failed = [name for name, trouble in missing.items() if trouble.startswith("failed")]
        if failed or time.monotonic() > deadline:
            details = "; ".join(f"{name} {trouble}" for name, trouble in missing.items())
            raise WorkloadError(
                f"not confirmed within {seconds:g} s: {details}."
                f" See the state files in {directory}, and whether `workload.py clients` runs."
            )
        time.sleep(TICK_SECONDS)


def unconfirmed(state: dict[str, Any] | None, wanted: dict[str, Any]) -> str:
    """What is still missing, in words; nothing when the client has confirmed."""
    if state is None:
        return "has not reported anything yet"
    if state["revision"] < wanted["revision"]:
        return f"is at revision {state['revision']} of {wanted['revision']}"
    if state["error"]:
        return f"failed: {state['error']}"
    if state["running"] != wanted["run"]:
        return "is not in the wanted state"
    return ""


# remove


def remove(arguments: argparse.Namespace) -> None:
    """Deletes this workload's topics and groups, and nothing else, from a cluster."""
    manifest = manifest_of(arguments.dir)
    admin = administrator(arguments.bootstrap)
    try:
        for topic in manifest["topics"]:
            try:
                admin.delete_topics([topic])
            except UnknownTopicOrPartitionError:
                pass
        for group in manifest["groups"]:
            try:
                admin.delete_groups([group])
            except KafkaError:
                pass  # never moved here, or not ours to delete
    finally:
        admin.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)

    action = actions.add_parser("prepare", help="create topics with history on the source")
    action.add_argument("--source", required=True, help="bootstrap servers")
    action.add_argument("--prefix", default="", help="before every topic and group, with a dot")
    action.add_argument("--records", type=int, help="about how many; default by profile")
    action.add_argument("--replication", type=int, default=1, help="-1 is the broker's default")
    action.add_argument("--profile", choices=[*DEFAULT_RECORDS], default="quickstart")
    action.set_defaults(perform=prepare)

    several = actions.add_parser("clients", help="run all clients of a workload")
    several.set_defaults(perform=all_clients)
    single = actions.add_parser("client", help="run one client")
    single.add_argument("--control", type=Path, help="default: D/NAME.control.json")
    single.add_argument("--role", choices=["producer", "consumer"], required=True)
    single.add_argument("--name", required=True, help="of a consumer: its group")
    single.add_argument("--slow", action="store_true", help="process at --slow-rate")
    single.set_defaults(perform=one_client)
    for action in (several, single):
        action.add_argument("--rate", type=float, default=300, help="records/s of the producer")
        action.add_argument("--slow-rate", type=float, default=150, help="of a slow consumer")

    action = actions.add_parser("control", help="start, stop and move clients, and wait for them")
    action.add_argument("--role", choices=["producers", "consumers", "all"], required=True)
    action.add_argument("--group", help="only this consumer group")
    action.add_argument("--run", choices=["true", "false"], required=True)
    action.add_argument("--bootstrap", help="default: where they are")
    action.add_argument("--timeout", type=float, default=30, help="seconds")
    action.set_defaults(perform=control)

    action = actions.add_parser("remove", help="delete the workload's topics and groups")
    action.add_argument("--bootstrap", required=True)
    action.set_defaults(perform=remove)

    for action in actions.choices.values():
        action.add_argument("--dir", type=Path, required=True, help="the workload's directory")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        arguments.perform(arguments)
    except (WorkloadError, KafkaError) as error:
        print(f"workload: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
