"""What a step is: one named piece of a run, wrapped so that the caller decides how it is run and shown."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ParamSpec, Protocol, TypeVar

from lake.run import Run

Inputs = ParamSpec("Inputs")
Output = TypeVar("Output")


class Step(Protocol):
    """Wraps work under a name a person understands, such as `land sales` or `build marts.sales_daily`."""

    def __call__(self, name: str, work: Callable[Inputs, Output], /) -> Callable[Inputs, Output]:
        """Gives a callable that does the same work, seen."""
        ...


def plain_step(_name: str, work: Callable[Inputs, Output], /) -> Callable[Inputs, Output]:
    """Gives the work itself: it runs where it stands, once."""
    return work


def noted_step(step: Step, run: Run, seconds: dict[str, float]) -> Step:
    """Gives a wrapper around another that also notes every start and end in the run's journal.

    `seconds` gathers how long each step took, attempts that failed included, in the order in which steps first ended.
    """

    def noting(name: str, work: Callable[Inputs, Output], /) -> Callable[Inputs, Output]:
        @functools.wraps(work)
        def noted(*args: Inputs.args, **kwargs: Inputs.kwargs) -> Output:
            run.note("step-started", name)
            watch = _Watch(run.clock(), time.perf_counter())
            try:
                output = work(*args, **kwargs)
            except BaseException as error:  # noted and raised again: an interrupted step has ended too
                _note_end(run, name, watch, seconds, error)
                raise
            _note_end(run, name, watch, seconds, None)
            return output

        return step(name, noted)

    return noting


@dataclass(frozen=True)
class _Watch:
    started_at: datetime
    began: float


def _note_end(run: Run, name: str, watch: _Watch, seconds: dict[str, float], error: BaseException | None) -> None:
    took = round(time.perf_counter() - watch.began, 3)
    seconds[name] = round(seconds.get(name, 0.0) + took, 3)
    outcome = {"outcome": "ok"} if error is None else {"outcome": "failed", "error": type(error).__name__}
    run.note("step-finished", name, None, started_at=watch.started_at.isoformat(), seconds=took, **outcome)
