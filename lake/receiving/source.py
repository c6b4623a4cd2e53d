"""The source of what was posted: every closed segment of the spool is a batch, every uploaded file a file.

A segment's batch id is made of its name, so that it lands once, whoever lands it. Once its fate is in the ledger its
bytes are in the archive, its receipts are written into the register, and it is removed.
"""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from lake.disk import room_to_write
from lake.odcs.servers.push import address_of
from lake.receiving.frames import Frame, read_frames
from lake.receiving.register import KEPT_DAYS, Settled, opened_register
from lake.receiving.segments import TORN, close_all, locked, segments_folder
from lake.sources.delivery import BATCH_ID_DIGITS, POSTED, Delivery, Fate
from lake.sources.visit import Visit


def pushed_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives what was posted to a source and waits in the spool, oldest first; each is removed once it is decided."""
    folder = segments_folder(visit.spool, visit.contract.source)
    if not folder.is_dir():
        return
    for path in close_all(folder, visit.pause):
        with locked(path) as file:
            if file is not None:
                yield from _handed_over(visit, path, file)


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
        _settle(visit, path, frames, *heard[-1])
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
        path.with_suffix(TORN).write_bytes(rest)
        file.truncate(end)
        visit.run.note("segment-torn", visit.contract.source, segment=path.stem, byte_count=len(rest))
    return frames


def _settle(visit: Visit, path: Path, frames: list[Frame], fate: Fate, why: str) -> None:
    """Writes down where each receipt of a segment went, and removes the segment; in this order, whatever crashes."""
    source, now = visit.contract.source, visit.run.clock()
    batch, lines, settled = batch_of(source, path.stem), 1, []
    for frame in frames:
        head = frame.head
        settled.append(
            Settled(
                receipt=head.receipt,
                source=source,
                batches=(batch,),
                first_line=lines,
                row_count=head.row_count,
                received_at=head.received_at,
                settled_at=now.isoformat(),
                fate=fate,
                why=visit.secrets.redact(why),
            )
        )
        lines += head.row_count
    with opened_register(visit.spool, is_durable=True) as register:
        register.settle(settled)
        register.forget((now - timedelta(days=KEPT_DAYS)).isoformat())
    path.unlink()
