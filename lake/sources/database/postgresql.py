"""PostgreSQL: one snapshot, settings that change no text, and every type as something that loses nothing."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from lake.engine import literal, quote
from lake.errors import SourceError
from lake.secrets import Secrets
from lake.sources.database.client import Client, open_postgresql
from lake.sources.database.declaring import declare_table
from lake.sources.database.dialect import Bounds, Table, TableColumn, missing_table, query_relation
from lake.sources.database.endpoint import Endpoint

CONNECT_SECONDS = 10
ALIVE: Mapping[str, str] = {  # a peer that is gone without a word is noticed within half a minute
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}
SETTINGS: Mapping[str, str] = {  # what a server, database or role may have set so that values are written otherwise
    "client_encoding": "UTF8",  # else text comes in the encoding of the database
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "synchronize_seqscans": "off",  # else a scan begins anywhere, and the same table is another answer
    "max_parallel_workers_per_gather": "0",
    "idle_in_transaction_session_timeout": "0",
}
MILLIS = 1000
# What ADBC brings over exactly, by the name of the type in PostgreSQL; a numeric comes as its digits. Dates and
# moments do not: `infinity` comes as a moment that is none.
EXACT = frozenset({"int2", "int4", "int8", "float4", "float8", "bool", "text", "varchar", "numeric"})
CASTS: Mapping[str, str] = {"money": "numeric"}  # its text goes by the server's locale
MOMENTS = ("timestamptz", "timestamp", "date")
NUMBERS = ("int2", "int4", "int8", "numeric")
# `found` is what came first: the names of columns with the oids of their types, which may be domains of others.
RESOLVED = """
with recursive found (place, name, required, type_id) as ({found}),

resolved as (
    select place, name, required, type_id from found
    union all
    select place, name, required, typbasetype  -- a domain's `not null` says nothing of an outer join
    from resolved inner join pg_catalog.pg_type as types on types.oid = type_id
    where typtype = 'd'
)

select name::text, required, typname::text, typcategory::text = 'A' or typtype::text = 'c'
from resolved inner join pg_catalog.pg_type as types on types.oid = type_id
where typtype <> 'd'
order by place
"""
OF_TABLE = """
select attnum::int, attname::text, attnotnull, atttypid
from pg_catalog.pg_attribute where attrelid = {table} and attnum > 0 and not attisdropped
"""


class PostgreSQL:
    """The dialect."""

    def open(self, endpoint: Endpoint, project: Path, secrets: Secrets) -> Client:  # noqa: ARG002  # the protocol's
        """Gives a connection whose snapshot begins with the first thing that is asked of it."""
        client = open_postgresql(connection_string(endpoint, secrets), endpoint.place)
        try:
            pin(client, endpoint)
        except BaseException:
            client.close()
            raise
        return client

    def describe(self, client: Client, endpoint: Endpoint) -> Table:
        """Gives the table, view or query that is meant, with how each column is selected."""
        if endpoint.query is not None:
            relation = query_relation(endpoint)
            return Table(relation, _columns(client, _of_query(client, relation)))
        relation = f"{quote(endpoint.options['schema'])}.{quote(str(endpoint.table))}"
        return Table(relation, _columns(client, OF_TABLE.format(table=find_table(client, endpoint, relation))))

    def declared(self, client: Client, endpoint: Endpoint) -> str:
        """Gives the table as the catalogue has it."""
        relation = f"{quote(endpoint.options['schema'])}.{quote(str(endpoint.table))}"
        return declare_table(client, relation, find_table(client, endpoint, relation))

    def mark(self, column: TableColumn, endpoint: Endpoint) -> str:
        """Gives the column itself, so that an index on it serves; raises SourceError when it cannot be compared."""
        fitting = NUMBERS if endpoint.counts else MOMENTS
        if column.kind not in fitting:
            raise SourceError(
                "database-watermark-unfit",
                f"The watermark '{column.name}' is a {column.kind} in {endpoint.origin}.",
                cure=f"Take a column of type {', '.join(fitting)}, or let a 'query' cast it.",
            )
        return quote(column.name)

    def written(self, bound: str, column: TableColumn, endpoint: Endpoint) -> str:  # noqa: ARG002  # the protocol's
        """Gives a bound in the column's own type."""
        return f"cast({literal(bound)} as {column.kind})"

    def bounds(
        self, client: Client, table: Table, column: TableColumn, endpoint: Endpoint, since: str | None
    ) -> Bounds:
        """Gives the bounds by the greatest watermark of the snapshot; no clock has a say in them."""
        mark = self.mark(column, endpoint)
        low = "null" if since is None else self.written(since, column, endpoint)
        low = f"{low} - {endpoint.overlap}" if since is not None and endpoint.counts and endpoint.overlap else low
        back = str(endpoint.overlap) if endpoint.counts else f"interval {literal(endpoint.lateness or '0 days')}"
        kind = column.kind
        ((lower, boundary, upper),) = client.rows(
            f"""
            select lower::text, greatest((upper - {back})::{kind}, lower)::text, upper::text
            from (
                select ({low})::{kind} as lower, (select max({mark}) from {table.relation}) as upper
            ) as found
            """
        )
        return Bounds(lower, boundary, upper)

    def stream(self, client: Client, query: str, endpoint: Endpoint) -> Iterator[pa.RecordBatch]:
        """Gives the rows as they come, in batches of about as many bytes as the contract says."""
        return client.stream(query, {"adbc.postgresql.batch_size_hint_bytes": str(endpoint.fetch_bytes)})


