"""Starting a run of the pipeline: as a flow run where a Prefect API is at hand, plainly where none is."""

import os
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from flows.inventory import expect_sound
from flows.landing import choose_sources, land_sources
from flows.outcome import Outcome
from flows.pipeline import run_pipeline
from flows.planning import expect_known
from flows.prefect_api import answers, configured_api, find_api
from flows.serving import POLL_SECONDS, START_SECONDS
from flows.steps import plain_step
from flows.workplace import Workplace

Tell = Callable[[str], None]
# What a flow run loads, some of it late where it may do without.
LOADED = ("flows.prefect_flows", "checks.soda_duckdb", "reports.charts", "reports.plotly_figures")


def launch(
    workplace: Workplace, marts: Sequence[str], pages: Sequence[str], tell: Tell, *, is_plain: bool = False
) -> Outcome:
    """Runs the pipeline and gives its outcome, in the history of a Prefect server when one answers, or plainly.

    Raises SluiceError, before anything is run, when there is no such project, mart or page.
    """
    expect_known(workplace.place, marts, pages)
    if is_plain:
        return run_plainly(workplace, marts, pages)
    api = find_api(workplace.project)
    if api is not None:
        tell(f"This run is in the history of {api}.")
        return run_in_history(workplace, marts, pages, api)
    meant = configured_api(workplace.project)
    why = "No Prefect API is set" if meant is None else f"The Prefect API {meant} does not answer"
    tell(f"{why}: this run is plain, without history and retries (`sluice up` starts a server).")
    return run_plainly(workplace, marts, pages)


def run_plainly(workplace: Workplace, marts: Sequence[str], pages: Sequence[str]) -> Outcome:
    """Runs the pipeline in this process, without Prefect: no history, no retries."""
    with workplace.begun() as run:
        return run_pipeline(workplace.place, workplace.settings, run, marts, pages, plain_step)


def land_plainly(workplace: Workplace, sources: Sequence[str], *, is_anew: bool = False) -> Outcome:
    """Lands what sources have delivered, in this process; raises SettingsError for a source that is not there.

    With `is_anew` captured tables are read whole again.
    """
    expect_sound(workplace.place.broken_contracts(), workplace.place, {f"raw.{source}" for source in sources})
    choose_sources(list(workplace.place.sound_contracts().values()), sources)
    with workplace.begun() as run:
        return land_sources(workplace.place, workplace.settings, run, sources, plain_step, is_anew=is_anew)


def await_api(project: Path) -> None:
    """Loads all that a flow run needs, then waits until the Prefect API that is meant, and is starting, answers."""
    api = configured_api(project)
    if api is None:
        return
    _name_api(api)
    for name in LOADED:
        import_module(name)
    until = time.monotonic() + START_SECONDS
    while not answers(api) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


def run_in_history(workplace: Workplace, marts: Sequence[str], pages: Sequence[str], api: str) -> Outcome:
    """Runs the pipeline in this process as a flow run of a Prefect server."""
    _name_api(api)
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from flows.prefect_flows import run_as_flow

    unwatched = temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})  # joining its thread costs a second
    with unwatched, workplace.watched() as observers:
        return run_as_flow(workplace.project, marts, pages, observers)


def _name_api(api: str) -> None:
    """Tells Prefect, which reads it once, as it is first imported."""
    os.environ["PREFECT_API_URL"] = api
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"  # our own log tells the events here
