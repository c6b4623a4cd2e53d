"""Picks the reader for a contract's server by its type."""

from collections.abc import Callable, Mapping

from lake.contract import CAPTURE, Contract, Server
from lake.odcs.document import Part
from lake.odcs.servers.api import check_api, read_api
from lake.odcs.servers.database import check_database, with_table
from lake.odcs.servers.kafka import check_kafka, read_kafka
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
    "kafka": read_kafka,
}
DATABASES = ("postgresql", "sqlite")
CHECKS: Mapping[str, Callable[[Part, Contract], None]] = {  # what only the whole contract can tell; by our own kind
    "api": check_api,
    "kafka": check_kafka,
    **dict.fromkeys(DATABASES, check_database),
}
NOT_OPTIONS = ("server", "type", "path", "location", "format", "id", "description", "environment", "roles")


def read_servers(document: Part) -> tuple[Server, ...]:
    """Reads all of a contract's servers; raises ContractError when there is none or one cannot be read from.

    Raises it, too, when two are read on from where they stood, or two are posted to: neither can be told apart.
    """
    parts = list(document.each("servers"))
    if not parts:
        cure = "Add 'servers:' with 'type: local', 'path' and 'format'."
        raise document.fault("server-missing", "The contract does not say where its data come from ('servers').", cure)
    table = next(document.each("schema"), None)
    servers = tuple(_read_server(part, table) for part in parts)
    for what, of_kind in (
        ("is read on from where it stood", [server.has_position for server in servers]),
        ("is posted to", [server.is_pushed for server in servers]),
    ):
        if sum(of_kind) > 1:
            second = [part for part, found in zip(parts, of_kind, strict=True) if found][1]
            message = f"Server '{second.text('server')}' is the second that {what}; a source has one at most."
            raise second.fault("server-repeated", message, "Give it a contract and a table of its own.")
    if len(servers) > 1 and any(server.options.get("mode") == CAPTURE for server in servers):
        message = "A server of 'mode: capture' lands changes, and there are others, which land rows."
        raise parts[1].fault("server-repeated", message, "Give the captured table a contract of its own.")
    return servers


def check_servers(document: Part, contract: Contract) -> None:
    """Checks each server against the contract it serves; raises ContractError when the two do not go together."""
    for part, server in zip(document.each("servers"), contract.servers, strict=True):
        if server.kind in CHECKS:
            CHECKS[server.kind](part, contract.at(server))


def _read_server(server: Part, table: Part | None) -> Server:
    if server.text("type") == "custom" and not is_sqlite(server):
        return _read_other(server)
    found = READERS.get(server.text("type"), _read_other)(server)
    return with_table(found, table) if found.kind in DATABASES else found


def _read_other(server: Part) -> Server:
    """Keeps what is said of a server that nothing here reads from, for those who read the contract."""
    options = {
        key: str(value)
        for key, value in server.value.items()
        if key not in NOT_OPTIONS and isinstance(value, str | int) and not isinstance(value, bool)
    }
    path = server.text("path") or server.text("location")
    return Server(server.text("type"), path, server.text("format"), options)
