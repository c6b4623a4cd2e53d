"""The source of what was posted: every closed segment of the spool is a batch, every uploaded file a file.

A segment's batch id is made of its name, so that it lands once, whoever lands it; a file's is that of its content.
Once their fate is in the ledger their bytes are in the archive: where each receipt went is written into the register,
and they are removed.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from lake.archive import receive
from lake.compression import compression_of
from lake.disk import room_to_write
from lake.odcs.servers.push import address_of
from lake.receiving.frames import Frame, read_frames
from lake.receiving.incoming import sweep_incoming, whole_files
from lake.receiving.register import KEPT_DAYS, Settled, opened_register
from lake.receiving.segments import TORN, close_all, locked, segments_folder
from lake.receiving.writing import open_private
from lake.sources.delivery import BATCH_ID_DIGITS, POSTED, Delivery, Fate
from lake.sources.intake import Hearing, hear
from lake.sources.naming import format_of
from lake.sources.visit import Visit


def pushed_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives what was posted to a source and waits in the spool, oldest first; each is removed once it is decided.

    What another landing has in its hands is left to it, and so is all that came later: of two versions of a row the one
    that lands last counts.
    """
    source = visit.contract.source
    if not (visit.spool / source).is_dir():
        return
    for path in close_all(segments_folder(visit.spool, source), visit.pause):
        with locked(path) as file:
            if file is not None:
                yield from _handed_over(visit, path, file)
            elif path.exists():
                return
    for folder in whole_files(visit.spool, source):
        with _claimed(folder) as file_path:
            if file_path is not None:
                yield from _file_handed_over(visit, file_path)
            elif folder.exists():
                return
    sweep_incoming(visit.spool, source, visit.run.started_at)


def batch_of(source: str, segment: str) -> str:
    """Gives the id of the batch that a segment becomes."""
    return hashlib.sha256(f"{source} {segment}".encode()).hexdigest()[:BATCH_ID_DIGITS]


def _handed_over(visit: Visit, path: Path, file: BinaryIO) -> Iterator[Delivery]:
    """Gives a locked segment as one delivery, and removes it when that is landed, held or refused."""
    target = visit.scratch / f"{path.stem}.jsonl"
    frames = _unframed(visit, path, file, target)
    if not frames:
        path.unlink()
        return
    source, heard = visit.contract.source, list[tuple[Fate, str]]()
    yield Delivery(
        origin=f"{address_of(source)}/{path.stem}",
        path=target,
        format="jsonl",
        kind=POSTED,
        batch_id=batch_of(source, path.stem),
        settle=lambda fate, why: heard.append((fate, why or "")),
    )
    if heard:
        _settle(visit, _settled_frames(visit, path, frames, *heard[-1]))
        path.unlink()
    target.unlink()


def _unframed(visit: Visit, path: Path, file: BinaryIO, target: Path) -> list[Frame]:
    """Writes the rows of a segment's whole frames into a file of their own; what is torn goes beside the segment."""
    frames: list[Frame] = []
    with room_to_write(target.parent), target.open("wb") as out:
        for frame, rows in read_frames(file):
            out.write(rows)
            frames.append(frame)
    end = frames[-1].ends_at if frames else 0
    file.seek(end)
    if rest := file.read():
        with room_to_write(path.parent), open_private(path.with_suffix(TORN)) as torn:
            torn.write(rest)
        file.truncate(end)
        visit.run.note("segment-torn", visit.contract.source, segment=path.stem, byte_count=len(rest))
    return frames


def _settled_frames(visit: Visit, path: Path, frames: list[Frame], fate: Fate, why: str) -> list[Settled]:
    """Gives where each receipt of a segment went."""
    lines, settled = 1, []
    for frame in frames:
        head = frame.head
        settled.append(
            Settled(
                receipt=head.receipt,
                source=visit.contract.source,
                batches=(batch_of(visit.contract.source, path.stem),),
                first_line=lines,
                row_count=head.row_count,
                received_at=head.received_at,
                settled_at=visit.run.clock().isoformat(),
                fate=fate,
                why=visit.secrets.redact(why),
            )
        )
        lines += head.row_count
    return settled


def _settle(visit: Visit, settled: list[Settled]) -> None:
    """Writes down where receipts went, before what they were given for is removed; what is long past is forgotten."""
    with opened_register(visit.spool, is_durable=True) as register:
        register.settle(settled)
        register.forget((visit.run.clock() - timedelta(days=KEPT_DAYS)).isoformat())


@contextmanager
def _claimed(folder: Path) -> Iterator[Path | None]:
    """Gives the file of an upload to one landing; None when another has it, or had it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        found = next(folder.glob("*"), None) if _is_ours(descriptor) else None
        if found is None:
            with suppress(OSError):  # a landing that was killed at its very end leaves an empty one
                folder.rmdir()
        yield found
    finally:
        os.close(descriptor)


def _is_ours(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _file_handed_over(visit: Visit, path: Path) -> Iterator[Delivery]:
    """Gives what an uploaded file holds, itself or its members, and removes it when all of that is decided."""
    receipt, source = path.parent.name, visit.contract.source
    origin = f"{address_of(source)}/files/{receipt}/{path.name}"
    whole = Delivery(origin, path, format_of(path) or visit.contract.server.format, compression_of(path))
    received = receive(whole)
    hearing = Hearing()
    yield from hear(visit, replace(whole, receipt=received, state=received.state_text), hearing)
    if hearing.fate is None:
        return
    told = Settled(
        receipt=receipt,
        source=source,
        batches=tuple(each.batch_id for each in hearing.heard),
        first_line=0,
        row_count=0,
        received_at="",
        settled_at=visit.run.clock().isoformat(),
        fate=hearing.fate,
        why=visit.secrets.redact("; ".join(each.why for each in hearing.heard if each.why)),
        name=path.name,
    )
    _settle(visit, [told])
    shutil.rmtree(path.parent)
