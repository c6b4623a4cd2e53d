"""The loop of `sluice watch`: lands what arrives until it is told to stop, whatever becomes of a single delivery."""

import getpass
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

from flows.landing import visit_sources
from flows.logbook import is_arrival
from flows.outcome import Outcome
from flows.steps import plain_step
from flows.workplace import Workplace
from lake.errors import SluiceError
from lake.run import Event, Observer, begin_run

Show = Callable[[Outcome], None]


def watch_sources(
    workplace: Workplace, sources: Sequence[str], seconds: float, show: Show, *, is_once: bool = False
) -> SluiceError | None:
    """Lands what arrives, looking again every so many seconds; gives what still fails when it is told to stop.

    `show` is told what each look that found something came to. A failure is told when it comes and when it has gone,
    not at every look. Each look reads the project anew, so that a mended contract counts at once.
    """
    failure: SluiceError | None = None
    with stopped_politely(workplace.tell) as stop:
        while not stop.is_set():
            before, failure = failure, _look(workplace, sources, show, failure, stop, may_wait=not is_once)
            _tell_change(workplace, before, failure)
            if is_once:
                break
            stop.wait(seconds)
    return failure


@contextmanager
def stopped_politely(tell: Callable[[str], None]) -> Iterator[threading.Event]:
    """Gives an event that Ctrl-C or SIGTERM sets, so that what is at work is finished; the second ends it at once."""
    stop = threading.Event()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        tell("Stopping when this delivery is done; once more to stop at once (nothing is lost by that).")

    before = {each: signal.signal(each, handle) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _look(
    workplace: Workplace,
    sources: Sequence[str],
    show: Show,
    before: SluiceError | None,
    stop: threading.Event,
    *,
    may_wait: bool,
) -> SluiceError | None:
    known = None if before is None else str(before)
    anew = replace(workplace)  # it keeps what it has read
    try:
        with anew.watched() as observers:
            run = begin_run(getpass.getuser(), observers=tuple(_without_idle(observe) for observe in observers))
            outcome, failure = visit_sources(
                anew.place,
                anew.settings,
                run,
                sources,
                plain_step,
                known_failure=known,
                is_stopping=stop.is_set,
                may_wait=may_wait,
            )
    except SluiceError as error:  # not even the look could be taken or written down: the next may
        return error
    if outcome is not None:
        show(outcome)
    return failure


def _tell_change(workplace: Workplace, before: SluiceError | None, now: SluiceError | None) -> None:
    if now is not None and str(now) != str(before):
        workplace.tell(f"sluice: {now} Watching goes on.")
    elif now is None and before is not None:
        workplace.tell(f"This look went without failure; the one before ended with [{before.code}].")


def _without_idle(observe: Observer) -> Observer:
    def observed(event: Event) -> None:
        if is_arrival(event) or event.details.get("outcome") == "failed":
            observe(event)

    return observed
