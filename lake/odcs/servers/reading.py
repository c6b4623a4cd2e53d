"""Picks the reader for a contract's server by its type."""

from collections.abc import Callable, Mapping

from lake.contract import Contract, Server
from lake.odcs.document import Part
from lake.odcs.servers.api import check_api, read_api
from lake.odcs.servers.local import read_local
from lake.odcs.servers.s3 import read_s3

READERS: Mapping[str, Callable[[Part], Server]] = {
    "local": read_local,
    "api": read_api,
    "s3": read_s3,
    "azure": read_s3,
}
CHECKS: Mapping[str, Callable[[Part, Contract], None]] = {"api": check_api}  # what only the whole contract can tell
NOT_OPTIONS = ("server", "type", "path", "location", "format", "id", "description", "environment", "roles")


def read_server(document: Part) -> Server:
    """Reads the first of a contract's servers; raises ContractError when there is none or it cannot be read from."""
    server = next(document.each("servers"), None)
    if server is None:
        cure = "Add 'servers:' with 'type: local', 'path' and 'format'."
        raise document.fault("server-missing", "The contract does not say where its data come from ('servers').", cure)
    return READERS.get(server.text("type"), _read_other)(server)


def check_server(document: Part, contract: Contract) -> None:
    """Checks the server against the contract it serves; raises ContractError when the two do not go together."""
    server = next(document.each("servers"))
    if server.text("type") in CHECKS:
        CHECKS[server.text("type")](server, contract)


def _read_other(server: Part) -> Server:
    """Keeps what is said of a server that nothing here reads from, for those who read the contract."""
    options = {
        key: str(value)
        for key, value in server.value.items()
        if key not in NOT_OPTIONS and isinstance(value, str | int) and not isinstance(value, bool)
    }
    path = server.text("path") or server.text("location")
    return Server(server.text("type"), path, server.text("format"), options)
