"""What a contract says of a database and of the table in it, typed; `lake/odcs/servers/` has checked it."""

from collections.abc import Mapping
from dataclasses import dataclass

from lake.contract import Column, Contract, Server
from lake.odcs.servers.database import WHOLE_NUMBERS

DEFAULT_ROWS, DEFAULT_BYTES = "1000000", str(256 << 20)  # of one batch: what a kill may cost, and what landing weighs
DEFAULT_FETCH = str(8 << 20)
DEFAULT_GIVE_UP = "60"


@dataclass(frozen=True)
class Endpoint:
    """One table of one database as one contract reads it.

    `place` is the database as messages and `_source` call it, without secrets. `mark` is the watermark's column when
    only what is new is read, None when all is. `overlap` says how far back numbers are read again. Seconds:
    `give_up_after` of trying to get through. `options` are the server's, for what belongs to one kind of database.
    """

    place: str
    table: str | None
    query: str | None
    mark: Column | None
    lateness: str | None
    overlap: int
    start_at: str | None
    reads_all_columns: bool
    rows_per_batch: int
    bytes_per_batch: int
    fetch_bytes: int
    give_up_after: float
    options: Mapping[str, str]

    @property
    def counts(self) -> bool:
        """Whether the watermark is a number."""
        return self.mark is not None and self.mark.sql_type in WHOLE_NUMBERS

    @property
    def origin(self) -> str:
        """What `_source` says of the rows."""
        named = "query" if self.table is None else self.table
        schema = f"{self.options['schema']}." if "schema" in self.options and self.table is not None else ""
        return f"{self.place}/{schema}{named}"


def read_endpoint(contract: Contract) -> Endpoint:
    """Gives the table of a contract."""
    is_full = contract.load == "replace" or contract.server.options.get("mode") == "full"
    mark = None if is_full or contract.watermark is None else contract.column(contract.watermark)
    return endpoint_of(contract.server, mark, contract.lateness)


def endpoint_of(server: Server, mark: Column | None = None, lateness: str | None = None) -> Endpoint:
    """Gives the table of a server, which needs no contract to be looked at."""
    options = server.options
    return Endpoint(
        place=server.path,
        table=options.get("table"),
        query=options.get("query"),
        mark=mark,
        lateness=lateness,
        overlap=int(options.get("overlap", 0)),
        start_at=options.get("startAt"),
        reads_all_columns=options.get("columns", "all") == "all",
        rows_per_batch=int(options.get("rowsPerBatch", DEFAULT_ROWS)),
        bytes_per_batch=int(options.get("bytesPerBatch", DEFAULT_BYTES)),
        fetch_bytes=int(options.get("fetchBytes", DEFAULT_FETCH)),
        give_up_after=float(options.get("giveUpAfter", DEFAULT_GIVE_UP)),
        options=options,
    )
