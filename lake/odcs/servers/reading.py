"""Picks the reader for a contract's server by its type."""

from collections.abc import Callable, Mapping

from lake.contract import Contract, Server
from lake.odcs.document import Part
from lake.odcs.servers.api import check_api, read_api
from lake.odcs.servers.database import check_database, with_table
from lake.odcs.servers.local import read_local
from lake.odcs.servers.postgresql import read_postgresql
from lake.odcs.servers.s3 import read_s3
from lake.odcs.servers.sqlite import is_sqlite, read_sqlite

READERS: Mapping[str, Callable[[Part], Server]] = {
    "local": read_local,
    "api": read_api,
    "s3": read_s3,
    "azure": read_s3,
    "postgresql": read_postgresql,
    "postgres": read_postgresql,
    "custom": read_sqlite,
}
DATABASES = ("postgresql", "sqlite")
CHECKS: Mapping[str, Callable[[Part, Contract], None]] = {  # what only the whole contract can tell; by our own kind
    "api": check_api,
    **dict.fromkeys(DATABASES, check_database),
}
NOT_OPTIONS = ("server", "type", "path", "location", "format", "id", "description", "environment", "roles")


def read_server(document: Part) -> Server:
    """Reads the first of a contract's servers; raises ContractError when there is none or it cannot be read from."""
    server = next(document.each("servers"), None)
    if server is None:
        cure = "Add 'servers:' with 'type: local', 'path' and 'format'."
        raise document.fault("server-missing", "The contract does not say where its data come from ('servers').", cure)
    if server.text("type") == "custom" and not is_sqlite(server):
        return _read_other(server)
    found = READERS.get(server.text("type"), _read_other)(server)
    return with_table(found, next(document.each("schema"), None)) if found.kind in DATABASES else found


def check_server(document: Part, contract: Contract) -> None:
    """Checks the server against the contract it serves; raises ContractError when the two do not go together."""
    server = next(document.each("servers"))
    if contract.server.kind in CHECKS:
        CHECKS[contract.server.kind](server, contract)


def _read_other(server: Part) -> Server:
    """Keeps what is said of a server that nothing here reads from, for those who read the contract."""
    options = {
        key: str(value)
        for key, value in server.value.items()
        if key not in NOT_OPTIONS and isinstance(value, str | int) and not isinstance(value, bool)
    }
    path = server.text("path") or server.text("location")
    return Server(server.text("type"), path, server.text("format"), options)
