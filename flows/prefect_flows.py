"""The flows: the pipeline with Prefect around it. A name, a lock, a log, artifacts; the work is `flows/pipeline.py`."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

from prefect import Flow, flow, get_run_logger
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists
from prefect.runtime import deployment, flow_run

from flows.landing import visit_sources
from flows.outcome import Outcome
from flows.pipeline import run_pipeline
from flows.planning import asked_marts
from flows.prefect_catchup import skipped_for_newer
from flows.prefect_steps import prefect_step
from flows.wording import event_line, is_news
from lake.errors import SluiceError
from lake.project import Project, open_project
from lake.run import Event, Observer, begin_run
from lake.settings import Settings

LOCKS_READ = 200  # at once: as many as the server gives


def name_run() -> str:
    """Gives a flow run's name: what it is about and the day it is for, such as `sales_daily 2026-11-21`."""
    parameters = flow_run.parameters
    marts = parameters.get("marts") or parameters.get("sources") or []
    settings = Settings.read(project_folder(parameters.get("project")))
    day = (flow_run.scheduled_start_time or datetime.now(ZoneInfo("UTC"))).astimezone(ZoneInfo(settings.timezone))
    subject = deployment.name or (", ".join(marts) if marts else settings.project.name)
    return f"{subject} {day:%Y-%m-%d}"


def make_pipeline(
    tell: Callable[[Outcome], None], observers: tuple[Observer, ...] = ()
) -> Flow[..., State[None] | None]:
    """Gives the pipeline as a flow that also tells its outcome, and its events as they happen, to its caller."""

    @flow(name="pipeline", flow_run_name=name_run, persist_result=False)
    def pipeline(
        marts: list[str] | None = None, pages: list[str] | None = None, project: str | None = None
    ) -> State[None] | None:
        """Land, gate, build, gate, publish, report, notify.

        Args:
            marts: The marts to build, with all they need; none means every model of the project.
            pages: The pages to draw and send; none means all.
            project: The project folder; none means SLUICE_PROJECT, or the folder the flow runs in.
        """
        skipped = skipped_for_newer(datetime.now(ZoneInfo("UTC")))
        if skipped is not None:
            return skipped
        place = open_project(project_folder(project))
        settings = Settings.read(place.root)
        with alone(place, marts or ()):
            run = begin_run(run_actor(), observers=(*observers, run_log()))
            outcome = run_pipeline(place, settings, run, marts or (), pages or (), prefect_step(settings))
        show_artifacts(outcome)
        tell(outcome)
        if outcome.failure is not None:
            raise outcome.failure
        return None

    return pipeline


pipeline = make_pipeline(lambda _outcome: None)  # what deployments run: its artifacts and its state tell


@flow(name="land", flow_run_name=name_run, persist_result=False)
def land(sources: list[str] | None = None, project: str | None = None) -> None:
    """Land what sources have delivered, and build nothing; a run that finds nothing leaves nothing behind.

    Its steps are not tried again: the next scheduled run is the next try. Runs may overlap.

    Args:
        sources: The sources to land; none means every folder and bucket.
        project: The project folder; none means SLUICE_PROJECT, or the folder the flow runs in.
    """
    place = open_project(project_folder(project))
    settings = Settings.read(place.root)
    step = prefect_step(settings.model_copy(update={"retry_delays_seconds": ()}))
    run = begin_run(run_actor(), observers=(run_log(),))
    outcome, failure = visit_sources(place, settings, run, sources or (), step)
    if outcome is not None:
        show_artifacts(outcome)
    if failure is not None:
        raise failure


def run_as_flow(project: Path, marts: Sequence[str], pages: Sequence[str], observers: tuple[Observer, ...]) -> Outcome:
    """Runs the pipeline as a flow run in this process, and gives its outcome, good or bad."""
    told: list[Outcome] = []
    try:
        make_pipeline(told.append, observers)(list(marts), list(pages), str(project))
    except SluiceError:
        if not told:  # it never came to an outcome: this is what stopped it
            raise
    return told[0]


@contextmanager
def alone(project: Project, marts: Sequence[str]) -> Iterator[None]:
    """Waits until no other run builds one of the marts, and keeps others out while the block runs."""
    names = [f"sluice {project.root.name} {mart}" for mart in asked_marts(project, marts)]
    with get_client(sync_client=True) as client:
        _make_locks(client, names)
    with concurrency(names, strict=True):  # without strict a missing limit is no limit
        yield


def _make_locks(client: SyncPrefectClient, names: Sequence[str]) -> None:
    """Sees to it that there are locks of these names; one question is for all that stand, not one for each."""
    standing = {lock.name: lock.limit for lock in _standing_locks(client)}
    for name in names:
        if name not in standing:
            with suppress(ObjectAlreadyExists):  # made by another run in this moment
                client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))
        elif standing[name] != 1:
            client.upsert_global_concurrency_limit_by_name(name, limit=1)


def _standing_locks(client: SyncPrefectClient) -> Iterator[GlobalConcurrencyLimitResponse]:
    for offset in count(0, LOCKS_READ):
        locks = client.read_global_concurrency_limits(limit=LOCKS_READ, offset=offset)
        yield from locks
        if len(locks) < LOCKS_READ:
            return


def show_artifacts(outcome: Outcome) -> None:
    """Shows the outcome on the flow run's page: a summary, the gates as a table, and a link to every page."""
    create_markdown_artifact(outcome.as_markdown(), key="run-summary", description=f"Run {outcome.run_id}")
    gates = [
        {"stage": gate.stage, "checks": gate.checks, "warnings": gate.warnings, "failures": "; ".join(gate.failures)}
        for gate in outcome.gates
    ]
    create_table_artifact(gates, key="gates", description="What each gate said")
    for page in outcome.pages:
        key = f"page-{page.name.lower().replace('_', '-')}"
        create_link_artifact(Path(page.path).as_uri(), key=key, link_text=page.name)


def run_log() -> Observer:
    """Gives an observer that writes a run's events into the flow run's log."""
    logger = get_run_logger()

    def observe(event: Event) -> None:
        logger.log(logging.INFO if is_news(event) else logging.DEBUG, event_line(event))

    return observe


def project_folder(project: str | None) -> Path:
    """Gives the project folder a flow is about."""
    return Path(project or os.environ.get("SLUICE_PROJECT") or ".")


def run_actor() -> str:
    """Gives who acts in a flow run: `prefect` and its deployment."""
    return f"prefect {deployment.name or 'run'}"
