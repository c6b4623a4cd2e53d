"""How much of its log a server keeps for a captured table that the lake has not landed, and since when."""

from collections.abc import Iterator

from lake.sources.capture import messages as said
from lake.sources.capture.capture import LSN, SLOT
from lake.sources.capture.door import Database, LogStream
from lake.sources.capture.place import read_captured
from lake.sources.capture.table import clock_microseconds, examine, log_end, slot_lag
from lake.sources.database.faults import Passing, telling_no_secret
from lake.sources.lag import Lag
from lake.sources.visit import Visit

LONGEST_LOOK = 2.0  # seconds of reading the log: while it is looked at, a visit that wants to read it must wait
MICROSECONDS = 1_000_000


def slot_lags(visit: Visit) -> Iterator[Lag]:
    """Gives the bytes of log beyond what the slot's reader has confirmed; nothing before the first landing.

    Raises SourceError when the server does not say, or the slot is lost.
    """
    if SLOT not in visit.position:
        return
    with telling_no_secret(visit.secrets, visit.contract.path), Database(read_captured(visit), visit) as database:
        slot = visit.position[SLOT]
        yield Lag(slot, slot_lag(database, slot), "bytes", _oldest_seconds(visit, database))


def _oldest_seconds(visit: Visit, database: Database) -> float | None:
    """Gives how long ago the oldest change was committed that is not in the lake, by the server's clock.

    0 when there is none; None when that cannot be told soon, or a visit is reading the log just now.
    """
    captured, start = database.captured, int(visit.position[LSN])
    table, end = examine(database).oid, log_end(database)
    try:
        with LogStream(captured, visit) as stream:
            stream.begin(visit.position[SLOT], captured.publication, start)
            committed_at = _find_oldest(visit, stream, table, start, end)
    except Passing:
        return None
    if committed_at is None:
        return None
    return max(0, clock_microseconds(database) - committed_at) / MICROSECONDS if committed_at else 0.0


def _find_oldest(visit: Visit, stream: LogStream, table: int, start: int, end: int) -> int | None:
    """Gives when the first transaction beyond a place was committed that changes a table; 0 when none does."""
    began, transaction = visit.run.clock(), said.Begin(0, 0)
    while transaction.lsn or stream.seen < end:
        if (visit.run.clock() - began).total_seconds() > LONGEST_LOOK:
            return None
        message = stream.read()
        if message is None:
            stream.wait()
        elif message[0] == said.BEGIN:
            transaction = said.read_begin(message)
        elif message[0] == said.COMMIT:
            transaction = said.Begin(0, 0)
        elif transaction.lsn >= start and table in said.changed_ids(message):
            return transaction.committed_at
    return 0
