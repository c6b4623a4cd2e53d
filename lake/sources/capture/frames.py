"""Changes as history rows: what `pgoutput` sent and a snapshot read, a portion at a time, as the lines that land."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from lake.disk import room_to_write
from lake.errors import SourceError
from lake.sources.capture.messages import DELETE, UPDATE, instant
from lake.sources.capture.place import Captured
from lake.sources.capture.tuples import (
    OLD_KEY,
    OLD_ROW,
    Bytes,
    Places,
    Values,
    join_messages,
    read_tuples,
    to_texts,
)
from lake.sources.capture.values import convert

PLACE = "\0place"  # of a change in its portion: no column of PostgreSQL is called so
FIRST_SEQUENCE = 1
STEP = 2  # an update that changes the key is a delete and an insert: it takes two places


@dataclass(frozen=True)
class Shape:
    """How the rows of a table are told apart and written: by the names of its columns at the source.

    `converted` are the columns of types that are not landed as they are written, with these types. An empty `key` means
    that a row is known by all it holds.
    """

    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    converted: Mapping[str, int]


@dataclass
class Portion:
    """Messages about rows of one shape, in the order of the log, with the transactions they belong to."""

    messages: list[bytes] = field(default_factory=list)
    byte_count: int = 0
    _runs: list[tuple[int, int, int, int]] = field(default_factory=list)  # from, lsn, instant, sequence of the first

    def add(self, message: bytes) -> None:
        """Adds a message of the transaction begun last."""
        self.messages.append(message)
        self.byte_count += len(message)

    def begin(self, lsn: int, committed_at: int, sequence: int) -> None:
        """Says to which transaction what is added from here on belongs, and how many of its changes came before."""
        if self._runs and self._runs[-1][0] == len(self.messages):
            self._runs.pop()  # a transaction that said nothing of this table
        self._runs.append((len(self.messages), lsn, committed_at, sequence))

    def places(self) -> tuple[Places, pl.Series, Places]:
        """Gives LSN, instant and number within its transaction of each message."""
        begun, lsns, instants, numbers = np.array(self._runs, np.int64).T
        counts = np.diff(np.append(begun, len(self.messages)))
        told = pl.Series([instant(at) for at in instants.tolist()]).gather(np.repeat(np.arange(len(begun)), counts))
        return np.repeat(lsns, counts), told, np.arange(len(self.messages)) + np.repeat(numbers - begun, counts)


class HistoryFile:
    """A file of history rows in the making, a JSON object a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.byte_count = 0
        with room_to_write(path.parent):
            self._file: BinaryIO = path.open("wb")

    def append(self, rows: pl.DataFrame) -> None:
        """Writes rows to the end; raises SettingsError when the disk is full."""
        with room_to_write(self.path.parent):
            rows.write_ndjson(self._file)
        self.byte_count = self._file.tell()

    def close(self) -> Path:
        """Gives the file, written; raises SettingsError when the disk is full."""
        with room_to_write(self.path.parent):
            self._file.close()
        return self.path


def changed_rows(portion: Portion, shape: Shape) -> pl.DataFrame:
    """Gives the history rows of a portion; an update that changes the key is a delete and an insert.

    Raises SourceError when the server left out a value that only it has.
    """
    data, starts = join_messages(portion.messages)
    tags, marks = data[starts], data[starts + 5]
    old_places = np.flatnonzero((marks == OLD_KEY) | (marks == OLD_ROW))
    old, ends = read_tuples(data, starts[old_places] + 6, len(shape.columns))
    new_at = starts + 5
    new_at[old_places] = ends
    new_places = np.flatnonzero(tags != DELETE)
    new, _ = read_tuples(data, new_at[new_places] + 1, len(shape.columns))
    before = _texts(data, old, shape)
    beside = _beside(old_places, new_places, len(starts))
    after = _filled(_texts(data, new, shape), new, before, marks[new_places] == OLD_ROW, beside, shape)
    is_moved = _is_moved(before, after, beside, tags[new_places] == UPDATE, shape)
    ended = np.isin(old_places, new_places[is_moved]) | (tags[old_places] == DELETE)
    kinds = np.where((tags[new_places] == UPDATE) & ~is_moved, "update", "insert")
    deleted = _placed(before, portion, old_places, tags[old_places] != DELETE).filter(pl.Series(ended))
    lost = [name for name in shape.columns if shape.key and name not in shape.key]
    deleted = deleted.with_columns(pl.lit(None, pl.String).alias(name) for name in lost)
    deleted = deleted.with_columns(_change=pl.lit("delete"))
    written = _placed(after, portion, new_places, np.zeros(len(new_places), np.bool_))
    written = written.with_columns(_change=pl.Series(kinds, dtype=pl.String))
    return pl.concat([deleted, written]).sort(PLACE, "_sequence").drop(PLACE)


