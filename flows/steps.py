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


def plain_step(run: Run) -> Step:
    """Gives the step wrapper that runs work where it stands and notes its start, its end and its seconds."""

    def step(name: str, work: Callable[Inputs, Output], /) -> Callable[Inputs, Output]:
        @functools.wraps(work)
        def noted(*args: Inputs.args, **kwargs: Inputs.kwargs) -> Output:
            run.note("step-started", name)
            began = time.perf_counter()
            try:
                output = work(*args, **kwargs)
            except BaseException as error:  # noted and raised again: an interrupted step has ended too
                run.note("step-failed", name, seconds=_since(began), error=type(error).__name__)
                raise
            run.note("step-ended", name, seconds=_since(began))
            return output

        return noted

    return step


def seconds_per_step(run: Run) -> dict[str, float]:
    """Gives how long each ended step of a run took, failed attempts included, in the order they first ended."""
    seconds: dict[str, float] = {}
    for event in run.events:
        if event.kind in ("step-ended", "step-failed"):
            took = event.details["seconds"]
            assert isinstance(took, float), "steps note their seconds as a float"
            seconds[event.subject] = round(seconds.get(event.subject, 0.0) + took, 3)
    return seconds


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 3)
