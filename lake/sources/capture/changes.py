"""Changes read from a slot: whole transactions into files of history rows, cut where one ends."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lake.sources.capture import messages as said
from lake.sources.capture.door import Database, LogStream
from lake.sources.capture.frames import HistoryFile, Portion, Shape, changed_rows, marker_row, sequence_of, shape_of
from lake.sources.capture.landed import Landed, last_of
from lake.sources.capture.table import conversions

PORTION_BYTES = 4 << 20


@dataclass(frozen=True)
class Cut:
    """A file of whole transactions, the place from which the log goes on after them, and the last of them."""

    path: Path
    lsn: int
    last: str | None


@dataclass
class ChangeReader:
    """Reads one slot up to a place, past what has `landed`; `base` is added to the places in the rows.

    A transaction of any size goes to disk as it comes; memory holds a portion of it.
    """

    database: Database
    stream: LogStream
    table_id: int
    paths: Iterator[Path]
    target: int
    base: int
    landed: Landed
    _portion: Portion = field(default_factory=Portion)
    _shape: Shape | None = None
    _file: HistoryFile | None = None
    _transaction: said.Begin = field(default=said.Begin(0, 0))
    _number: int = 0
    _end: int = 0
    _last: str | None = None
    _is_landed: bool = False

    def cuts(self) -> Iterator[Cut]:
        """Gives file after file; the last is whatever there is when the target is reached."""
        while not self._is_done():
            message = self.stream.read()
            if message is None:
                self.stream.wait()
            elif self._take(message) and self._size >= self.database.captured.bytes_per_batch:
                yield self._cut()
        self.landed.expect_met()
        if self._size:
            yield self._cut()

    @property
    def last(self) -> str | None:
        """The last transaction of which anything was read, now or before."""
        return self._last or self.landed.last

    @property
    def reached(self) -> int:
        """The place up to which everything has been read, of this table or not."""
        return max(self._end, self.stream.seen) if not self._transaction.lsn else self._end

    def _is_done(self) -> bool:
        return not self._transaction.lsn and max(self._end, self.stream.seen) >= self.target

    @property
    def _size(self) -> int:
        return self._portion.byte_count + (0 if self._file is None else self._file.byte_count)

    def _take(self, message: bytes) -> bool:
        """Takes one message; says whether it ended a transaction."""
        tag = message[0]
        if tag in said.ROWS:
            if said.relation_id(message) == self.table_id and not self._is_landed:
                self._take_row(message)
        elif tag == said.BEGIN:
            self._begin(said.read_begin(message))
        elif tag == said.COMMIT:
            self._commit(said.read_commit(message))
            return True
        elif tag == said.RELATION and said.relation_id(message) == self.table_id:
            self._write_portion()
            told = said.read_relation(message)
            self._shape = shape_of(
                self.database.captured, told.columns, told.types, conversions(self.database, told.types)
            )
        elif tag == said.TRUNCATE and self.table_id in said.truncated_ids(message) and not self._is_landed:
            self._write_portion()
            self._append_truncate()
        return False

    def _begin(self, transaction: said.Begin) -> None:
        self._transaction, self._number = transaction, 0
        self._is_landed = self.landed.has(transaction)
        if not self._is_landed:
            self.landed.expect_met()
        self._begin_run()

    def _commit(self, end: int) -> None:
        if self._is_landed:
            self.landed.meet(end, self._transaction)
        else:
            self._last = last_of(end, self._transaction)
        self._end, self._transaction = end, said.Begin(0, 0)

    def _take_row(self, message: bytes) -> None:
        self._portion.add(message)
        self._number += 1
        if self._portion.byte_count >= PORTION_BYTES:
            self._write_portion()

    def _write_portion(self) -> None:
        if self._portion.messages and self._shape is not None:
            self._opened().append(changed_rows(self._portion, self._shape))
        self._portion = Portion()
        if self._transaction.lsn:
            self._begin_run()

    def _append_truncate(self) -> None:
        assert self._shape is not None  # the server describes a table before it says anything of it
        at = said.instant(self._transaction.committed_at)
        row = marker_row("truncate", self._shape, self._transaction.lsn + self.base, at, sequence_of(self._number))
        self._opened().append(row)
        self._number += 1
        self._portion = Portion()
        self._begin_run()

    def _begin_run(self) -> None:
        """Says to which transaction, and where in it, the rows belong that come next."""
        self._portion.begin(self._transaction.lsn + self.base, self._transaction.committed_at, self._number)

    def _opened(self) -> HistoryFile:
        if self._file is None:
            self._file = HistoryFile(next(self.paths))
        return self._file

    def _cut(self) -> Cut:
        self._write_portion()
        path = self._opened().close()
        self._file = None
        return Cut(path, self._end, self.last)
