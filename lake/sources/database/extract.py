"""Reading a table: one pass in one snapshot, cut into batches that are landed in order, each saying what it held.

The position in raw holds digests of the pieces that the last pass came in. A pass whose pieces are those lands nothing.
A pass that broke off is read once more, whole and from one snapshot, and what had landed before is not landed again.
"""

import itertools
import json
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lake.errors import SourceError
from lake.odcs.deletions import notices_deletes
from lake.sources.database.client import Client
from lake.sources.database.dialect import Dialect, Table
from lake.sources.database.endpoint import Endpoint, read_endpoint
from lake.sources.database.faults import Passing, telling_no_secret
from lake.sources.database.postgresql import PostgreSQL
from lake.sources.database.ranges import Range, find_ranges, select_keys
from lake.sources.database.spool import Piece, PieceDigest, Spool, cut
from lake.sources.database.sqlite import SQLite
from lake.sources.delivery import PULL, Delivery
from lake.sources.visit import ORDINAL, Visit, numbered_batch

DIALECTS: Mapping[str, Dialect] = {"postgresql": PostgreSQL(), "sqlite": SQLite()}
PARTS, TYPES = "parts", "types"
FIRST_WAIT, LONGEST_WAIT, JITTER = 0.5, 15.0, 0.5  # seconds; each wait doubles, and is up to half as long again


