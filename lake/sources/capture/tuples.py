"""Tuples of the plug-in `pgoutput`, many at once: column by column out of the joined bytes, without a loop over rows.

Each value says whether it is there. Values stay the texts that the server wrote, digit for digit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Places = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

TEXT, UNCHANGED = ord("t"), ord("u")
OLD_KEY, OLD_ROW, NEW_ROW = ord("K"), ord("O"), ord("N")
PADDING = b"\0" * 8  # so that a length behind the last value can be looked for
LARGE_VALUES = 1024  # bytes on average: from here on slices are cheaper than an index of every byte


@dataclass(frozen=True)
class Values:
    """One column of some rows: where each text begins, how long it is, and whether there is one.

    `is_unchanged` marks values that the server left out because an update did not touch them.
    """

    starts: Places
    lengths: Places
    is_there: npt.NDArray[np.bool_]
    is_unchanged: npt.NDArray[np.bool_]


def join_messages(messages: Sequence[bytes]) -> tuple[Bytes, Places]:
    """Gives the messages as one array of bytes, and where each begins."""
    lengths = np.fromiter(map(len, messages), np.int64, len(messages))
    starts = np.zeros(len(messages), np.int64)
    np.cumsum(lengths[:-1], out=starts[1:])
    return np.frombuffer(b"".join((*messages, PADDING)), np.uint8), starts


def read_tuples(data: Bytes, at: Places, column_count: int) -> tuple[list[Values], Places]:
    """Reads a tuple of `pgoutput` at each place, and gives its columns and where it ends."""
    at = at + 2  # the number of columns, which the relation has said before
    columns = []
    for _ in range(column_count):
        kind = data[at]
        is_there = kind == TEXT
        lengths = np.where(is_there, _int32(data, at + 1), 0)
        columns.append(Values(at + 5, lengths, is_there, kind == UNCHANGED))
        at = at + np.where(is_there, 5 + lengths, 1)
    return columns, at


def to_texts(data: Bytes, column: Values) -> pa.Array:
    """Gives a column as Arrow text; what is not there is null."""
    count = len(column.starts)
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(column.lengths, out=offsets[1:])
    valid = pa.py_buffer(np.packbits(column.is_there, bitorder="little").tobytes())
    texts = pa.py_buffer(_gather(data, column, offsets))
    return pa.Array.from_buffers(pa.large_string(), count, [valid, pa.py_buffer(offsets.tobytes()), texts])


def _gather(data: Bytes, column: Values, offsets: Places) -> bytes:
    total = int(offsets[-1])
    if total > LARGE_VALUES * max(1, len(column.starts)):
        ends = column.starts + column.lengths
        return b"".join(data[start:end].tobytes() for start, end in zip(column.starts, ends, strict=True))
    shifts = np.repeat(column.starts - offsets[:-1], column.lengths)
    return data[shifts + np.arange(total)].tobytes()


def _int32(data: Bytes, at: Places) -> Places:
    """Reads a big-endian signed integer at each place; what stands beyond the end reads as anything."""
    at = np.minimum(at, len(data) - 4)
    found = np.zeros(len(at), np.int64)
    for shift in range(4):
        found = (found << 8) | data[at + shift]
    return np.where(found >= 1 << 31, found - (1 << 32), found)
