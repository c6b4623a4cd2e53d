"""What a Prefect server must hold before a worker starts: a work pool, and no runs that nobody runs."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

UNDER_WAY = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
PAGE = 200


@dataclass(frozen=True)
class Swept:
    """What a sweep found: interrupted runs marked Crashed, and missed scheduled runs skipped for a newer one."""

    crashed: int
    skipped: int


def create_pool(api: str, name: str) -> None:
    """Creates the work pool of processes on this machine, if it is not there."""
    with SyncPrefectClient(api) as client:
        try:
            client.read_work_pool(name)
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=name, type="process"))


def has_worker(api: str, pool: str, name: str) -> bool:
    """Says whether the worker of that name has reported to its pool."""
    with SyncPrefectClient(api) as client:
        return any(worker.name == name for worker in client.read_workers_for_work_pool(pool))


def sweep(api: str) -> Swept:
    """Ends what an earlier stop left behind; to be called when no worker is up.

    Runs that were under way are marked Crashed. Of the scheduled runs a deployment missed, the newest stays and
    catches up for all: a run lands whatever has come since.
    """
    with SyncPrefectClient(api) as client:
        interrupted = _runs(client, {"state": {"type": {"any_": UNDER_WAY}}})
        for run in interrupted:
            _force(client, run, Crashed(message="The worker or the machine stopped in the middle of this run."))
        missed = superseded(_runs(client, {"state": {"type": {"any_": [StateType.SCHEDULED]}}}), datetime.now(UTC))
        for run in missed:
            _force(client, run, Cancelled(message="Missed while nothing was up; a newer run catches up."))
    return Swept(len(interrupted), len(missed))


def superseded(scheduled: list[FlowRun], now: datetime) -> list[FlowRun]:
    """Gives all but the newest of each deployment's runs that a schedule made and whose time has passed."""
    due: dict[object, list[FlowRun]] = defaultdict(list)
    for run in scheduled:
        if run.auto_scheduled and run.expected_start_time is not None and run.expected_start_time < now:
            due[run.deployment_id].append(run)
    newest_last = [sorted(runs, key=lambda run: run.expected_start_time or now) for runs in due.values()]
    return [run for runs in newest_last for run in runs[:-1]]


def _runs(client: SyncPrefectClient, where: dict[str, object]) -> list[FlowRun]:
    found: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(where),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=PAGE,
            offset=len(found),
        )
        found += page
        if len(page) < PAGE:
            return found


def _force(client: SyncPrefectClient, run: FlowRun, state: State[None]) -> None:
    client.set_flow_run_state(run.id, state, force=True)
