"""The moments of a run that nobody disturbs: its events, and right before and after each of its writes.

What a kill leaves behind is what the lake holds at that moment. Moments that find the same lake need to be tried once.
"""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from flows.logbook import FOLDER
from lake.run import Event
from tests.crash_parts import EACH, at_write, run_here


@dataclass(frozen=True)
class Place:
    """Where to act in a run: at the n-th event, the n-th moment before or after a write, n files or seconds on."""

    kind: Literal["event", "write", "files", "seconds"]
    number: float


@dataclass(frozen=True)
class Moment:
    """A place in a run, its name, which may come twice, and the files that the lake in a folder had there.

    A run killed there leaves `kept` behind: where moments are kept, a copy of the project, if its lake is another one
    than a moment before.
    """

    place: Place
    name: str
    files: frozenset[tuple[str, int]]
    kept: Path | None = None


def moments_of(folder: Path, keep: Path | None = None) -> list[Moment]:
    """Runs the pipeline of a project whose lake is a folder, and gives all its moments in order, kept below `keep`."""
    seen: list[Moment] = []
    events: list[Event] = []

    def look(kind: Literal["event", "write"], number: int, name: str) -> None:
        files = _files(folder / "lake")
        is_new = not seen or seen[-1].files != files
        kept = _copy(folder, keep / f"{kind}-{number}") if keep is not None and is_new else None
        seen.append(Moment(Place(kind, number), name, files, kept))

    def note(event: Event) -> None:
        events.append(event)
        look("event", len(events), f"{event.kind} {event.subject}")

    with at_write(EACH, lambda: look("write", len(writes), writes[-1])) as writes:
        assert run_here(folder, observers=(note,)).is_ok
    return seen


def _copy(folder: Path, target: Path) -> Path:
    def copy(source: str, copied: str) -> None:
        with suppress(FileNotFoundError):  # the archive is written beside the landing, and renamed into place
            shutil.copy2(source, copied)

    return shutil.copytree(folder, target, copy_function=copy)


def _files(lake: Path) -> frozenset[tuple[str, int]]:
    found = set()
    for path in lake.rglob("*"):
        if FOLDER in path.parts:
            continue  # the logbook grows with each event; what the next run makes of it: `tests/test_killed_runs.py`
        with suppress(FileNotFoundError):
            found.add((str(path), path.stat().st_mtime_ns if path.is_file() else 0))
    return frozenset(found)


def new_lakes(moments: Iterable[Moment]) -> list[Moment]:
    """Leaves out each moment that finds the lake as the moment before it did."""
    return [after for before, after in pairwise(moments) if after.files != before.files]


def last_before_writes(moments: Iterable[Moment]) -> list[Moment]:
    """Keeps the last moment that finds the lake as it is: what the run has read so far is oldest there."""
    return [before for before, after in pairwise(moments) if after.files != before.files]


def one_of_each(moments: Iterable[Moment]) -> list[Moment]:
    """Keeps the first moment of each name: the second batch is landed by the same writes as the first."""
    return list({moment.name: moment for moment in reversed(list(moments))}.values())[::-1]
