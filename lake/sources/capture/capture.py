"""Capturing a table: its snapshot first, then its changes, each delivery with the place in the log where it ends.

The position is in the commit with the rows, and the server hears of it only afterwards. So a process may die between
any two lines: what was not landed comes again, and what was landed is skipped, by its place. A slot of whose snapshot
not all is landed is given up and the table read anew.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from lake.errors import SourceError
from lake.sources.capture.changes import ChangeReader
from lake.sources.capture.door import Database, LogStream, to_lsn
from lake.sources.capture.frames import HistoryFile
from lake.sources.capture.landed import Landed, last_of
from lake.sources.capture.messages import Begin
from lake.sources.capture.place import Captured, read_captured
from lake.sources.capture.snapshot import make_slot, open_snapshot
from lake.sources.capture.table import (
    drop_unused_slots,
    examine,
    expect_log,
    expect_logical,
    expect_slot,
    is_published,
    log_end,
    take_turn,
)
from lake.sources.database.faults import Passing, telling_no_secret
from lake.sources.delivery import CAPTURE, Delivery, Fate
from lake.sources.visit import ORDINAL, Visit, numbered_batch

# What a position says. `base` is added to every place of the log: they grow on where another server's log begins.
LSN, BASE, SLOT, SYSTEM, TABLE, SNAPSHOT = "lsn", "base", "slot", "system", "table", "snapshot"
LAST = "last"  # the last transaction before that place of which anything was told
READING, DONE = "reading", "done"
PAUSES = (1.0, 3.0, 9.0)  # seconds before another try; a delivery that landed begins them anew
TURN_PAUSES = (0.2, 0.5, 1.0, 2.0)  # a run that was killed holds the table until the server has noticed
IDLE_BYTES = 16 << 20  # of log without a change of ours, until the server is told to forget it


def capture_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives what has changed in a table since the last landing; before the first, and when asked, the table itself.

    Raises SourceError, without any secret in it, when the database cannot be read or has lost changes.
    """
    with telling_no_secret(visit.secrets, visit.contract.path):
        yield from _Capture(visit, read_captured(visit)).deliveries()


