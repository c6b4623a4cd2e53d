"""Query results on the way out: a table on a terminal, tab-separated text in a pipe, JSON or CSV where asked.

In JSON a decimal is a number with all its digits (`1234.50`), as DuckDB and PostgreSQL write it: read it with
`json.loads(text, parse_float=Decimal)` and not a paisa is lost. An instant is ISO 8601 in UTC, a date
`2026-11-21`; what JSON cannot say (NaN, infinity) is null. An empty result is `[]`.
"""

import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Literal

import click

from lake.engine import Session, literal, quote
from lake.errors import ModelError

Form = Literal["table", "json", "csv"]

ROWS_ON_A_TERMINAL = 200
STRANGER = re.compile(r'Did you mean "(pg_|duckdb_|sqlite_|pragma_|information_schema)')  # DuckDB's own tables
INSTANT = "%Y-%m-%dT%H:%M:%S.%f"
OPTIONS = {
    "json": "format json, array true",
    "csv": "format csv, header true",
    "table": "format csv, header true, delimiter '\t'",
}


def print_query(session: Session, query: str, form: Form) -> None:
    """Prints all rows of a query on standard output; raises ModelError when it is not one readable select.

    A table on a terminal stops after 200 rows and says so.
    """
    text = query.strip().rstrip(";").strip()
    if not text:
        raise ModelError("query-refused", "The query is empty.", cure='Write one select, e.g. "show all tables".')
    columns = _columns(session, text)
    if form == "table" and sys.stdout.isatty():
        _print_table(session, text)
    else:
        _print_file(session, _portable(text, columns) if form == "json" else text, form)


def print_rows(rows: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    """Prints a few rows that are at hand: a table on a terminal, tab-separated in a pipe, or JSON."""
    if as_json:
        click.echo(json.dumps(list(rows), ensure_ascii=False, indent=2))
        return
    names = list(rows[0]) if rows else []
    texts = [["" if row[name] is None else str(row[name]) for name in names] for row in rows]
    if not sys.stdout.isatty():
        for line in [names, *texts] if names else ():
            click.echo("\t".join(" ".join(text.split()) for text in line))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in names:
        table.add_column(Text(name))
    for line in texts:
        table.add_row(*(Text(text) for text in line))
    Console().print(table)


def _columns(session: Session, query: str) -> list[tuple[str, str]]:
    try:
        return [(name, sql_type) for name, sql_type, *_ in session.rows(f"describe (\n{query}\n)")]
    except session.failure as error:
        raise _refused(error) from error


def _portable(query: str, columns: list[tuple[str, str]]) -> str:
    values = ", ".join(f"{_portable_value(quote(name), sql_type)} as {quote(name)}" for name, sql_type in columns)
    return f"select {values} from (\n{query}\n)"


def _portable_value(column: str, sql_type: str) -> str:
    if sql_type == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({column}, '{INSTANT}Z')"
    if sql_type.startswith("TIMESTAMP"):
        return f"strftime({column}, '{INSTANT}')"
    return f"case when isfinite({column}) then {column} end" if sql_type in ("DOUBLE", "FLOAT") else column


def _print_file(session: Session, query: str, form: Form) -> None:
    target = session.scratch / "result"
    try:
        count = session.value(f"copy (from (\n{query}\n)) to {literal(str(target))} ({OPTIONS[form]})")
    except session.failure as error:
        raise _refused(error) from error
    if form == "json" and count == 0:
        click.echo("[]")
        return
    with target.open("rb") as result:
        sys.stdout.flush()
        shutil.copyfileobj(result, sys.stdout.buffer)


def _print_table(session: Session, query: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    try:
        found = session.rows(f"from (\n{query}\n) limit {ROWS_ON_A_TERMINAL + 1}")
    except session.failure as error:
        raise _refused(error) from error
    table = Table()
    for name, sql_type in _columns(session, query):
        table.add_column(Text(name), justify="right" if _is_number(sql_type) else "left", no_wrap=_is_whole(sql_type))
    for row in found[:ROWS_ON_A_TERMINAL]:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    Console().print(table)
    if len(found) > ROWS_ON_A_TERMINAL:
        click.echo(f"The first {ROWS_ON_A_TERMINAL} rows; --json and --csv print all.", err=True)


def _is_whole(sql_type: str) -> bool:
    """Whether values of a type are read wrongly when broken over two lines."""
    return _is_number(sql_type) or sql_type == "DATE"


def _is_number(sql_type: str) -> bool:
    return sql_type.startswith(("DECIMAL", "DOUBLE", "FLOAT", "HUGEINT")) or sql_type.endswith(("INT", "INTEGER"))


def _refused(error: Exception) -> ModelError:
    said, *hints = [line.strip() for line in str(error).split("LINE ", 1)[0].splitlines() if line.strip()]
    hints = [hint for hint in hints if not STRANGER.match(hint)]
    cure = " ".join([*hints, '`sluice sql "show all tables"` lists what there is; a query is one select.'])
    return ModelError("query-refused", f"DuckDB refused the query: {said.rstrip('.!')}.", cure=cure)
