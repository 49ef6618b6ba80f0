#!/usr/bin/env python3
"""The crash matrix's hooks: what the quick start's do, quicker, and with a log of every call.

`matrix_hook.py DIR` obeys Ferry's environment. Where FERRY_FAILPOINT says `running:ACTION:CLUSTER`, it
kills Ferry in its own middle, and goes on: as when an engine dies while a hook runs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

SECONDS = 60


def note(log: Path, when: str) -> None:
    entry = {"id": os.environ["FERRY_STEP_ID"], "when": when, "t": time.time()}
    with log.open("a") as stream:
        stream.write(json.dumps(entry) + "\n")


def control(directory: Path, name: str, run: bool, bootstrap: str | None) -> dict[str, Any]:
    """Rewrites a client's control file, as `workload.py control` does."""
    path = directory / f"{name}.control.json"
    now: dict[str, Any] = json.loads(path.read_text())
    then = now | {"run": run, "bootstrap": bootstrap or now["bootstrap"]}
    if then != now:
        then["revision"] += 1
        copy = path.with_name(f".{path.name}.{os.getpid()}")
        copy.write_text(json.dumps(then))
        copy.rename(path)
    return then


def has_obeyed(directory: Path, name: str, wanted: dict[str, Any]) -> bool:
    path = directory / f"{name}.state.json"
    state = json.loads(path.read_text()) if path.exists() else {"revision": -1}
    if state["revision"] < wanted["revision"]:
        return False
    if state["error"]:
        sys.exit(f"{name}: {state['error']}")
    return bool(state["running"] == wanted["run"])


def kill_ferry(action: str, cluster: str, stage: str) -> None:
    point = f"running:{action}:{cluster}"
    if os.environ.get("FERRY_FAILPOINT") not in (point, f"{stage}/{point}"):
        return
    parent = os.getppid()
    # Another hook may have done it already.
    if Path(f"/proc/{parent}/comm").read_text().strip() == "ferry":
        os.kill(parent, signal.SIGKILL)


def main() -> None:
    clients = Path(sys.argv[1]) / "clients"
    log = Path(sys.argv[1]) / "hooks.jsonl"
    action, cluster = os.environ["FERRY_ACTION"], os.environ["FERRY_CLUSTER"]
    stage = os.environ["FERRY_STAGE"]
    note(log, "begin")
    names = []
    if action in ("pause", "resume"):
        names = [os.environ["FERRY_GROUP"]]
    elif "--idle" not in sys.argv:
        known = (path.name.removesuffix(".control.json") for path in clients.glob("*.control.json"))
        names = [n for n in known if n.split(".")[-1] == "orders"]
    # The group that stopped long ago has no client.
    names = [n for n in names if (clients / f"{n}.control.json").exists()]
    run = action not in ("fence", "pause")
    bootstrap = os.environ["FERRY_BOOTSTRAP"] if run else None
    wanted = {name: control(clients, name, run, bootstrap) for name in names}
    kill_ferry(action, cluster, stage)
    deadline = time.monotonic() + SECONDS
    while not all(has_obeyed(clients, name, each) for name, each in wanted.items()):
        if time.monotonic() > deadline:
            sys.exit(f"{', '.join(names)}: not confirmed within {SECONDS} s")
        time.sleep(0.02)
    note(log, "end")


if __name__ == "__main__":
    main()
