"""A missed schedule catches up once: of the runs it made and nobody started in time, the newest does the work."""

from datetime import datetime
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.runtime import flow_run
from prefect.states import Completed

ALIVE = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.COMPLETED]
SKIPPED = "Skipped"


def skipped_for_newer(now: datetime) -> State[None] | None:
    """Gives the state a flow run ends with when a later run of its schedule is due, too; None when it is the newest.

    A run that a person asked for is never skipped. A newer run that failed stands for nobody: the older one does the
    work then.
    """
    if not flow_run.id:
        return None
    with get_client(sync_client=True) as client:
        own = client.read_flow_run(UUID(flow_run.id))
        newer = None if not own.auto_scheduled else find_newer(client, own, now)
    if newer is None:
        return None
    return Completed(name=SKIPPED, message=f"Missed; the run due at {newer.expected_start_time} does its work.")


def find_newer(client: SyncPrefectClient, own: FlowRun, now: datetime) -> FlowRun | None:
    """Gives a run that the same deployment's schedule made for a later instant that has passed; None without one."""
    where = {
        "deployment_id": {"any_": [own.deployment_id]},
        "state": {"type": {"any_": ALIVE}},
        "expected_start_time": {"after_": own.expected_start_time, "before_": now},
    }
    found = client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(where))
    return next((run for run in found if run.auto_scheduled and run.id != own.id), None)