@dataclass
class _Capture:
    """One visit to one table; `position` is where the lake stands, and moves with each delivery that lands."""

    visit: Visit
    captured: Captured
    position: Mapping[str, str] = field(default_factory=dict)
    _given: int = 0
    _lasting: int = 0  # of them: a snapshot that breaks off begins anew
    _target: int = 0
    _is_anew: bool = False
    _latest: Path | None = None

    def __post_init__(self) -> None:
        self._paths = self._name_files()

    def deliveries(self) -> Iterator[Delivery]:
        """Gives delivery after delivery, and begins the connection anew where it was cut."""
        tries = 0
        while True:
            before = self._lasting
            try:
                yield from self._read()
                return
            except Passing as fault:
                self._remove_latest()
                tries = 0 if self._lasting > before else tries
                if tries == len(PAUSES):
                    raise
                self._note("capture-interrupted", reason=self.visit.secrets.redact(fault.message))
                self.visit.pause(PAUSES[tries])
                tries += 1

    def _read(self) -> Iterator[Delivery]:
        with Database(self.captured, self.visit) as database, LogStream(self.captured, self.visit) as stream:
            if not self._has_turn(database):
                self._note("capture-elsewhere")
                return
            self.visit = self.visit.again()  # with the table to itself: nobody lands anything of it from here on
            self.position = self.visit.position
            if self.visit.waits_for is not None:
                return
            expect_logical(database)
            system = stream.identify()
            if self.position.get(SNAPSHOT) != DONE or (self.visit.anew and not self._is_anew):
                yield from self._snapshot(database, stream, system)
                self._is_anew = True
            begun = self._expect_same(database, system)
            self._target = self._target or log_end(database)
            yield from self._changes(database, stream, begun)

    def _has_turn(self, database: Database) -> bool:
        if take_turn(database):
            return True
        for seconds in TURN_PAUSES:
            self.visit.pause(seconds)
            if take_turn(database):
                return True
        return False

    def _snapshot(self, database: Database, stream: LogStream, system: str) -> Iterator[Delivery]:
        kept = self.position.get(SLOT, "") if self.position.get(SNAPSHOT) == DONE else ""
        base = int(self.position.get(BASE, 0))
        last = int(self.position.get(LSN, 0)) + base
        slot = make_slot(database, stream, kept)
        base = base if slot.lsn + base >= last else last
        told = {"lsn": to_lsn(slot.lsn), "slot": slot.name}
        self._note("snapshot-begun", **told)
        with open_snapshot(database, self.visit, slot, base) as snapshot:
            fixed = {LSN: str(slot.lsn), BASE: str(base), SLOT: slot.name}
            fixed |= {SYSTEM: system, TABLE: str(snapshot.table.oid), LAST: last_of(slot.lsn, Begin(0, 0))}
            for path, is_last in snapshot.files(self._paths):
                yield from self._give(path, {**fixed, SNAPSHOT: DONE if is_last else READING}, None)
        self._note("snapshot-taken", **told)

    def _changes(self, database: Database, stream: LogStream, begun: int) -> Iterator[Delivery]:
        slot, base = self.position[SLOT], int(self.position[BASE])
        drop_unused_slots(database, slot)
        stream.begin(slot, self.captured.publication, begun)
        landed = Landed(self.captured.place, int(self.position[LSN]), self.position.get(LAST), begun)
        reader = ChangeReader(database, stream, examine(database).oid, self._paths, self._target, base, landed)
        for cut in reader.cuts():
            told = {} if cut.last is None else {LAST: cut.last}
            yield from self._give(cut.path, {**self.position, LSN: str(cut.lsn), **told}, stream)
        if reader.reached - int(self.position[LSN]) >= IDLE_BYTES:
            nothing = HistoryFile(next(self._paths)).close()
            told = {} if reader.last is None else {LAST: reader.last}
            yield from self._give(nothing, {**self.position, LSN: str(reader.reached), **told}, stream)

    def _expect_same(self, database: Database, system: str) -> int:
        """Gives from where the slot has the log; raises SourceError unless server, table and slot are those landed."""
        place = self.captured.place
        if system != self.position[SYSTEM]:
            raise SourceError(
                "database-changed",
                f"{place} is another server than at the last landing: its number is {system}, and was "
                f"{self.position[SYSTEM]}.",
                cure="Was it restored from a dump, or does the address lead elsewhere? If this is the one to go on "
                "with, run `sluice land SOURCE --snapshot`.",
            )
        expect_log(database, int(self.position[LSN]))
        if str(examine(database).oid) != self.position[TABLE] or not is_published(database):
            raise SourceError(
                "table-replaced",
                f"{self.captured.origin} was dropped and made again, or left the publication "
                f"'{self.captured.publication}', since the last landing.",
                cure="Run `sluice land SOURCE --snapshot`: the table is read anew, and goes on from there.",
            )
        return expect_slot(database, self.position[SLOT], int(self.position[LSN]))

    def _give(self, path: Path, position: Mapping[str, str], stream: LogStream | None) -> Iterator[Delivery]:
        """Gives one delivery; when the next one is asked for, it has landed and `position` is the lake's."""
        ordinal = int(self.position.get(ORDINAL, 0)) + 1 if self._given else self.visit.next_ordinal

        def settle(fate: Fate, _why: str | None) -> None:
            if fate == "landed" and stream is not None:
                stream.confirm(int(position[LSN]))

        yield Delivery(
            self.captured.origin,
            path,
            "jsonl",
            kind=CAPTURE,
            batch_id=numbered_batch(self.visit.contract, ordinal),
            position={**position, ORDINAL: str(ordinal)},
            settle=settle,
        )
        self.position = {**position, ORDINAL: str(ordinal)}
        self._given += 1
        self._lasting += position[SNAPSHOT] == DONE
        path.unlink(missing_ok=True)

    def _name_files(self) -> Iterator[Path]:
        """Gives a name for each file, none of them twice: the engine remembers what stood under a name."""
        for number in count(1):
            self._latest = self.visit.scratch / f"{self.visit.contract.source}.{number}.jsonl"
            yield self._latest

    def _remove_latest(self) -> None:
        """Removes what was being written when the line broke: it is written anew."""
        if self._latest is not None:
            self._latest.unlink(missing_ok=True)

    def _note(self, kind: str, **details: object) -> None:
        self.visit.run.note(kind, self.visit.contract.source, **details)