def table_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives what a table has that raw has not, in batches, in the order of its watermark if it has one.

    Raises SourceError, without any secret in it, when the database fails for good; what came before that was given.
    """
    dialect = DIALECTS[visit.contract.server.kind]
    with telling_no_secret(visit.secrets, visit.contract.path):
        yield from _Reading(visit, read_endpoint(visit.contract), dialect).deliveries()


@dataclass
class _Patience:
    """How long a fault that may pass is borne: `waited` are the seconds so far, without those of the tries."""

    visit: Visit
    seconds: float
    chance: random.Random
    tries: int = 0
    waited: float = 0.0

    def __post_init__(self) -> None:
        self.began = self.visit.run.clock()

    def bear(self, fault: Passing) -> None:
        """Waits, longer each time; raises SourceError when that was long enough."""
        self.tries += 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self.tries - 1, 16)) * (1 + JITTER * self.chance.random())
        spent = max(self.waited, (self.visit.run.clock() - self.began).total_seconds())
        if spent + wait > self.seconds:
            told = f"{fault.message} Tried {self.tries} {'time' if self.tries == 1 else 'times'}."
            raise SourceError(fault.code, told, cure=fault.cure) from fault
        reason = self.visit.secrets.redact(fault.message)
        self.visit.run.note("database-retried", self.visit.contract.source, reason=reason, wait_seconds=round(wait, 3))
        self.visit.pause(wait)
        self.waited += wait


@dataclass
class _Reading:
    """One visit to one table.

    `parts` are the digests of what is in raw, by the label of a range, piece by piece; `_types` those of the columns.
    """

    visit: Visit
    endpoint: Endpoint
    dialect: Dialect
    parts: dict[str, list[str]] = field(init=False)
    _types: dict[str, str] = field(default_factory=dict)
    _given: int = 0
    _rows: int = 0

    def __post_init__(self) -> None:
        parts = self.visit.position.get(PARTS, "")
        self.parts = json.loads(parts) if parts.startswith("{") else {}  # of an API it is another list
        folder, source = self.visit.scratch, self.visit.contract.source
        self._paths = (folder / f"{source}.{number}.parquet" for number in itertools.count(1))

    @property
    def _is_whole(self) -> bool:
        """Whether a pass must be one batch, because a batch is the whole table."""
        return self.visit.contract.load == "replace"

    def deliveries(self) -> Iterator[Delivery]:
        """Gives the batches of a pass; after a fault that may pass it is read again, for what has not been given."""
        chance = random.Random(self.visit.run.id)  # jitter is no secret
        patience = _Patience(self.visit, self.endpoint.give_up_after, chance)
        while True:
            given = self._given
            try:
                yield from self._pass()
                break
            except Passing as fault:
                if self._given > given:  # it got on, and may do so again
                    patience = _Patience(self.visit, self.endpoint.give_up_after, chance)
                patience.bear(fault)
        kind = "source-read" if self._given else "source-unchanged"
        self.visit.run.note(kind, self.visit.contract.source, self._rows, batches=self._given)

    def _pass(self) -> Iterator[Delivery]:
        """Gives the batches of one snapshot that hold what raw lacks."""
        with self.dialect.open(self.endpoint, self.visit.project, self.visit.secrets) as client:
            table = self.dialect.describe(client, self.endpoint)
            self._types = {column.name: column.kind for column in table.columns}
            ranges = find_ranges(client, self.dialect, table, self.endpoint, self.visit.contract, self.visit.since)
            self.parts = {wanted.label: self.parts.get(wanted.label, []) for wanted in ranges}
            self._rows, spool = 0, Spool(self._paths)
            try:
                for wanted in ranges:
                    for piece in self._fill(client, wanted, spool):
                        spool.pieces.append(piece)
                        if self._is_full(spool):
                            yield from self._give(spool)
                            spool.discard()
                if spool.pieces:
                    yield from self._give(spool)
                spool.discard()
                if notices_deletes(self.visit.contract):  # in the same snapshot, once its rows are in raw
                    yield from self._give_deletions(client, table, spool)
            finally:
                spool.discard()

    def _give_deletions(self, client: Client, table: Table, keys: Spool) -> Iterator[Delivery]:
        """Gives a batch of the keys that stand in raw and that the table has no more, if there are any."""
        query = select_keys(table, self.endpoint, self.visit.contract)
        for batch in self.dialect.stream(client, query, self.endpoint):
            keys.add(batch)
        gone = next(self._paths)
        if self.visit.find_gone is not None and (count := self.visit.find_gone(keys.close(), gone)):
            self.visit.run.note("rows-gone", self.visit.contract.source, count)
            yield self._delivery(gone)
        gone.unlink(missing_ok=True)

    def _fill(self, client: Client, wanted: Range, spool: Spool) -> Iterator[Piece]:
        """Reads a range into a spool, and gives each piece when its last row is there; a whole table is one piece."""
        endpoint, index, digest = self.endpoint, 0, PieceDigest()
        most = (sys.maxsize, sys.maxsize) if self._is_whole else (endpoint.rows_per_batch, endpoint.bytes_per_batch)
        for batch, is_end in cut(self.dialect.stream(client, wanted.query, endpoint), *most):
            digest.add(batch)
            spool.add(batch)
            self._rows += batch.num_rows
            if is_end:
                yield Piece(wanted.label, index, str(digest))
                index, digest = index + 1, PieceDigest()
        if digest.rows or self._is_whole:
            yield Piece(wanted.label, index, str(digest))
            index += 1
        del self.parts[wanted.label][index:]  # the range was longer before: what it had there is gone

    def _is_full(self, spool: Spool) -> bool:
        limits = self.endpoint
        return spool.rows >= limits.rows_per_batch or spool.bytes >= limits.bytes_per_batch

    def _give(self, spool: Spool) -> Iterator[Delivery]:
        """Gives a batch, unless every piece of it is in raw already, at its very place."""
        if all(self.parts[piece.label][piece.index : piece.index + 1] == [piece.digest] for piece in spool.pieces):
            return
        for piece in spool.pieces:
            self.parts[piece.label][piece.index : piece.index + 1] = [piece.digest]
        yield self._delivery(spool.close())

    def _delivery(self, path: Path) -> Delivery:
        """Gives the next batch, with the digests that are true once it is in the lake."""
        contract, ordinal = self.visit.contract, self.visit.next_ordinal + self._given
        if not self._given:
            self._note_retyped()
        self._given += 1
        position = {ORDINAL: str(ordinal), PARTS: json.dumps(self.parts), TYPES: json.dumps(self._types)}
        return Delivery(
            self.endpoint.origin, path, contract.server.format, kind=PULL,
            batch_id=numbered_batch(contract, ordinal), position=position,
        )  # fmt: skip

    def _note_retyped(self) -> None:
        """Tells the columns whose types in the database are others than when it was read last."""
        before = json.loads(self.visit.position.get(TYPES, "{}"))
        changed = [
            f"{name} is {kind} in the database, and was {before[name]}"
            for name, kind in self._types.items()
            if before.get(name, kind) != kind
        ]
        if changed:
            contract, told = self.visit.contract, "; ".join(changed)
            subject, version = f"raw.{contract.source}", contract.version
            self.visit.run.note("schema-drifted", subject, len(changed), contract_version=version, change=told)
