"""The demo: data made, the API served that gives part of it, and one `sluice run` over all of it."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from flows.prefect_api import find_api
from flows.serving import find_place, server_for, stoppable
from flows.workplace import Workplace
from lake.demo.bodies import DemoDelivery, deliver_demo
from lake.demo.meter_api import served_readings
from lake.engine import Session
from lake.errors import SluiceError

ADDRESS, TOKEN = "ELECTRICITY_API_URL", "ELECTRICITY_API_TOKEN"  # the names in the contract of the readings

Environment = Mapping[str, str]


@dataclass(frozen=True)
class History:
    """Where a run is written down: the environment that names it, and what waits for its server (None: it is there)."""

    environment: Environment = field(default_factory=dict)
    wait: Callable[[], None] | None = None


def demonstrate(workplace: Workplace, rows: int, seed: int, *, is_plain: bool) -> int:
    """Makes demo data, runs the pipeline over them in a process of its own, and gives that one's exit code.

    With `is_plain` without Prefect; else in the history of the server that answers, or of the project's own, which
    starts while the data are made and ends after the run.
    """
    with stoppable(), _history(workplace, is_plain=is_plain) as history:
        given = make_data(workplace, rows, seed)
        with served(given) as addresses:
            return _run(workplace, history, addresses, is_plain=is_plain)


def make_data(workplace: Workplace, rows: int, seed: int) -> list[DemoDelivery]:
    """Makes the demo data of the project's sources, and says what they are."""
    sources = workplace.place.contracts().keys()
    with Session(workplace.settings.limits) as session:
        given = deliver_demo(session, workplace.place.root, sources, rows=rows, seed=seed)
    workplace.tell(f"Demo data: {sum(delivery.line_count for delivery in given):,} records for {len(given)} sources.")
    for delivery in given:
        faults = ", ".join(f"{count:,} {fault}" for fault, count in delivery.by_fault.items())
        way = " by API" if delivery.is_served else ""
        workplace.tell(f"  {delivery.source}: {delivery.line_count:,}{way}, of them {faults or 'none with a fault'}")
    return given


@contextmanager
def served(given: Sequence[DemoDelivery]) -> Iterator[Environment]:
    """Serves what comes by an API while the block runs; gives where it is, by the names the contracts ask for."""
    with ExitStack() as stack:
        addresses: dict[str, str] = {}
        for delivery in given:
            if delivery.is_served:
                token = secrets.token_urlsafe()
                addresses = {ADDRESS: stack.enter_context(served_readings(delivery.path, token)), TOKEN: token}
        yield addresses


@contextmanager
def _history(workplace: Workplace, *, is_plain: bool) -> Iterator[History]:
    """Sees to it that a Prefect server is there, or is starting, while the block runs."""
    if is_plain or find_api(workplace.project) is not None:
        yield History()
        return
    place = find_place(workplace.project, 0)
    with server_for(place) as wait:
        yield History(place.environment, wait)


def _run(workplace: Workplace, history: History, addresses: Environment, *, is_plain: bool) -> int:
    """Runs the pipeline in a process of its own: what it has to tell a server is told before that one ends.

    While the server starts, that process loads what it needs.
    """
    flags = {"--plain": is_plain, "--quiet": workplace.is_quiet, "--log-json": workplace.logs_json}
    flags["--await-server"] = history.wait is not None
    command = [sys.executable, "-m", "flows", "run", "--project", str(workplace.project)]
    command += [flag for flag, is_set in flags.items() if is_set]
    with subprocess.Popen(command, env={**os.environ, **history.environment, **addresses}) as child:
        try:
            if history.wait is not None:
                workplace.tell("Waiting for the Prefect server, here for this run only (--plain does without) ...")
                history.wait()
            return child.wait()
        except (KeyboardInterrupt, SluiceError):
            child.terminate()
            raise
