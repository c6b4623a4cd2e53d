"""Segments: the files of the spool. One process writes a segment, one landing takes it, and the kernel says who.

`<name>.open` is being written, by a process that holds the kernel's lock on it; when the process dies, so does the
lock. `<name>.closed` is complete, and belongs to the landing that has locked it. A landing that finds an open segment
asks for it by a file `<name>.wanted`; its writer closes it within a moment, and goes on in a new one.
"""

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from lake.errors import SettingsError
from lake.receiving.frames import Frame, find_frame_of
from lake.receiving.writing import PRIVATE

OPEN, CLOSED, WANTED, TORN = ".open", ".closed", ".wanted", ".torn"
SEGMENTS, FILES = "segments", "files"
RECEIPT = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16}([0-9a-f]{5})?-[0-9]{1,18}")
NAME_BYTES = 8  # of chance in a segment's name: its receipts cannot be guessed
LOOK_SECONDS, LOOKS = 0.05, 60  # three seconds for a writer to hand a segment over; else the next landing gets it


def segments_folder(spool: Path, source: str) -> Path:
    """Gives where a source's segments are."""
    return spool / source / SEGMENTS


def name_segment(now: datetime) -> str:
    """Gives the name of a new segment; they sort by time, to the microsecond: rows land in the order they came."""
    return f"{now:%Y%m%dT%H%M%SZ}-{now.microsecond:05x}{secrets.token_hex(NAME_BYTES)}"


class SegmentWriter:
    """One segment while it is written. Appending is durable when it returns; what fails leaves nothing behind."""

    def __init__(self, folder: Path, name: str) -> None:
        make_folder(folder)
        self.name, self.size, self._ordinal, self._folder = name, 0, 0, folder
        self.is_beyond_mending = False  # then a landing cuts off what was not written whole
        hidden = folder / f".{name}"
        self._file = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, PRIVATE)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            hidden.rename(self.path)  # nobody sees it before its lock is held
            sync_folder(folder)
        except OSError:
            os.close(self._file)
            raise

    @property
    def path(self) -> Path:
        """Where it is while it is written."""
        return self._folder / f"{self.name}{OPEN}"

    @property
    def is_wanted(self) -> bool:
        """Whether a landing asks for it."""
        with suppress(OSError):
            return (self._folder / f"{self.name}{WANTED}").exists()
        return False

    def next_receipt(self) -> str:
        """Gives the receipt of the next frame."""
        self._ordinal += 1
        return f"{self.name}-{self._ordinal}"

    def append(self, data: bytes) -> None:
        """Appends bytes and waits until the disk has them; raises OSError, and then nothing of them is kept."""
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fdatasync(self._file)
        except OSError:
            self._cut()
            raise
        self.size += len(data)

    def _cut(self) -> None:
        """Takes back what was not written whole; a segment of which the disk does not take even that is let go."""
        try:
            os.ftruncate(self._file, self.size)
            os.fdatasync(self._file)
        except OSError:
            self.is_beyond_mending = True
            os.close(self._file)
            raise

    def close(self) -> None:
        """Hands the segment over to whatever landing comes."""
        os.close(self._file)  # a landing may take it from here on
        with suppress(OSError):  # it then closes it itself, or tells who runs it why it cannot
            _rename_closed(self.path)


def make_folder(folder: Path) -> None:
    """Makes a folder, and those above it; when it returns, the disk has their names."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Waits until the disk has the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def segment_of(receipt: str) -> str:
    """Gives the name of the segment that a receipt is of."""
    return receipt.rpartition("-")[0]


def find_segment(spool: Path, receipt: str) -> Path | None:
    """Gives the file of the segment that a receipt was in, None when it is not in the spool."""
    if RECEIPT.fullmatch(receipt) is None:
        return None
    for ending in (OPEN, CLOSED):  # in this order: it may be closed while we look
        for found in spool.glob(f"*/{SEGMENTS}/{segment_of(receipt)}{ending}"):
            return found
    return None


def all_segments(spool: Path) -> Iterator[tuple[str, Path]]:
    """Gives every segment that waits, with its source."""
    for ending in (OPEN, CLOSED):
        for found in spool.glob(f"*/{SEGMENTS}/*{ending}"):
            yield found.parent.parent.name, found


def find_frame(path: Path, receipt: str) -> Frame | None:
    """Gives a receipt's frame, which is on disk then; None when the segment does not have it whole, or is gone."""
    try:
        with path.open("rb") as file:
            found = find_frame_of(file, receipt)
            if found is not None:
                os.fsync(file.fileno())
            return found
    except FileNotFoundError:
        return None


def find_kept(spool: Path, receipt: str) -> tuple[Path, Frame | None] | None:
    """Gives the segment of a receipt with its frame, None where that does not stand whole; None: in no segment."""
    while (path := find_segment(spool, receipt)) is not None:
        frame = find_frame(path, receipt)
        if frame is not None or path.exists():  # else it was closed, or landed, since it was found
            return path, frame
    return None


def is_being_written(path: Path) -> bool:
    """Says whether a live process holds an open segment."""
    if path.suffix != OPEN:
        return False
    with locked(path) as file:
        return file is None and path.exists()


@contextmanager
def locked(path: Path) -> Iterator[BinaryIO | None]:
    """Gives a segment's file with the kernel's lock on it; None when another process has it, or it is gone.

    Raises SettingsError when this user may not read and write what the service's user wrote.
    """
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        yield None
        return
    except PermissionError as error:
        raise SettingsError(
            "spool-forbidden",
            f"The segment '{path}' cannot be opened: {error.strerror}.",
            cure="Let landings run as the user whom the service runs as.",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file if _is_there(path, file) else None


def _is_there(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def close_all(folder: Path, pause: Callable[[float], None]) -> list[Path]:
    """Gives the closed segments of a source, oldest first, after every open one was asked for.

    One whose writer has died is closed here. One whose writer does not answer is left for the next time.
    """
    waiting = sorted(folder.glob(f"*{OPEN}"))
    for path in waiting:
        path.with_suffix(WANTED).touch()
    for look in range(LOOKS):
        waiting = [path for path in waiting if not _is_closed(path)]
        if not waiting:
            break
        pause(LOOK_SECONDS if look else 0)
    for path in folder.glob(f"*{WANTED}"):
        if not path.with_suffix(OPEN).exists():
            path.unlink(missing_ok=True)
    return sorted(folder.glob(f"*{CLOSED}"))


def _is_closed(path: Path) -> bool:
    """Says whether a segment is open no more; closes that of a writer who has died."""
    with locked(path) as file:
        if file is not None:
            _rename_closed(path)
    return not path.exists()


def _rename_closed(path: Path) -> None:
    with suppress(FileNotFoundError):  # its writer and a landing may close it at once
        path.rename(path.with_suffix(CLOSED))
    path.with_suffix(WANTED).unlink(missing_ok=True)
