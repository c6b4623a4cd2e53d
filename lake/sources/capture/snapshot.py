"""The first reading of a captured table: as it stood in the very moment from which its slot gives changes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lake.sources.capture.door import Database, LogStream
from lake.sources.capture.frames import HistoryFile, Shape, copied_rows, marker_row, shape_of
from lake.sources.capture.place import identifier
from lake.sources.capture.table import (
    TableState,
    conversions,
    drop_unused_slots,
    examine,
    is_published,
    new_slot_name,
    publish,
)
from lake.sources.visit import Visit

PORTION_BYTES = 4 << 20
HEADER_BYTES = 19  # of a binary COPY: its signature, flags, and the length of more
TRAILER = b"\xff\xff"
BASELINE_SEQUENCE = 0  # before the snapshot's own rows


@dataclass(frozen=True)
class Snapshot:
    """A table read whole, in files of history rows; `lsn` is where the changes after it begin.

    `base` is what is added to places of this log in the rows.
    """

    slot: str
    lsn: int
    base: int
    oid: int
    files: tuple[Path, ...]


def take_snapshot(
    database: Database, stream: LogStream, visit: Visit, kept: str, base_of: Callable[[int], int]
) -> Snapshot:
    """Makes a slot and reads the table as it was at the slot's beginning, into files; nothing of it is landed yet.

    The slot `kept` stays until the new one has taken its place; `base_of` gives what is added to the places of the log,
    by the slot's first. The table is locked against being rewritten meanwhile, not against being written to.
    """
    captured = database.captured
    drop_unused_slots(database, kept)
    examine(database)
    if not is_published(database):
        publish(database)
    slot = new_slot_name(captured)
    database.execute("begin", f"lock table {captured.full_name} in access share mode")
    table = examine(database)
    lsn, exported = stream.create_slot(slot)
    with Database(captured, visit) as reader:
        reader.execute("begin isolation level repeatable read read only", f"set transaction snapshot '{exported}'")
        database.execute("commit")
        files = tuple(_read_table(reader, table, visit, lsn + base_of(lsn)))
    return Snapshot(slot, lsn, base_of(lsn), table.oid, files)


def _read_table(reader: Database, table: TableState, visit: Visit, lsn: int) -> Iterator[Path]:
    captured = reader.captured
    ((at,),) = reader.rows("select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')")
    shape = shape_of(captured, table.columns, table.types, conversions(reader, table.types))
    # One byte before the first change that will come: a commit there is later than the snapshot.
    sink = _Files(visit, shape, lsn - 1, str(at), captured.bytes_per_batch)
    columns = ", ".join(f"{identifier(name)}::text" for name in table.columns)
    reader.copy(f"select {columns} from {captured.full_name} where {table.condition}", sink)
    sink.finish()
    yield from sink.done


@dataclass
class _Files:
    """Gathers the rows of a COPY, and writes them portion by portion into files of bounded size."""

    visit: Visit
    shape: Shape
    lsn: int
    at: str
    most_bytes: int
    done: list[Path] = field(default_factory=list)
    _rows: list[bytes] = field(default_factory=list)
    _bytes: int = 0
    _count: int = 0
    _file: HistoryFile | None = None
    _is_begun: bool = False

    def write(self, data: bytes) -> None:
        """Takes one row; the first carries the header of the whole, the last is the end's mark."""
        if not self._is_begun:
            data, self._is_begun = data[HEADER_BYTES:], True
        if not data or data == TRAILER:
            return
        self._rows.append(data)
        self._bytes += len(data)
        if self._bytes >= PORTION_BYTES:
            self._write_rows()

    def finish(self) -> None:
        """Writes what is left, and last that whatever is older and not here is gone."""
        self._write_rows()
        self._opened().append(marker_row("baseline", self.shape, self.lsn, self.at, BASELINE_SEQUENCE))
        self.done.append(self._opened().close())

    def _write_rows(self) -> None:
        if not self._rows:
            return
        if self._file is not None and self._file.byte_count >= self.most_bytes:
            self.done.append(self._file.close())
            self._file = None
        self._opened().append(copied_rows(self._rows, self.shape, self.lsn, self.at, self._count + 1))
        self._count += len(self._rows)
        self._rows, self._bytes = [], 0

    def _opened(self) -> HistoryFile:
        if self._file is None:
            name = f"{self.visit.contract.source}.snapshot{len(self.done) + 1}.jsonl"
            self._file = HistoryFile(self.visit.scratch / name)
        return self._file
