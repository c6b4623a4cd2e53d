"""One select as text: parsed, refused where it is not repeatable or reads past the lake, and asked what it reads."""

import re
from functools import cache
from pathlib import Path

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import ParseError, TokenError

from lake.errors import ModelError
from sql.header import nearest
from sql.parameters import NAMES, find_parameters

UNREPEATABLE = {
    "now", "get_current_timestamp", "get_current_time", "transaction_timestamp", "today", "nextval", "setseed",
}  # fmt: skip
UNREPEATABLE_NODES = (
    exp.CurrentDate, exp.CurrentTime, exp.CurrentTimestamp, exp.CurrentDatetime, exp.Localtime, exp.Localtimestamp,
    exp.Rand, exp.Uuid,
)  # fmt: skip
OUTSIDE = re.compile(r"read_|.*_scan$|glob$|query(_table)?$|sniff_csv$")  # table functions that read past the lake


@cache
def parse_select(sql: str) -> exp.Query:
    """Gives the tree of one DuckDB select; it is shared, so copy it before changing it.

    Raises ParseError or TokenError where sqlglot cannot read the text, and ValueError when it is not one select.
    """
    statements = [statement for statement in sqlglot.parse(sql, dialect="duckdb") if statement is not None]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ValueError(f"{len(statements)} statements")
    return statements[0]


def read_select(sql: str, path: Path, first_line: int) -> exp.Query:
    """Gives the tree of one select; raises ModelError naming file and line when it is none or not repeatable."""
    tree = _parse(sql, path, first_line)
    _refuse_unrepeatable(tree, path, first_line)
    return tree


def _parse(sql: str, path: Path, first_line: int) -> exp.Query:
    try:
        return parse_select(sql)
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        line = first_line - 1 + int(first.get("line") or 1)
        problem = str(first.get("description") or "not understood").rstrip(".")
        near = f" near {first['highlight']!r}" if first.get("highlight") else ""
        raise ModelError(
            "model-sql-broken", f"The SQL cannot be read: {problem}{near}.", cure="Mend it.", path=path, line=line
        ) from error
    except TokenError as error:
        raise ModelError(
            "model-sql-broken",
            "The SQL cannot be read: a quote or a comment is not closed.",
            cure="Close it.",
            path=path,
            line=first_line,
        ) from error
    except ValueError as error:
        raise ModelError(
            "model-not-select",
            "A model is one select.",
            cure="Leave only the select: no create, no second statement.",
            path=path,
            line=first_line - 1 + _second_statement(sql),
        ) from error


def _second_statement(sql: str) -> int:
    tokens = sqlglot.tokenize(sql, read="duckdb")
    ends = [index for index, token in enumerate(tokens[:-1]) if token.token_type == TokenType.SEMICOLON]
    return tokens[ends[0] + 1].line if ends else 1


def inputs_of(tree: exp.Query, path: Path, first_line: int) -> frozenset[str]:
    """Gives the tables a select reads, in lower case; raises ModelError when one does not say its schema."""
    named = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    inputs = set()
    for node in tree.find_all(exp.Table):
        name, line = table_name(node), first_line - 1 + line_in(node)
        if not isinstance(node.this, exp.Identifier):
            _refuse_outside(node, path, line)
        elif node.args.get("catalog") is not None or (not node.db and name not in named):
            raise ModelError(
                "model-table-unqualified",
                f"Table {node.sql(dialect='duckdb', comments=False)!r} does not say its schema.",
                cure="Write schema.table, such as raw.sales or staging.stg_sales.",
                path=path,
                line=line,
            )
        elif node.db:
            inputs.add(name)
    return frozenset(inputs)


def _refuse_outside(node: exp.Table, path: Path, line: int) -> None:
    function = node.this.sql(dialect="duckdb").partition("(")[0].lower()
    if OUTSIDE.match(function):
        raise ModelError(
            "model-reads-outside",
            f"{function} reads what the lake does not version.",
            cure="Land it by a contract, or put it into reference/ as CSV.",
            path=path,
            line=line,
        )


def _refuse_unrepeatable(tree: exp.Query, path: Path, first_line: int) -> None:
    for node in tree.walk():
        if isinstance(node, UNREPEATABLE_NODES) or (
            isinstance(node, exp.Anonymous) and node.name.lower() in UNREPEATABLE
        ):
            raise ModelError(
                "model-not-repeatable",
                f"{node.sql(dialect='duckdb')} gives another answer at every run.",
                cure="Use getvariable('run_started_at'), the run's instant.",
                path=path,
                line=first_line,
            )


def parameters_of(sql: str, path: Path, first_line: int) -> frozenset[str]:
    """Gives the run parameters a text reads; raises ModelError for an unknown one."""
    uses = find_parameters(sql)
    for use in uses:
        if use.name not in NAMES:
            raise ModelError(
                "model-parameter-unknown",
                f"There is no run parameter {use.name!r}.",
                cure=nearest(use.name, NAMES),
                path=path,
                line=first_line - 1 + use.line,
            )
    return frozenset(use.name for use in uses)


def table_name(node: exp.Table) -> str:
    """Gives `schema.table`, or the bare name of what has no schema, in lower case."""
    return f"{node.db}.{node.name}".lower() if node.db else node.name.lower()


def line_in(node: exp.Table) -> int:
    """Gives the line of the text a table stands on."""
    return int(node.this.meta.get("line", 1))
