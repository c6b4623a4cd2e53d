"""A table as its database declares it, for the draft of its contract and for holding one against it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lake.contract import Server
from lake.schemas.sql_ddl import read_sql_ddl
from lake.schemas.table import OperationalTable
from lake.secrets import Secrets
from lake.sources.database.endpoint import endpoint_of
from lake.sources.database.extract import DIALECTS
from lake.sources.database.faults import telling_no_secret

SPOKEN: Mapping[str, str] = {"postgresql": "postgres", "sqlite": "sqlite"}  # the SQL in which they declare


def look_at_table(server: Server, project: Path, secrets: Secrets) -> OperationalTable:
    """Gives a table of a database; raises SourceError, without any secret in it, when it cannot be looked at."""
    endpoint = endpoint_of(server)
    dialect = DIALECTS[server.kind]
    with telling_no_secret(secrets), dialect.open(endpoint, project, secrets) as client:
        text = dialect.declared(client, endpoint)
    (found,) = read_sql_ddl(Path(endpoint.origin), text, SPOKEN[server.kind])
    return replace(found, name=str(endpoint.table))
