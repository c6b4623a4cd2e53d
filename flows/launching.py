"""Starting a run of the pipeline: as a flow run where a Prefect API is at hand, plainly where none is."""

import os
from collections.abc import Callable, Sequence

from flows.landing import choose_sources, land_sources
from flows.outcome import Outcome
from flows.pipeline import run_pipeline
from flows.planning import expect_known
from flows.prefect_api import configured_api, find_api
from flows.steps import plain_step
from flows.workplace import Workplace

Tell = Callable[[str], None]


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
    choose_sources(list(workplace.place.contracts().values()), sources)
    with workplace.begun() as run:
        return land_sources(workplace.place, workplace.settings, run, sources, plain_step, is_anew=is_anew)


def run_in_history(workplace: Workplace, marts: Sequence[str], pages: Sequence[str], api: str) -> Outcome:
    """Runs the pipeline in this process as a flow run of a Prefect server."""
    os.environ["PREFECT_API_URL"] = api  # before the first import of Prefect, which reads it once
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"  # our own log tells the events here
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from flows.prefect_flows import run_as_flow

    unwatched = temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})  # joining its thread costs a second
    with unwatched, workplace.watched() as observers:
        return run_as_flow(workplace.project, marts, pages, observers)
