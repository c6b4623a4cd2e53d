"""What can go wrong between a reader and a database's log, beside what can go wrong with any table."""

from lake.errors import SourceError
from lake.sources.database.faults import LOST, Passing
from lake.sources.database.faults import fault_of as database_fault

SLOT_IN_USE = "55006"  # by a connection that the server has yet to notice is dead
NO_REPLICATION = ("replication role", "start WAL sender", "to use replication slots")
NO_MORE = ("can no longer get changes", "has already been removed")


def fault_of(error: BaseException, place: str, sqlstate: str | None) -> SourceError:
    """Gives the error of a database as one of ours: Passing when another try may help."""
    words = " ".join(str(error).split())
    if any(told in words for told in NO_MORE):
        return slot_lost(place, words)
    if any(told in words for told in NO_REPLICATION):
        cure = "Have an administrator run `alter role … replication` (managed databases: docs/sources.md)."
        return SourceError("database-refused", f"{place} refuses: {words}", cure=cure)
    if sqlstate == SLOT_IN_USE:
        return Passing("database-unreachable", f"{place} cannot be read: {words}", cure=LOST)
    return database_fault(error, place, sqlstate)


def slot_lost(place: str, why: str) -> SourceError:
    """Gives the error of changes that the database has no more."""
    return SourceError(
        "slot-lost",
        f"{place} has no longer the changes since the last landing: {why}",
        cure="Run `sluice land SOURCE --snapshot`: the table is read anew, and goes on from there.",
    )
