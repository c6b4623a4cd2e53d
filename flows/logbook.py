"""What a run does is on this machine's disk from the moment it is noted until it is in `ops.events`.

A run that is killed, or cannot reach its lake at its end, leaves its logbook behind; the next run here writes it down.
The file is locked as long as its run lives, so that nobody takes a living run for a dead one. It outlives the process,
not the machine: what a commit of raw proves is in that commit, too (`lake/proofs.py`).
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from lake.alive import hold_file, take_over
from lake.run import Event

FOLDER = ".journal"  # of the output
# What a visit that found nothing leaves behind: nobody needs to read it, and a loop would write it for ever.
IDLE_EVENTS = {
    *("step-started", "step-finished", "contract-agreed", "contract-drifted", "part-broken"),
    *("upload-incomplete", "upload-elsewhere", "source-waits", "source-unconnected", "capture-elsewhere"),
}


def is_arrival(event: Event) -> bool:
    """Says whether an event tells of something that came, not only of somebody having looked."""
    return event.kind not in IDLE_EVENTS


class Logbook:
    """One run's events on disk; there is no file before the first that tells of more than a look."""

    def __init__(self, output: Path, run_id: str) -> None:
        """Takes the folder of a project's output, and the run whose events it is told."""
        self._path = output / FOLDER / f"{run_id}.jsonl"
        self._waiting: list[Event] = []
        self._file: BinaryIO | None = None

    def note(self, event: Event) -> None:
        """Writes an event down; on a disk that takes none the run goes on, as it has for want of nothing else."""
        self._waiting.append(event)
        if self._file is None and not is_arrival(event):
            return
        with suppress(OSError):
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = hold_file(self._path)
            self._file.write(b"".join(_line(each) for each in self._waiting))
            self._waiting.clear()

    def close(self, *, is_written: bool) -> None:
        """Lets go of the file, and removes it when all that it tells is in the lake."""
        if self._file is not None:
            if is_written:
                self._path.unlink(missing_ok=True)
            self._file.close()


@contextmanager
def left_behind(output: Path) -> Iterator[dict[str, list[Event]]]:
    """Gives by run what runs that are over have left unwritten; left without an error, their logbooks are removed."""
    found: dict[str, list[Event]] = {}
    with ExitStack() as locks:
        for path in sorted((output / FOLDER).glob("[!.]*.jsonl")):
            if (file := take_over(path)) is not None:
                locks.enter_context(file)
                found[path.stem] = [event for line in file if (event := _event(line)) is not None]
        yield found
        for run_id in found:
            (output / FOLDER / f"{run_id}.jsonl").unlink(missing_ok=True)


def _line(event: Event) -> bytes:
    return json.dumps({**asdict(event), "at": event.at.isoformat()}, default=str).encode() + b"\n"


def _event(line: bytes) -> Event | None:
    """Gives the event of a line, None of one that a process died at, or for which the disk had no room."""
    with suppress(ValueError, TypeError, KeyError):
        fields = json.loads(line)
        return Event(**{**fields, "at": datetime.fromisoformat(fields["at"])})
    return None
