"""Steps as Prefect task runs: named, retried where a repeat can help, stopped when they take too long."""

from collections.abc import Callable
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import get_state_exception

from flows.steps import Inputs, Output, Step
from lake.errors import CommitConflict, SourceError
from lake.settings import Settings

SECONDS_PER_HOUR = 3600.0
LONGEST_DELAY_SECONDS = 1800.0


def prefect_step(settings: Settings) -> Step:
    """Gives the step wrapper that makes every step a task run of the flow run it is called in.

    Tasks are called, not submitted: they run one after another in the flow's own thread, so that one DuckDB session
    serves them all and a timeout can interrupt it.
    """
    delays = [min(delay, LONGEST_DELAY_SECONDS) for delay in settings.retry_delays_seconds]
    options: dict[str, Any] = {
        "retries": len(delays),
        "retry_delay_seconds": delays,
        "retry_condition_fn": may_help_to_repeat,
        "timeout_seconds": settings.longest_run_hours * SECONDS_PER_HOUR,
        "cache_policy": NO_CACHE,
        "persist_result": False,
    }

    def step(name: str, work: Callable[Inputs, Output], /) -> Callable[Inputs, Output]:
        def called(*args: Inputs.args, **kwargs: Inputs.kwargs) -> Output:
            def whole_step() -> Output:  # takes no argument, or Prefect would walk through every one of them
                return work(*args, **kwargs)

            task: Task[[], Output] = Task(whole_step, name=name, task_run_name=name, **options)
            return task()

        return called

    return step


def may_help_to_repeat(_task: Task[..., Any], _task_run: TaskRun, state: State[Any]) -> bool:
    """Says whether a failed step is worth another try: its source or another writer was in the way.

    Everything else fails the same way again, and a person hears of it now rather than in half an hour.
    """
    return isinstance(get_state_exception(state), (SourceError, CommitConflict))
