"""Watching a run: a bar per step on a terminal, plain lines elsewhere, and a log file of JSON lines always."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from flows.wording import event_line, is_news
from lake.run import Event, Observer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LOG_NAME = "sluice.log"
LOG_BYTES = 20_000_000  # then the file is set aside once, so that a log never fills a disk


@contextmanager
def watched(output: Path, *, is_quiet: bool, logs_json: bool) -> Iterator[tuple[Observer, ...]]:
    """Gives the observers of a run: the log file in the output folder, and what the person at the screen sees.

    Progress goes to standard error, so that standard output holds results only.
    """
    with ExitStack() as stack:
        observers = [stack.enter_context(_logged(output))]
        if logs_json:
            observers.append(_json_lines(sys.stderr))
        elif not is_quiet and sys.stderr.isatty():
            observers.append(stack.enter_context(_bars()))
        elif not is_quiet:
            observers.append(_lines(sys.stderr))
        yield tuple(observers)


def event_json(event: Event) -> str:
    """Gives an event as one line of JSON."""
    told: dict[str, Any] = {
        "at": event.at.isoformat(timespec="microseconds"),
        "run_id": event.run_id,
        "actor": event.actor,
        "event": event.kind,
        "subject": event.subject,
        "record_count": event.record_count,
        **({"details": dict(event.details)} if event.details else {}),
    }
    return json.dumps(told, default=str, ensure_ascii=False)


@contextmanager
def _logged(output: Path) -> Iterator[Observer]:
    output.mkdir(parents=True, exist_ok=True)
    path = output / LOG_NAME
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(output / f"{LOG_NAME}.1")
    with path.open("ab", buffering=0) as log:
        yield _lasting_lines(cast(BinaryIO, log))


def _lasting_lines(log: BinaryIO) -> Observer:
    """Gives an observer that writes to the log file as long as there is room: a full disk stops no run by its log."""

    def observe(event: Event) -> None:
        try:
            log.write(f"{event_json(event)}\n".encode())
        except OSError as error:
            sys.stderr.write(f"{LOG_NAME} lacks a line: {error.strerror}\n")

    return observe


def _json_lines(stream: IO[str]) -> Observer:
    def observe(event: Event) -> None:
        stream.write(event_json(event) + "\n")

    return observe


def _lines(stream: IO[str]) -> Observer:
    def observe(event: Event) -> None:
        if is_news(event):
            stream.write(f"{event.at:%H:%M:%S} {event_line(event)}\n")
            stream.flush()

    return observe


@contextmanager
def _bars() -> Iterator[Observer]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _bar_per_step(progress)


def _bar_per_step(progress: "Progress") -> Observer:
    bars: dict[str, TaskID] = {}

    def observe(event: Event) -> None:
        if event.kind == "step-started":
            bars[event.subject] = progress.add_task(event.subject, total=None)
        elif event.kind == "step-finished" and event.subject in bars:
            progress.update(bars[event.subject], total=1, completed=int(event.details["outcome"] == "ok"))
            progress.stop_task(bars[event.subject])
        elif event.subject in bars and event.record_count is not None:
            progress.update(bars[event.subject], description=f"{event.subject} {event.record_count:,}")

    return observe
