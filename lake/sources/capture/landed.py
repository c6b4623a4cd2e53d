"""The part of a log that has landed, met once more: is it still the log that was read?

A server that was set back to a copy of itself, with its slots, and written on, has another log under the same places.
Its slot has heard less of us than the lake knows. So has the slot of a server that merely died before it had written
down what it heard. Both are read from where the slot is, and told apart by the transactions that come.
"""

from dataclasses import dataclass

from lake.errors import SourceError
from lake.sources.capture.door import to_lsn
from lake.sources.capture.messages import Begin


@dataclass
class Landed:
    """What has landed of a log: all before `lsn`. `last` is the last transaction in it, as `last_of` gives it, or none.

    The log is read from the place `begun` on; `place` is the database as messages call it.
    """

    place: str
    lsn: int
    last: str | None
    begun: int

    def has(self, transaction: Begin) -> bool:
        """Says whether a transaction has landed, by where its commit stands."""
        return transaction.lsn < self.lsn

    def meet(self, end: int, transaction: Begin) -> None:
        """Takes a transaction that has landed and ends at a place; raises SourceError when it is none of those."""
        if self.last is None:
            return
        if end > _end_of(self.last) or (end == _end_of(self.last) and last_of(end, transaction) != self.last):
            raise self._another()
        if end == _end_of(self.last):
            self.begun = end

    def expect_met(self) -> None:
        """Raises SourceError when the last that has landed has not come, though all up to it has been read."""
        if self.last is not None and self.begun < _end_of(self.last):
            raise self._another()

    def _another(self) -> SourceError:
        return SourceError(
            "database-changed",
            f"{self.place} has another log than the one that was read up to {to_lsn(self.lsn)}: it was set back to an "
            "older state of itself, and has been written to since.",
            cure="If this is the one to go on with, run `sluice land SOURCE --snapshot`.",
        )


def last_of(end: int, transaction: Begin) -> str:
    """Gives what a transaction is known by: the place where it ends, and when it was committed."""
    return f"{end} {transaction.committed_at}"


def _end_of(last: str) -> int:
    return int(last.split()[0])
