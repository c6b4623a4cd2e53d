"""The chores as flows: what deployments run every quarter of an hour, every six hours, every day."""

from datetime import UTC, date, datetime
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import deployment

from flows.chores import Chore, export_chore, health_chore, metadata_chore, run_chore
from flows.prefect_catchup import skipped_for_newer
from flows.prefect_flows import project_folder, run_actor, run_log
from flows.prefect_steps import prefect_step
from lake.project import open_project
from lake.run import begin_run
from lake.settings import Settings


@flow(name="platform-health", persist_result=False)
def platform_health(project: str | None = None) -> State[None] | None:
    """Measures disk, lake, sources, runs and schedules, and tells what is amiss.

    Args:
        project: The project folder; none means SLUICE_PROJECT, or the folder the flow runs in.
    """
    return _do(project, health_chore(is_deployed=bool(deployment.name)))


@flow(name="metadata-sync", persist_result=False)
def metadata_sync(project: str | None = None) -> State[None] | None:
    """Writes down what the project says of itself and how full its columns are, and draws the catalogue.

    Args:
        project: The project folder; none means SLUICE_PROJECT, or the folder the flow runs in.
    """
    return _do(project, metadata_chore())


@flow(name="daily-exports", persist_result=False)
def daily_exports(day: date | None = None, project: str | None = None) -> State[None] | None:
    """Writes `ingestion_logs.csv` and `alerts.csv` of a day, and mails the daily pages.

    Args:
        day: The day; none means the last whole one in the project's zone.
        project: The project folder; none means SLUICE_PROJECT, or the folder the flow runs in.
    """
    return _do(project, export_chore(day, None))


def _do(project: str | None, chore: Chore) -> State[None] | None:
    skipped = skipped_for_newer(datetime.now(UTC))
    if skipped is not None:
        return skipped
    place = open_project(project_folder(project))
    settings = Settings.read(Path(place.root))
    run = begin_run(run_actor(), observers=(run_log(),))
    run_chore(place, settings, run, chore, prefect_step(settings))
    return None