def connection_string(endpoint: Endpoint, secrets: Secrets) -> str:
    """Gives what libpq connects by; raises SettingsError when a secret that the contract names is not set."""
    options = endpoint.options
    told = {"host": options["host"], "port": options["port"], "dbname": options["database"]}
    if "userSecret" in options or "user" in options:
        told["user"] = _reveal(secrets, options["userSecret"]) if "userSecret" in options else options["user"]
    if "passwordSecret" in options:
        told["password"] = _reveal(secrets, options["passwordSecret"])
    told |= {"sslmode": options["sslMode"], "connect_timeout": str(CONNECT_SECONDS), "application_name": "sluice"}
    told |= {"sslrootcert": options["sslRootCertificate"]} if "sslRootCertificate" in options else {}
    return " ".join(f"{name}='{_escaped(value)}'" for name, value in {**told, **ALIVE}.items())


def pin(client: Client, endpoint: Endpoint) -> None:
    """Makes the transaction one snapshot in which nothing can be written, and sets what values are written by."""
    client.execute("set transaction isolation level repeatable read, read only")
    millis = int(endpoint.options.get("statementTimeout", "0")) * MILLIS
    settings = {**SETTINGS, "statement_timeout": str(millis)}
    pinned = ", ".join(f"set_config({literal(name)}, {literal(value)}, true)" for name, value in settings.items())
    client.rows(f"select {pinned}")


def find_table(client: Client, endpoint: Endpoint, relation: str) -> int:
    """Gives the number of a table in the catalogue; raises SourceError when there is none."""
    ((number,),) = client.rows(f"select to_regclass({literal(relation)})::oid::bigint")
    if number is None:
        schema = literal(quote(endpoint.options["schema"]))
        listed = "select relname::text from pg_catalog.pg_class where relkind in ('r', 'v', 'm', 'p', 'f')"
        rows = client.rows(f"{listed} and relnamespace = to_regnamespace({schema}) order by 1")
        raise missing_table(endpoint, [row[0] for row in rows])
    return int(number)


def _reveal(secrets: Secrets, name: str) -> str:
    """Gives a secret without the line feed that files of secrets end in."""
    return secrets.guard(secrets.reveal(name).strip())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _columns(client: Client, found: str) -> tuple[TableColumn, ...]:
    rows = client.rows(RESOLVED.format(found=found))
    return tuple(
        TableColumn(name, kind, _selected(quote(name), kind, is_nested=is_nested), is_required=required)
        for name, required, kind, is_nested in rows
    )


def _of_query(client: Client, relation: str) -> str:
    """Gives the columns of a query; nothing of it is carried out for that."""
    names = client.names(f"select * from {relation} limit 0")
    asked = ", ".join(f"pg_typeof({quote(name)})::oid::bigint" for name in names)
    ((*numbers,),) = client.rows(f"select {asked} from (select 1) as one left join {relation} on false")
    listed = ", ".join(
        f"({place}, {literal(name)}, false, {number}::oid)"
        for place, (name, number) in enumerate(zip(names, numbers, strict=True))
    )
    return f"values {listed}"


def _selected(name: str, kind: str, *, is_nested: bool) -> str:
    """Gives a column as ADBC can bring it over: as it is, as JSON, or as the text that PostgreSQL writes."""
    if is_nested:
        return f"to_json({name})::text"
    return name if kind in EXACT else f"({name})::{CASTS.get(kind, 'text')}"
