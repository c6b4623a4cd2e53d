"""How much of its log a server keeps for a captured table that the lake has not landed."""

from collections.abc import Iterator

from lake.sources.capture.capture import SLOT
from lake.sources.capture.door import Database
from lake.sources.capture.place import read_captured
from lake.sources.capture.table import slot_lag
from lake.sources.database.faults import telling_no_secret
from lake.sources.lag import Lag
from lake.sources.visit import Visit


def slot_lags(visit: Visit) -> Iterator[Lag]:
    """Gives the bytes of log beyond what the slot's reader has confirmed; nothing before the first landing.

    Raises SourceError when the server does not say, or the slot is lost.
    """
    if SLOT not in visit.position:
        return
    with telling_no_secret(visit.secrets, visit.contract.path), Database(read_captured(visit), visit) as database:
        yield Lag(visit.position[SLOT], slot_lag(database, visit.position[SLOT]), "bytes")
