"""What a step is: one named piece of a run, wrapped so that the caller decides how it is run and shown."""

import functools
import time
from collections.abc import Callable
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
            began = time.perf_counter()
            try:
                output = work(*args, **kwargs)
            except BaseException as error:  # noted and raised again: an interrupted step has ended too
                run.note("step-failed", name, seconds=_add(seconds, name, began), error=type(error).__name__)
                raise
            run.note("step-ended", name, seconds=_add(seconds, name, began))
            return output

        return step(name, noted)

    return noting


def _add(seconds: dict[str, float], name: str, began: float) -> float:
    took = round(time.perf_counter() - began, 3)
    seconds[name] = round(seconds.get(name, 0.0) + took, 3)
    return took
