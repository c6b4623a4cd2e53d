"""A server of type `postgresql`: a table or a query of a PostgreSQL database."""

import re
from collections.abc import Mapping

from lake.contract import Server
from lake.odcs.document import Part, check_keys
from lake.odcs.servers.database import CHOICES as READING_CHOICES
from lake.odcs.servers.database import READING_KINDS, SECRET, read_database, unfit
from lake.odcs.servers.properties import Kind

POSTGRESQL_KEYS = (
    *("server", "type", "host", "port", "database", "schema"),
    *("id", "description", "environment", "roles", "customProperties"),
)
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
HERE = ("localhost", "127.0.0.1", "::1")  # and every path of a socket: where nothing travels
CHOICES: Mapping[str, tuple[str, ...]] = {**READING_CHOICES, "sslMode": SSL_MODES}
POSTGRESQL_KINDS: Mapping[str, Kind] = {
    **READING_KINDS,
    "user": Kind("Write the name of the role that reads."),
    "userSecret": SECRET,
    "passwordSecret": SECRET,
    "sslMode": Kind(f"Write {', '.join(SSL_MODES)}."),
    "sslRootCertificate": Kind("Write the path of a certificate.", re.compile(r"\S.*")),
}


def read_postgresql(server: Part) -> Server:
    """Reads a server of type `postgresql`; raises ContractError for what is unknown, missing or cannot be."""
    options = read_database(server, POSTGRESQL_KINDS, CHOICES)
    check_keys(server, POSTGRESQL_KEYS, "a server of type 'postgresql'")
    host, port = server.text("host"), str(server.value["port"])
    if not host or "@" in host or ("/" in host[1:] and not host.startswith("/")):
        raise unfit(server, f"Key 'host' is '{host}'.", "Write a name or address alone, e.g. 'db.example.com'.", "host")
    if not port.isdecimal():
        raise unfit(server, f"Key 'port' is '{port}'.", "Write a number, e.g. 5432.", "port")
    if "user" in options and "userSecret" in options:
        raise unfit(server, "'user' and 'userSecret' are both given.", "Keep one of the two.")
    is_here = host in HERE or host.startswith("/")
    told = {"host": host, "port": port, "database": server.text("database"), "schema": server.text("schema")}
    told["sslMode"] = options.get("sslMode", "prefer" if is_here else "require")
    place = f"postgresql://{host}:{port}/{server.text('database')}"
    return Server("postgresql", place, "parquet", {**options, **told})
