"""The first reading of a captured table: as it stood in the very moment from which its slot gives changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lake.engine import literal
from lake.errors import SourceError
from lake.sources.capture.door import Database, LogStream, open_reader
from lake.sources.capture.frames import HistoryFile, Shape, copied_rows, marker_row, shape_of
from lake.sources.capture.place import Captured, identifier
from lake.sources.capture.table import (
    TableState,
    conversions,
    drop_unused_slots,
    examine,
    is_published,
    new_slot_name,
    publish,
)
from lake.sources.database.client import Client
from lake.sources.database.faults import LOST, Passing
from lake.sources.visit import Visit

PORTION_BYTES = 4 << 20
BASELINE_SEQUENCE = 0  # before the snapshot's own rows
CLOCK = "select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')"
# A table in the snapshot, of which pg_class tells, against the one of now, of which the function does.
REWRITTEN = """
select count(*) > 0 from pg_class where relfilenode <> pg_relation_filenode(oid)
and oid in (select {oid} union all select relid from pg_partition_tree({oid}))
"""


@dataclass(frozen=True)
class NewSlot:
    """A slot just made: the place from which it reads, and the name of the database's snapshot there.

    The snapshot can be taken up until the connection that made the slot does something else.
    """

    name: str
    lsn: int
    snapshot: str


@dataclass(frozen=True)
class Snapshot:
    """A table as it stood at a slot's beginning; `reader` sees it so, and `lsn` is that place in the rows."""

    captured: Captured
    lsn: int
    table: TableState
    shape: Shape
    reader: Client

    def files(self, paths: Iterator[Path]) -> Iterator[tuple[Path, bool]]:
        """Gives the table as it comes, in files of history rows; with the last, and only with it, the table is whole.

        The last says that whatever is older than the snapshot, and not in it, is gone. Nothing more is read while a
        file is in other hands: disk and memory hold one of them, whatever the size of the table.
        """
        ((at,),) = self.reader.rows(CLOCK)
        count, file = 0, HistoryFile(next(paths))
        for batch in self.reader.stream(self._query, {"adbc.postgresql.batch_size_hint_bytes": str(PORTION_BYTES)}):
            if file.byte_count >= self.captured.bytes_per_batch:
                yield file.close(), False
                file = HistoryFile(next(paths))
            if batch.num_rows:
                file.append(copied_rows(batch, self.shape, self.lsn, at, count + 1))
                count += batch.num_rows
        file.append(marker_row("baseline", self.shape, self.lsn, at, BASELINE_SEQUENCE))
        yield file.close(), True

    @property
    def _query(self) -> str:
        columns = ", ".join(f"{identifier(name)}::text" for name in self.table.columns)
        return f"select {columns} from {self.captured.full_name} where {self.table.condition}"


def make_slot(database: Database, stream: LogStream, kept: str) -> NewSlot:
    """Makes a slot for a table that its publication has; the slot `kept` stays until the new one has taken its place.

    Nothing may be locked meanwhile: making a slot waits for every transaction that may write, also for one that waits
    for a lock.
    """
    drop_unused_slots(database, kept)
    examine(database)
    if not is_published(database):
        publish(database)
    name = new_slot_name(database.captured)
    return NewSlot(name, *stream.create_slot(name))


@contextmanager
def open_snapshot(database: Database, visit: Visit, slot: NewSlot, base: int) -> Iterator[Snapshot]:
    """Gives the table as it was at the slot's beginning, for as long as the block reads it; `base` is added to places.

    The table is locked against being rewritten, not against being written to. Raises Passing when it was rewritten
    before that: such a table is empty in older snapshots.
    """
    captured = database.captured
    with open_reader(captured, visit) as reader:
        reader.execute("set transaction isolation level repeatable read, read only")
        _take(reader, slot)
        reader.execute(f"lock table {captured.full_name} in access share mode")
        table = examine(database)
        if reader.rows(REWRITTEN.format(oid=table.oid))[0][0]:
            told = f"{captured.origin} was rewritten or emptied when its snapshot had just begun."
            raise Passing("table-rewritten", told, cure=LOST)
        shape = shape_of(captured, table.columns, table.types, conversions(database, table.types))
        # One byte before the first change that will come: a commit there is later than the snapshot.
        yield Snapshot(captured, slot.lsn + base - 1, table, shape, reader)


def _take(reader: Client, slot: NewSlot) -> None:
    """Begins to see the database as it was; raises Passing when the connection that holds the snapshot is gone."""
    try:
        reader.execute(f"set transaction snapshot {literal(slot.snapshot)}")
    except Passing:
        raise
    except SourceError as error:
        raise Passing("database-unreachable", error.message, cure=LOST) from error
