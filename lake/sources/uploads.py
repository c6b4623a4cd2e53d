"""Uploads in a folder: taken once they are complete, by one worker, and moved to `done` or `refused` afterwards.

A file is complete when two looks some seconds apart see the same; no clock is asked, so it does not matter whether that
of the machine or of the file is right. A worker holds the kernel's lock on the file it takes: when the worker dies, so
does the lock. Until then nobody lands what comes after that file: of two versions of a row the one that lands last
counts. Should two take one file all the same (a network folder without locks), the second lands nothing, for a batch is
known by its content. A held file stays where it is until a person decides, and is moved by the next visit.
"""

import fcntl
import glob
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lake.archive import file_state, receive
from lake.errors import SettingsError, SourceError
from lake.sources.delivery import Delivery, Receipt
from lake.sources.files import expect_rights, file_delivery
from lake.sources.intake import DONE, REASON, REFUSED, Hearing, hear, is_upload, is_waiting, numbered
from lake.sources.visit import Visit

SETTLE_SECONDS = "2"

Look = tuple[int, int, int, int]


@dataclass(frozen=True)
class Claim:
    """A file that this worker alone works on, open under `descriptor` (None: it cannot be opened)."""

    path: Path
    descriptor: int | None


def upload_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives the complete uploads in the order of their names, and moves each once it is landed or refused.

    Raises SourceError when there is no such folder; SettingsError, after all of them, when one could not be moved.
    """
    root, found = find_uploads(visit)
    stuck: list[str] = []
    for path in _complete(visit, [path for path in found if not _waits(visit, path)]):
        with _claimed(path) as claim:
            if claim is None and path.exists():  # what comes after it must not land before it
                visit.run.note("upload-elsewhere", visit.contract.source, origin=path.name)
                break
            if claim is None:
                continue
            try:
                yield from _handed_over(visit, root, claim)
            except OSError as error:
                stuck.append(f"{path.name} ({error.strerror})")
    if stuck:
        raise SettingsError(
            "upload-stuck",
            f"Uploads of {visit.contract.source!r} cannot be moved to where they belong: {', '.join(stuck)}.",
            cure=f"Let Sluice write in '{root}'; what landed has landed, and the next visit moves them.",
        )


def find_uploads(visit: Visit) -> tuple[Path, list[Path]]:
    """Gives the folder that uploads go to, and what is in it that may be one.

    A pattern's folder is the last one before its first wildcard. Raises SourceError when there is no such folder.
    """
    expect_rights(visit.contract, visit.project)
    pattern = Path(visit.contract.server.path)
    place = visit.project / pattern
    wild = next((part for part in [*reversed(pattern.parents), pattern] if glob.has_magic(part.name)), None)
    root = place if place.is_dir() else place.parent if wild is None else visit.project / wild.parent
    if not root.is_dir() or (wild is None and not place.suffix and not place.exists()):
        raise SourceError(
            "source-missing",
            f"The source {visit.contract.source!r} takes uploads from {visit.contract.server.path!r}: no such folder.",
            cure="Make the folder, or mend `servers[].path` in the contract.",
            path=visit.contract.path,
        )
    names = glob.glob(str(pattern), root_dir=visit.project, recursive=True) if wild else [place]  # noqa: PTH207
    found = root.rglob("*") if place.is_dir() else (visit.project / name for name in names)
    return root, sorted(path for path in found if path.is_file() and is_upload(path.relative_to(root)))


def _waits(visit: Visit, path: Path) -> bool:
    """Says whether a file was held back and is untouched since: it is not read again before a person has decided."""
    try:
        return is_waiting(visit, file_delivery(visit.contract, path, visit.project).origin, file_state(path))
    except SourceError:
        return False  # it was moved while we looked, or cannot be read: landing will say which


def _complete(visit: Visit, paths: list[Path]) -> Iterator[Path]:
    """Gives the files that look the same after a pause; the others are left for the next visit."""
    before = {path: _look(path) for path in paths}
    if before:
        visit.pause(float(visit.contract.server.options.get("settleSeconds", SETTLE_SECONDS)))
    for path, look in before.items():
        if look is not None and _look(path) == look:
            yield path
        else:
            visit.run.note("upload-incomplete", visit.contract.source, origin=path.name)


def _look(path: Path) -> Look | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@contextmanager
def _claimed(path: Path) -> Iterator[Claim | None]:
    """Gives a file to one worker; None when another has it, or had it and moved it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    except OSError:
        yield Claim(path, None)
        return
    try:
        yield Claim(path, descriptor) if _lock(descriptor) and _is_same(path, descriptor) else None
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Takes the kernel's lock on a file; where the file system has none, two workers may read one file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _handed_over(visit: Visit, root: Path, claim: Claim) -> Iterator[Delivery]:
    """Gives what a file holds, and moves the file when all of it is landed or refused."""
    whole = file_delivery(visit.contract, claim.path, visit.project)
    try:
        receipt = receive(whole)
    except SourceError:
        yield whole  # landing fails to read it, too, and says so
        return
    hearing = Hearing()
    yield from hear(visit, replace(whole, receipt=receipt, state=receipt.state_text), hearing)
    if hearing.fate in (None, "held"):
        return
    if not _is_untouched(claim, receipt):
        visit.run.note("upload-replaced", visit.contract.source, origin=whole.origin)
        return
    day = f"{visit.run.started_at:%Y-%m-%d}"
    place = root / (DONE if hearing.fate == "landed" else REFUSED) / day / claim.path.relative_to(root)
    reason = hearing.reason(visit, whole.origin) if hearing.fate == "refused" else None
    target = _put_away(claim, place, reason)
    visit.run.note("upload-moved", visit.contract.source, origin=whole.origin, to=target.relative_to(root).as_posix())


def _is_untouched(claim: Claim, receipt: Receipt) -> bool:
    """Says whether the file of this name is the one that was read; else the next visit takes what is there now."""
    try:
        return file_state(claim.path) == receipt.state_text
    except SourceError:
        return False


def _put_away(claim: Claim, target: Path, reason: str | None) -> Path:
    """Moves a claimed file under a name that is free, its reason written beside it before, and gives that name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    free = _free_name(target)
    if reason is not None:
        free.with_name(free.name + REASON).write_text(reason, encoding="utf-8")
    shutil.move(claim.path, free)
    if claim.descriptor is not None and not _is_same(free, claim.descriptor):
        shutil.move(free, _free_name(claim.path))  # another upload took the name in this very moment: not ours to move
    return free


def _free_name(target: Path) -> Path:
    names = (target.with_name(numbered(target.name, number)) for number in itertools.count(1))
    return next(name for name in names if not name.exists() and not name.with_name(name.name + REASON).exists())
