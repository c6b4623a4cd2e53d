"""Frames: how requests stand one after the other in a segment of the spool, so that a torn one is seen.

A frame is a line of ours (a mark, the CRC-32 of all that follows, a JSON object) and the rows, a line each.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import BinaryIO

MARK = b"sluice1 "
CRC_DIGITS = 8
LONGEST_HEAD = 4096
HEAD_START = len(MARK) + CRC_DIGITS + 1


@dataclass(frozen=True)
class Head:
    """What is known of one request's rows: `byte_count` of them follow. `key` and `body` are digests, "" without key.

    `received_at` is an ISO instant in UTC.
    """

    receipt: str
    row_count: int
    byte_count: int
    received_at: str
    key: str = ""
    body: str = ""


@dataclass(frozen=True)
class Frame:
    """One frame of a segment: its head, and where it ends."""

    head: Head
    ends_at: int


def encode_frame(head: Head, rows: bytes) -> bytes:
    """Gives a frame as bytes; `rows` end with a line feed."""
    told = json.dumps(asdict(head), separators=(",", ":")).encode() + b"\n"
    return b"%s%08x %s%s" % (MARK, zlib.crc32(rows, zlib.crc32(told)), told, rows)


def join_rows(lines: Sequence[bytes]) -> bytes:
    """Gives rows as a frame holds them."""
    return b"\n".join(lines) + b"\n"


def read_frames(file: BinaryIO) -> Iterator[tuple[Frame, bytes]]:
    """Gives the whole frames of a segment with their rows, one at a time, up to its end or to the first torn one."""
    at = 0
    while (found := _frame_at(file, at)) is not None:
        frame, told, crc = found
        rows = file.read(frame.head.byte_count)
        if len(rows) != frame.head.byte_count or zlib.crc32(rows, zlib.crc32(told)) != crc:
            return
        yield frame, rows
        at = frame.ends_at


def read_heads(file: BinaryIO) -> Iterator[Head]:
    """Gives the heads of a segment's frames without reading their rows; the last may be torn."""
    at = 0
    while (found := _frame_at(file, at)) is not None:
        yield found[0].head
        at = found[0].ends_at


def find_frame_of(file: BinaryIO, receipt: str) -> Frame | None:
    """Gives the frame of a receipt, when it stands whole in a segment; the rows of the others are not read."""
    at = 0
    while (found := _frame_at(file, at)) is not None:
        frame, told, crc = found
        if frame.head.receipt == receipt:
            rows = file.read(frame.head.byte_count)
            return frame if zlib.crc32(rows, zlib.crc32(told)) == crc else None
        at = frame.ends_at
    return None


def _frame_at(file: BinaryIO, at: int) -> tuple[Frame, bytes, int] | None:
    """Gives the frame that begins at a place, its head as written, and the CRC it should have; None for no frame."""
    file.seek(at)
    line = file.readline(LONGEST_HEAD)
    told = line[HEAD_START:]
    if not line.startswith(MARK) or not told.endswith(b"\n"):
        return None
    try:
        crc = int(line[len(MARK) : HEAD_START - 1], 16)
        head = Head(**json.loads(told))
    except (ValueError, TypeError):
        return None
    return Frame(head, at + len(line) + head.byte_count), told, crc
