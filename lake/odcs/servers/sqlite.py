"""A server of type `custom` and format `sqlite`, for which the standard has no type: an SQLite file."""

from collections.abc import Mapping

from lake.contract import Server
from lake.errors import ContractError
from lake.odcs.document import Part, check_keys
from lake.odcs.servers.database import CHOICES as READING_CHOICES
from lake.odcs.servers.database import READING_KINDS, read_database, unfit
from lake.odcs.servers.properties import Kind

SQLITE_KEYS = (
    *("server", "type", "path", "format"),
    *("id", "description", "environment", "roles", "customProperties"),
)
SQLITE = "sqlite"
CHOICES = READING_CHOICES
SQLITE_KINDS: Mapping[str, Kind] = {
    name: kind for name, kind in READING_KINDS.items() if name not in ("statementTimeout", "fetchBytes")
}


def is_sqlite(server: Part) -> bool:
    """Says whether a server of type `custom` is an SQLite file."""
    return server.text("format").lower() == SQLITE


def file_server(path: str, table: str) -> Server:
    """Gives the server of a table in a file, as a draft is asked for by."""
    if not table:
        cure = "Add '--table NAME'."
        raise ContractError("option-unfit", f"'{path}' is an SQLite file, which may hold several tables.", cure=cure)
    return Server(SQLITE, path, "parquet", {"table": table})


def read_sqlite(server: Part) -> Server:
    """Reads an SQLite file's server; raises ContractError for what is unknown, missing or cannot be."""
    options = read_database(server, SQLITE_KINDS)
    check_keys(server, SQLITE_KEYS, "an SQLite file's server")
    if not server.text("path"):
        raise unfit(server, "Key 'path' is empty.", "Write the file's path, from the project folder.", "path")
    return Server(SQLITE, server.text("path"), "parquet", options)
