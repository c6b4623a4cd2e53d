"""SQLite: a file whose values have types of their own, so that every column is read as the text that is exact."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote as quote_url

import pyarrow as pa
import pyarrow.compute as pc

from lake.engine import literal, quote
from lake.errors import SourceError
from lake.secrets import Secrets
from lake.sources.database.client import Client, open_sqlite
from lake.sources.database.dialect import Bounds, Table, TableColumn, missing_table, query_relation
from lake.sources.database.endpoint import Endpoint

BATCH_ROWS = 16_384
MOMENT = "%Y-%m-%d %H:%M:%f"  # what moments are compared as: UTC, to the millisecond, whatever way they are written in
DAYS_A_WEEK = 7
# The driver takes the type of a column from its first rows, and null is of none: so every value is a text that is never
# null, behind a mark that is taken off again. As text a real has 15 digits, unless those are another number; a
# blob is written as PostgreSQL writes bytes.
EXACT = """case typeof({0})
    when 'null' then ''
    when 'real' then '=' || case
        when cast(cast({0} as text) as real) = {0} then cast({0} as text) else printf('%!.17g', {0}) end
    when 'blob' then '=\\x' || lower(hex({0}))
    else '=' || cast({0} as text) end"""


class SQLite:
    """The dialect."""

    def open(self, endpoint: Endpoint, project: Path, secrets: Secrets) -> Client:  # noqa: ARG002  # the protocol's
        """Gives a connection that reads one state of the file; raises SourceError when there is no such file."""
        path = project / endpoint.place
        if not path.is_file():
            raise SourceError(
                "source-missing",
                f"The contract names {endpoint.place!r}, and there is no such file.",
                cure="Mend `servers[].path` in the contract.",
            )
        client = open_sqlite(_address(path), endpoint.place)
        client.rows("select count(*) from sqlite_schema")  # a transaction begins with what is read first
        return client

    def describe(self, client: Client, endpoint: Endpoint) -> Table:
        """Gives the table, view or query that is meant."""
        if endpoint.query is not None:
            relation = query_relation(endpoint)
            names = client.names(f"select * from {relation} limit 0")
            return Table(relation, tuple(TableColumn(name, "", EXACT.format(quote(name))) for name in names))
        rows = client.rows(
            f'select name, type, "notnull" from pragma_table_xinfo({literal(str(endpoint.table))}) where hidden <> 1'
        )
        if not rows:
            listed = client.rows("select name from sqlite_schema where type in ('table', 'view')")
            raise missing_table(endpoint, [row[0] for row in listed])
        columns = [
            TableColumn(name, kind, EXACT.format(quote(name)), is_required=bool(required))
            for name, kind, required in rows
        ]
        return Table(quote(str(endpoint.table)), tuple(columns))

    def declared(self, client: Client, endpoint: Endpoint) -> str:
        """Gives what the table was created with."""
        found = client.rows(f"select sql from sqlite_schema where name = {literal(str(endpoint.table))}")
        if not found:
            self.describe(client, endpoint)
        return f"{found[0][0]};"

    def mark(self, column: TableColumn, endpoint: Endpoint) -> str:
        """Gives the column, for a moment as text that orders as moments do."""
        return quote(column.name) if endpoint.counts else f"strftime('{MOMENT}', {quote(column.name)})"

    def written(self, bound: str, column: TableColumn, endpoint: Endpoint) -> str:  # noqa: ARG002  # the protocol's
        """Gives a bound as `mark` gives the column."""
        return str(int(bound)) if endpoint.counts else f"strftime('{MOMENT}', {literal(bound)})"

    def bounds(
        self, client: Client, table: Table, column: TableColumn, endpoint: Endpoint, since: str | None
    ) -> Bounds:
        """Gives the bounds by the greatest watermark there is."""
        ((upper,),) = client.rows(f"select max({self.mark(column, endpoint)}) from {table.relation}")
        low = "null" if since is None else self.written(since, column, endpoint)
        low = f"{low} - {endpoint.overlap}" if since is not None and endpoint.counts else low
        top = "null" if upper is None else self.written(str(upper), column, endpoint)
        back = f"{top} - {endpoint.overlap}"
        if not endpoint.counts:
            back = f"strftime('{MOMENT}', {top}, {literal(_modifier(endpoint.lateness or '0 days'))})"
        ((lower, boundary),) = client.rows(
            f"select cast({low} as text), cast(max({back}, coalesce({low}, {back})) as text)"
        )
        return Bounds(lower, boundary, None if upper is None else str(upper))

    def stream(self, client: Client, query: str, endpoint: Endpoint) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """Gives the rows as they come, every column as text."""
        for batch in client.stream(query, {"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)}):
            yield pa.record_batch([_text(column) for column in batch.columns], names=batch.schema.names)


def _address(path: Path) -> str:
    """Gives a file as an address under which nothing is written."""
    return f"file:{quote_url(str(path))}?mode=ro"


def _text(column: pa.Array) -> pa.Array:
    """Takes the mark off the values of a column, and gives null where there is none."""
    marked = column.cast(pa.string())  # of a table without rows the driver says that it holds numbers
    try:
        marked.validate(full=True)
    except pa.ArrowInvalid:  # SQLite takes any bytes for text
        marked = pa.array(map(_told, marked.cast(pa.binary()).to_pylist()), pa.string())
    return pc.if_else(pc.equal(marked, ""), None, pc.utf8_slice_codeunits(marked, 1))


def _told(value: bytes) -> str:
    """Gives a marked text; one that is not UTF-8 as a blob is told."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "=\\x" + value.removeprefix(b"=").hex()


def _modifier(lateness: str) -> str:
    """Gives a span as SQLite takes it from a moment: it knows no weeks."""
    number, unit = lateness.split()
    return f"-{int(number) * DAYS_A_WEEK} days" if unit.startswith("week") else f"-{number} {unit}"