def copied_rows(batch: pa.RecordBatch, shape: Shape, lsn: int, at: str, first: int) -> pl.DataFrame:
    """Gives rows of texts as those of a snapshot; `first` is the number of the first."""
    columns = _converted(dict(zip(shape.columns, batch.columns, strict=True)), shape)
    return pl.DataFrame(columns).with_columns(
        _change=pl.lit("snapshot"),
        _changed_at=pl.lit(at),
        _lsn=pl.lit(lsn),
        _sequence=pl.int_range(first, first + batch.num_rows, dtype=pl.Int64),
    )


def marker_row(kind: str, shape: Shape, lsn: int, at: str, sequence: int) -> pl.DataFrame:
    """Gives the row that says that all before it is gone; it carries no values."""
    values: dict[str, object] = dict.fromkeys(shape.columns)
    values |= {"_change": kind, "_changed_at": at, "_lsn": lsn, "_sequence": sequence}
    return pl.DataFrame([values], schema_overrides=dict.fromkeys(shape.columns, pl.String))


def shape_of(captured: Captured, columns: Sequence[str], types: Sequence[int], converted: Mapping[int, int]) -> Shape:
    """Gives the shape of a table; takes the oids of its columns' types, and which of them rest on types to convert."""
    found = {name: converted[kind] for name, kind in zip(columns, types, strict=True) if kind in converted}
    return Shape(f"{captured.schema}.{captured.table}", tuple(columns), captured.key, found)


def sequence_of(number: int) -> int:
    """Gives the `_sequence` of the change with a number within its transaction, the first being 0."""
    return FIRST_SEQUENCE + STEP * number


def _texts(data: Bytes, columns: Sequence[Values], shape: Shape) -> dict[str, pa.Array]:
    return _converted(
        {name: to_texts(data, column) for name, column in zip(shape.columns, columns, strict=True)}, shape
    )


def _converted(texts: dict[str, pa.Array], shape: Shape) -> dict[str, pa.Array]:
    return texts | {name: convert(texts[name], kind) for name, kind in shape.converted.items()}


def _beside(old_places: Places, new_places: Places, count: int) -> Places:
    """Gives where the row before each new one stands among the old ones, -1 where there is none."""
    index = np.full(count, -1, np.int64)
    index[old_places] = np.arange(len(old_places))
    return index[new_places]


def _filled(
    after: dict[str, pa.Array],
    new: Sequence[Values],
    before: dict[str, pa.Array],
    has_whole_row: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
    beside: Places,
    shape: Shape,
) -> dict[str, pa.Array]:
    """Puts the values that an update left as they were in the place of those that the server did not send again."""
    for name, column in zip(shape.columns, new, strict=True):
        if not column.is_unchanged.any():
            continue
        if not has_whole_row[column.is_unchanged].all():
            raise SourceError(
                "value-unsent",
                f"PostgreSQL sent an update of {shape.table} without the value of '{name}', which it left as it was.",
                cure=f"Run `alter table {shape.table} replica identity full`, then "
                "`sluice land SOURCE --snapshot`: what came in between cannot be told.",
            )
        old = before[name].take(pa.array(np.maximum(beside, 0), mask=beside < 0))
        after[name] = pc.if_else(pa.array(column.is_unchanged), old, after[name])
    return after


def _is_moved(
    before: dict[str, pa.Array],
    after: dict[str, pa.Array],
    beside: Places,
    is_update: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
    shape: Shape,
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Says which updates give their row another key; without a key all do, since what a row holds is its key."""
    has_old = is_update & (beside >= 0)
    if not shape.key:
        if (is_update & ~has_old).any():
            raise SourceError(
                "identity-lacking",
                f"{shape.table} has no key, and PostgreSQL sent an update without the row it changes.",
                cure=f"Run `alter table {shape.table} replica identity full`, then `sluice land SOURCE --snapshot`.",
            )
        return has_old
    differs = np.zeros(len(beside), np.bool_)
    for name in shape.key:
        old = pl.Series(pl.from_arrow(before[name].take(pa.array(np.maximum(beside, 0), mask=beside < 0))))
        differs |= old.ne_missing(pl.Series(pl.from_arrow(after[name]))).to_numpy()
    return differs & has_old


def _placed(columns: dict[str, pa.Array], portion: Portion, places: Places, is_first_part: object) -> pl.DataFrame:
    """Gives rows with where they stand in the log; the first part of a change stands just before it."""
    lsns, instants, numbers = portion.places()
    return pl.DataFrame(columns).with_columns(
        pl.Series(PLACE, places),
        _changed_at=pl.Series(instants).gather(places),
        _lsn=pl.Series(lsns[places]),
        _sequence=pl.Series(FIRST_SEQUENCE + STEP * numbers[places] - np.asarray(is_first_part, np.int64)),
    )
