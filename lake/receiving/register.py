"""The register: which Idempotency-Key brought which receipt, and where the rows of a landed receipt went.

A claim is written before its rows, and counts once they stand in a segment: what a crash leaves between the two is no
claim. The register can be made anew from the segments that wait; it alone knows what has left the spool.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lake.errors import SettingsError
from lake.receiving.writing import PRIVATE, writing_spool

FILE = "register.sqlite"
BUSY_SECONDS = 30.0
KEPT_DAYS = 7  # how long keys and receipts are known after their rows have landed
TABLES = """
    create table if not exists claims (
        source text, key text, body text, receipt text, claimed_at text, primary key (source, key)
    ) without rowid;
    create index if not exists claims_by_receipt on claims (receipt);
    create table if not exists receipts (
        receipt text primary key, source text, batches text, first_line integer, row_count integer, received_at text,
        settled_at text, fate text, why text, name text
    ) without rowid;
    create index if not exists receipts_by_time on receipts (settled_at);
"""


@dataclass(frozen=True)
class Claim:
    """An Idempotency-Key of a source: the digest of the body it came with, and the receipt that was given for it."""

    body: str
    receipt: str


@dataclass(frozen=True)
class Settled:
    """What left the spool: the batches it became (a file may hold several), and its lines there.

    `first_line` 0 means all lines; `name` is that of an uploaded file, "" for rows.
    """

    receipt: str
    source: str
    batches: tuple[str, ...]
    first_line: int
    row_count: int
    received_at: str
    settled_at: str
    fate: str
    why: str = ""
    name: str = ""


class Register:
    """The register of one spool, for one thread; any number of processes may hold one."""

    def __init__(self, spool: Path, *, is_durable: bool = False) -> None:
        with writing_spool(spool):
            spool.mkdir(parents=True, exist_ok=True)
            os.close(os.open(spool / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE))
        with self._translated():
            self._rows = sqlite3.connect(spool / FILE, BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._rows.execute("pragma journal_mode = wal")
            self._rows.execute(f"pragma synchronous = {'full' if is_durable else 'normal'}")
            self._rows.executescript(TABLES)

    def close(self) -> None:
        """Lets go of the file."""
        self._rows.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Makes what the block writes one transaction, which no other process comes between."""
        with self._translated():
            self._rows.execute("begin immediate")
            try:
                yield
                self._rows.execute("commit")
            except BaseException:
                if self._rows.in_transaction:  # a full disk may have ended it, or not
                    self._rows.execute("rollback")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raises SettingsError when the register's file does not take what the block writes."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise SettingsError(
                "register-unusable",
                f"The register of the spool cannot be used: {error}.",
                cure="Make room on its disk, and let Sluice write there; a damaged one can be removed.",
            ) from error

    def find_claim(self, source: str, key: str) -> Claim | None:
        """Gives what a key was claimed for."""
        found = self._rows.execute("select body, receipt from claims where source = ? and key = ?", (source, key))
        return next((Claim(*row) for row in found), None)

    def claim(self, source: str, key: str, claim: Claim, at: str) -> None:
        """Claims a key, for whatever it was claimed before."""
        self._rows.execute(
            "insert or replace into claims values (?, ?, ?, ?, ?)", (source, key, claim.body, claim.receipt, at)
        )

    def unclaim(self, receipts: Iterable[str]) -> None:
        """Gives keys back whose rows could not be kept."""
        with self.together():
            self._rows.executemany("delete from claims where receipt = ?", [(receipt,) for receipt in receipts])

    def remember(self, claims: Iterable[tuple[str, str, Claim, str]]) -> None:
        """Adds claims (source, key, claim, instant) that segments tell of and that are not known."""
        rows = ((source, key, claim.body, claim.receipt, at) for source, key, claim, at in claims)
        with self.together():
            self._rows.executemany("insert or ignore into claims values (?, ?, ?, ?, ?)", rows)

    def settle(self, settled: Iterable[Settled]) -> None:
        """Writes down where receipts went; told twice, the last counts."""
        rows = [
            (
                *(each.receipt, each.source, ",".join(each.batches), each.first_line, each.row_count),
                *(each.received_at, each.settled_at, each.fate, each.why, each.name),
            )
            for each in settled
        ]
        with self.together():
            self._rows.executemany("insert or replace into receipts values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def find_settled(self, receipt: str) -> Settled | None:
        """Gives where a receipt went, None when it has not left the spool, or is long forgotten."""
        for row in self._rows.execute("select * from receipts where receipt = ?", (receipt,)):
            name, source, batches, *rest = row
            return Settled(name, source, tuple(batches.split(",")) if batches else (), *rest)
        return None

    def forget(self, before: str) -> None:
        """Forgets receipts that left the spool before an instant, and their keys."""
        old = "select receipt from receipts where settled_at < ?"
        with self.together():
            self._rows.execute(f"delete from claims where receipt in ({old})", (before,))
            self._rows.execute("delete from receipts where settled_at < ?", (before,))


@contextmanager
def opened_register(spool: Path, *, is_durable: bool = False) -> Iterator[Register]:
    """Gives the register of a spool for a while."""
    with closing(Register(spool, is_durable=is_durable)) as register:
        yield register
