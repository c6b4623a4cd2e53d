"""A server of type `postgresql`: a table or a query of a PostgreSQL database."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from lake.contract import CAPTURE, Server
from lake.errors import ContractError
from lake.odcs.document import Part, check_keys
from lake.odcs.properties import custom_properties
from lake.odcs.servers.address import without_password
from lake.odcs.servers.database import CHOICES as READING_CHOICES
from lake.odcs.servers.database import READING_KINDS, SECRET, read_database, unfit
from lake.odcs.servers.properties import Kind

POSTGRESQL_KEYS = (
    *("server", "type", "host", "port", "database", "schema"),
    *("id", "description", "environment", "roles", "customProperties"),
)
USUAL_PORT, USUAL_SCHEMA = 5432, "public"
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
HERE = ("localhost", "127.0.0.1", "::1")  # and every path of a socket: where nothing travels
CHOICES: Mapping[str, tuple[str, ...]] = {
    **READING_CHOICES,
    "mode": (*READING_CHOICES["mode"], CAPTURE),
    "sslMode": SSL_MODES,
}
# Of the properties of reading, those that have a meaning where changes are read.
CAPTURE_OPTIONS = ("mode", "table", "bytesPerBatch")
ONLY_CAPTURE = ("publication", "mostBehind")
POSTGRESQL_KINDS: Mapping[str, Kind] = {
    **READING_KINDS,
    "mode": Kind(f"Write {' or '.join(CHOICES['mode'])}."),
    "publication": Kind("Write the name of a publication.", re.compile(r".{1,63}")),
    "mostBehind": Kind("Write a whole number of bytes from 1 on.", re.compile(r"[1-9][0-9]*")),
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
        raise unfit(
            server,
            f"Key 'host' is '{without_password(host)}'.",
            "Write a name or address alone, e.g. 'db.example.com'.",
            "host",
        )
    if not port.isdecimal():
        raise unfit(server, f"Key 'port' is '{port}'.", "Write a number, e.g. 5432.", "port")
    _check_capture(server, options)
    if "user" in options and "userSecret" in options:
        raise unfit(server, "'user' and 'userSecret' are both given.", "Keep one of the two.")
    told = {"host": host, "port": port, "database": server.text("database"), "schema": server.text("schema")}
    return _server({**options, **told})


def read_address(target: str) -> Server:
    """Reads `postgresql://user@host:5432/database/schema.table?passwordSecret=NAME`, as a draft is asked for by.

    What follows the question mark are custom properties. Raises ContractError for a password, and for what cannot be.
    """
    url = urlsplit(target)
    database, _, name = unquote(url.path.strip("/")).partition("/")
    schema, dot, table = name.rpartition(".")
    given = dict(parse_qsl(url.query))
    wrong = [key for key in given if key not in POSTGRESQL_KINDS]
    if url.password or not url.hostname or not database or not table or wrong:
        fault = "holds a password" if url.password else f"has the unknown '{wrong[0]}'" if wrong else "names no table"
        told = without_password(target)
        cure = "Write 'postgresql://user@host:5432/database/schema.table?passwordSecret=NAME', the name of the secret."
        raise ContractError("option-unfit", f"'{told}' {fault}.", cure=cure)
    place = {"host": url.hostname, "port": str(url.port or USUAL_PORT), "database": database, "table": table}
    user = {"user": unquote(url.username)} if url.username else {}
    return _server({**given, **user, **place, "schema": schema if dot else USUAL_SCHEMA})


def _server(options: Mapping[str, str]) -> Server:
    """Gives the server of complete options; over a network a connection is encrypted unless they say otherwise."""
    host = options["host"]
    usual = "prefer" if host in HERE or host.startswith("/") else "require"
    place = f"postgresql://{host}:{options['port']}/{options['database']}"
    form = "jsonl" if options.get("mode") == CAPTURE else "parquet"
    return Server("postgresql", place, form, {"sslMode": usual, **options})


def _check_capture(server: Part, options: Mapping[str, str]) -> None:
    """Raises ContractError for what has no meaning where changes are read, or where they are not."""
    is_capture = options.get("mode") == CAPTURE
    idle = set(READING_KINDS) - set(CAPTURE_OPTIONS) if is_capture else set(ONLY_CAPTURE)
    for name in sorted(idle & set(options)):
        place = custom_properties(server, (name,))[name]
        message = f"Custom property '{name}' means nothing where 'mode' is {'' if is_capture else 'not '}'{CAPTURE}'."
        raise unfit(place, message, "Remove it.")
