"""What one pass over a table reads: ranges of rows, each asked for by itself.

A pass that reads what is new begins at the watermark of raw less the lateness, with rows that the pass before has read
already: others may have come late among them. So as to see when none have, that *overlap* is a range of its own: the
same rows in the same order at the end of one pass and at the beginning of the next.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lake.contract import Contract
from lake.engine import quote
from lake.errors import SourceError
from lake.odcs.deletions import DELETED_AT, notices_deletes
from lake.sources.database.client import Client
from lake.sources.database.dialect import Dialect, Table, TableColumn, missing_column
from lake.sources.database.endpoint import Endpoint

WHOLE, UNMARKED = "", "null"  # the labels of ranges that have no lower bound: all rows, and those without watermark
NO_DELETION = f"cast(null as text) as {quote(DELETED_AT)}"


@dataclass(frozen=True)
class Range:
    """Rows that a select gives in an order that is the same each time; `label` says where they begin."""

    label: str
    query: str


def find_ranges(
    client: Client, dialect: Dialect, table: Table, endpoint: Endpoint, contract: Contract, since: str | None
) -> tuple[Range, ...]:
    """Gives the ranges of a pass, those with the greatest watermarks last.

    Raises SourceError when the table has no column that the watermark could be.
    """
    selected = _selected(table, endpoint, contract)
    if endpoint.mark is None:
        return (Range(WHOLE, f"select {selected} from {table.relation}"),)
    column = table.find(endpoint.mark.source_name)
    if column is None:
        raise missing_column(endpoint, endpoint.mark.source_name, table)
    key = [found for name in contract.key if (found := table.find(contract.column(name).source_name)) is not None]
    mark = dialect.mark(column, endpoint)
    order = ", ".join([mark, *(quote(found.name) for found in key if found is not column)])
    # Two rows may have one watermark, and one of them may come later; numbers that are the key have no such twins.
    is_alone = endpoint.counts and contract.key == (endpoint.mark.name,)
    wheres = _bounded(client, dialect, table, column, endpoint, since, is_alone=is_alone)
    return tuple(
        Range(label, f"select {selected} from {table.relation} where {where} order by {order}")
        for label, where in wheres.items()
    )


def _bounded(
    client: Client,
    dialect: Dialect,
    table: Table,
    column: TableColumn,
    endpoint: Endpoint,
    since: str | None,
    *,
    is_alone: bool,
) -> dict[str, str]:
    """Gives the conditions of the ranges by their labels."""
    mark = dialect.mark(column, endpoint)
    unmarked = {} if column.is_required else {UNMARKED: f"{mark} is null"}
    begin = since if since is not None else endpoint.start_at
    bounds = dialect.bounds(client, table, column, endpoint, begin)
    if bounds.upper is None or bounds.boundary is None:
        return unmarked
    boundary = dialect.written(bounds.boundary, column, endpoint)
    upper = dialect.written(bounds.upper, column, endpoint)
    above, upto = (">", "<=") if is_alone else (">=", "<")
    has_overlap = not is_alone or bounds.boundary != bounds.upper
    found = {bounds.boundary: f"{mark} {above} {boundary} and {mark} <= {upper}"} if has_overlap else {}
    if bounds.lower != bounds.boundary:
        low = "true"
        if bounds.lower is not None:
            first = above if since is not None else ">="  # what the contract says to begin with is read, too
            low = f"{mark} {first} {dialect.written(bounds.lower, column, endpoint)}"
        found = {bounds.lower or WHOLE: f"{low} and {mark} {upto} {boundary}", **found}
    return {**unmarked, **found}


def _selected(table: Table, endpoint: Endpoint, contract: Contract) -> str:
    """Gives the columns to read: all there are, so that new ones are noticed, or those that the contract names."""
    chosen, notices = table.columns, notices_deletes(contract)
    if notices and endpoint.reads_all_columns and table.find(DELETED_AT) is not None:
        raise SourceError(
            "table-unfit",
            f"{endpoint.origin} has the column '{DELETED_AT}', as Sluice adds one to tell deleted rows.",
            cure="Write 'columns: contract', rename it there, or give it another name in a 'query'.",
        )
    if not endpoint.reads_all_columns:
        ours = {DELETED_AT} if notices else set()
        named = [table.find(column.source_name) for column in contract.columns if column.name not in ours]
        chosen = tuple(column for column in named if column is not None)
    return ", ".join((*_named(chosen), *([NO_DELETION] if notices else [])))


def select_keys(table: Table, endpoint: Endpoint, contract: Contract) -> str:
    """Gives the select of every key there is; raises SourceError when the table lacks a column of it."""
    names = [contract.column(name).source_name for name in contract.key]
    found = {name: table.find(name) for name in names}
    missing = next((name for name, column in found.items() if column is None), None)
    if missing is not None:
        raise missing_column(endpoint, missing, table)
    return f"select {', '.join(_named([column for column in found.values() if column]))} from {table.relation}"


def _named(columns: Iterable[TableColumn]) -> Iterator[str]:
    return (f"{column.select} as {quote(column.name)}" for column in columns)
