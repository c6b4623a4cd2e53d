"""The data of a page: each query runs once, whatever is drawn from it, and knows what it leaves out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lake.engine import Session
from lake.errors import ModelError
from reports.context import PageContext
from reports.formats import infer_format, label

MOST_ROWS = 1_000  # of one query on a page, unless the page asks for more


class Reader(Protocol):
    """What pages read through: a session opened on a release."""

    def arrow(self, sql: str) -> pa.Table:
        """Gives the rows of a select."""
        ...


@dataclass(frozen=True)
class Column:
    """A column as people see it: `format` is a code of reports/formats.py."""

    name: str
    label: str
    format: str


@dataclass(frozen=True)
class Result:
    """What a query gave: at most so many rows as asked, and how many there are in all.

    `tables` names the tables it reads, `withheld` those of them, and upstream of them, whose gate failed; then there
    are neither columns nor rows.
    """

    id: str
    sql: str
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    row_count: int = 0
    tables: frozenset[str] = frozenset()
    withheld: tuple[str, ...] = ()
    positions: dict[str, int] = field(default_factory=dict)

    @property
    def left_out(self) -> int:
        """Gives how many rows there are beyond those here."""
        return self.row_count - len(self.rows)

    def column(self, name: str) -> Column:
        """Gives a column; raises ModelError with the names there are."""
        return self.columns[self.position(name)]

    def position(self, name: str) -> int:
        """Gives where a column stands in a row."""
        if name not in self.positions:
            message = f"The query has no column '{name}'."
            raise ModelError("page-column", message, cure=f"It has: {', '.join(self.positions)}.")
        return self.positions[name]

    def values(self, name: str) -> list[Any]:
        """Gives one column."""
        place = self.position(name)
        return [row[place] for row in self.rows]

    def first(self, name: str) -> Any:
        """Gives a value of the first row, None when there is no row."""
        place = self.position(name)
        return self.rows[0][place] if self.rows else None


class QueryDesk:
    """Runs a page's queries, each once, and withholds what reads a table whose gate failed."""

    def __init__(self, reader: Reader, context: PageContext) -> None:
        """Takes the reader of the release and what the page is told."""
        self._reader = reader
        self._context = context
        self._results: dict[tuple[str, int], Result] = {}

    @property
    def tables(self) -> frozenset[str]:
        """Gives every table read so far, those of withheld figures included."""
        return frozenset(name for result in self._results.values() for name in result.tables)

    def query(self, sql: str, limit: int = MOST_ROWS) -> Result:
        """Gives the first `limit` rows of a select, in the select's own order, and the count of all."""
        key = (sql, limit)
        if key not in self._results:
            self._results[key] = self._run(f"data-{len(self._results) + 1}", sql, limit)
        return self._results[key]

    def totals(self, result: Result, names: Sequence[str]) -> tuple[Any, ...]:
        """Gives the sums of columns over all rows of a query, those left out included."""
        if not names or result.withheld:
            return ()
        sums = ", ".join(f'sum("{result.column(name).name}")' for name in names)
        row = self._read(f"select {sums} from ({result.sql}) as counted")
        return tuple(column[0].as_py() for column in row.columns)

    def _run(self, result_id: str, sql: str, limit: int) -> Result:
        tables = tables_read(sql)
        withheld = self._context.withheld(tables)
        if withheld:
            return Result(result_id, sql, tables=tables, withheld=withheld)
        data = self._read(limited(sql, limit))
        row_count = data.num_rows if data.num_rows < limit else self._count(sql)
        columns = tuple(
            Column(each.name, label(each.name), infer_format(each.name, each.type, self._context.currency))
            for each in data.schema
        )
        positions = {column.name: place for place, column in enumerate(columns)}
        rows = tuple(zip(*(each.to_pylist() for each in data.columns), strict=True))
        return Result(result_id, sql, columns, rows, row_count, tables, positions=positions)

    def _count(self, sql: str) -> int:
        return int(self._read(f"select count(*) as row_count from ({sql}) as counted").column(0)[0].as_py())

    def _read(self, sql: str) -> pa.Table:
        try:
            return self._reader.arrow(sql)
        except Session.failure as error:
            sentence = str(error).strip().splitlines()[0].rstrip("!.")
            raise ModelError(
                "page-query", f"A query of the page failed: {sentence}.", cure="Mend the query."
            ) from error


def tables_read(sql: str) -> frozenset[str]:
    """Gives the `schema.table` names a select reads; raises ModelError when it is no select."""
    tree = _parse(sql)
    return frozenset(f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db)


def limited(sql: str, limit: int) -> str:
    """Gives the select with a row limit that keeps its order; one that has a limit is left alone inside."""
    if _parse(sql).args.get("limit") is not None:
        return f"select * from ({sql}) as limited limit {limit}"
    return f"{sql.rstrip().rstrip(';')}\nlimit {limit}"


@lru_cache(maxsize=512)  # each query is asked for its tables and for its limit
def _parse(sql: str) -> exp.Query:
    try:
        trees = sqlglot.parse(sql, dialect="duckdb")
    except SqlglotError as error:
        sentence = str(error).splitlines()[0]
        raise ModelError("page-query", f"A query of the page is not SQL: {sentence}", cure="Mend the query.") from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise ModelError("page-query", "A query of the page is not one select.", cure="Give query() one select.")
    return trees[0]
