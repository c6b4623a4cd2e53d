"""The captured table as its contract says it, and what names the slot that is read for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from lake.contract import Contract
from lake.sources.visit import Visit

LONGEST_NAME = 63  # of anything in PostgreSQL
LAKE_DIGITS, SLOT_DIGITS = 8, 6
DEFAULT_BYTES = str(64 << 20)  # of one delivery


@dataclass(frozen=True)
class Captured:
    """One table of one database. `place` is the database as messages call it; `key` are names at the source.

    `prefix` begins the names of the slots that this lake makes for the table: another lake has others.
    """

    place: str
    schema: str
    table: str
    publication: str
    prefix: str
    key: tuple[str, ...]
    bytes_per_batch: int
    options: Mapping[str, str]

    @property
    def full_name(self) -> str:
        """The table as SQL names it."""
        return f"{identifier(self.schema)}.{identifier(self.table)}"

    @property
    def origin(self) -> str:
        """What `_source` says of its rows."""
        return f"{self.place}/{self.schema}.{self.table}"


def read_captured(visit: Visit) -> Captured:
    """Gives the table that a visit is to."""
    contract: Contract = visit.contract.history_of or visit.contract
    options = contract.server.options
    source = visit.contract.source
    short = re.sub(r"\W", "_", source)[: LONGEST_NAME - LAKE_DIGITS - SLOT_DIGITS - len("sluice___")]
    whose = visit.lake if short == source else f"{visit.lake} {source}"  # what is cut off may be all that differs
    lake = sha256(whose.encode()).hexdigest()[:LAKE_DIGITS]
    return Captured(
        place=contract.server.path,
        schema=options.get("schema") or "public",
        table=options["table"],
        publication=options.get("publication", f"sluice_{short}"),
        prefix=f"sluice_{short}_{lake}_",
        key=tuple(contract.column(name).source_name for name in contract.key),
        bytes_per_batch=int(options.get("bytesPerBatch", DEFAULT_BYTES)),
        options=options,
    )


def identifier(name: str) -> str:
    """Gives a name as PostgreSQL reads it, whatever stands in it."""
    return '"' + name.replace('"', '""') + '"'
