"""A shop that takes uploads, landing them here or in real processes, and what is then where.

As a script: `python -m tests.upload_parts land PROJECT` lands once; `--kill-at-event KIND` dies at the first such
event, `--kill-at-move` right before a file is put away.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from flows.job import open_job
from flows.landing import land_each, land_sources
from flows.outcome import Outcome
from flows.steps import plain_step
from lake.engine import Session
from lake.errors import SluiceError
from lake.ledger import BatchRecord, find_batches, sweep_commits
from lake.project import open_project
from lake.run import Event, begin_run, system_clock
from tests.crash_parts import CONTRACT, LIMITS, kill_myself, settings_of, store_of
from tests.landing_parts import raw_rows
from tests.warm_parts import WarmProcess

HEADER = "order_id,sold_on,region,amount_eur\n"
SERVER = "{server: inbox, type: local, path: inbox/*.csv, format: csv}"


def make_shop(folder: Path, path: str = "inbox", server: str | None = None, **options: object) -> Path:
    """Gives a project with one source that takes uploads from a folder, or has another server."""
    options = {"intake": "uploads", "settleSeconds": 0, **options}
    listed = ", ".join(f"{{property: {name}, value: {value}}}" for name, value in options.items())
    local = f"{{server: inbox, type: local, path: {path!r}, format: csv, customProperties: [{listed}]}}"
    contract = folder / "lake" / "contracts" / "orders.yaml"
    contract.parent.mkdir(parents=True)
    contract.write_text(CONTRACT.replace(SERVER, server or local))
    (folder / "inbox").mkdir()
    return folder


def order(name: str, amount: str = "1.00") -> str:
    return f"{name},2026-01-10,north,{amount}\n"


def upload(folder: Path, name: str, *orders: str) -> Path:
    path = folder / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + "".join(order(each) for each in orders))
    return path


def land_here(folder: Path, *sources: str, observers=(), clock=system_clock) -> Outcome:
    run = begin_run("tester", clock=clock, observers=observers)
    return land_sources(open_project(folder), settings_of(folder), run, sources, plain_step)


def take(folder: Path, observers=(), clock=system_clock) -> SluiceError | None:
    """Lands as a visit does, without the writing down that follows one; gives what failed. A fifth of the time."""
    run = begin_run("tester", clock=clock, observers=observers)
    with open_job(open_project(folder), settings_of(folder), run, plain_step) as job:
        return land_each(job, ())


def landed(folder: Path) -> list[str]:
    """The orders in raw."""
    return [row[0] for row in raw_rows(store_of(folder), "order_id", "orders")]


def batches(folder: Path) -> list[BatchRecord]:
    with Session(LIMITS) as session:
        sweep_commits(session, store_of(folder), ["orders"])
        return find_batches(session, store_of(folder))


def tree(folder: Path) -> list[str]:
    """The files of the inbox, days replaced by DAY."""
    found = (path.relative_to(folder / "inbox") for path in (folder / "inbox").rglob("*") if path.is_file())
    return sorted("/".join("DAY" if part[:3] == "202" else part for part in path.parts) for path in found)


def start(folder: Path, *arguments: str) -> WarmProcess:
    """Starts a landing in a process of its own."""
    return WarmProcess("tests.upload_parts:main", ["land", str(folder), *arguments])


def sluice(folder: Path, *arguments: str) -> WarmProcess:
    """Starts the command line in a process of its own."""
    given = os.environ | {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    return WarmProcess("flows.cli:main", [*arguments, "--project", str(folder)], given)


def killing_at(kind: str):
    def observe(event: Event) -> None:
        if event.kind == kind:
            kill_myself()

    return observe


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("land",))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kill-at-event", default="")
    parser.add_argument("--kill-at-move", action="store_true")
    given = parser.parse_args(arguments)
    if given.kill_at_move:
        sys.setprofile(lambda frame, *_: kill_myself() if frame.f_code is shutil.move.__code__ else None)
    outcome = land_here(given.folder, observers=(killing_at(given.kill_at_event),))
    sys.stdout.write(json.dumps(outcome.as_json()))


if __name__ == "__main__":
    main(sys.argv[1:])
