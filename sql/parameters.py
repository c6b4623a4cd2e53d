"""Run parameters of models: `getvariable('run_started_at')` stands for a literal that the builder writes in its place.

The text is spliced, not generated anew: lines stay where the author wrote them, and DuckDB reads what was written.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import TokenType
from sqlglot.tokenizer_core import Token

from lake.engine import literal
from lake.run import Run

NAMES = ("run_started_at", "run_id")


@dataclass(frozen=True)
class ParameterUse:
    """One `getvariable('name')` in a text: the name, its line in the text, and the characters it takes."""

    name: str
    line: int
    start: int
    end: int


def run_parameters(run: Run) -> dict[str, str]:
    """Gives the SQL literals of a run's parameters by name."""
    instant = f"timestamptz {literal(run.started_at.isoformat(sep=' '))}"
    return {"run_started_at": instant, "run_id": literal(run.id)}


def find_parameters(sql: str) -> tuple[ParameterUse, ...]:
    """Gives every `getvariable('name')` of a text, in its order."""
    tokens = sqlglot.tokenize(sql, read="duckdb")
    starts = [index for index, token in enumerate(tokens) if token.text.lower() == "getvariable"]
    calls = [tokens[index : index + 4] for index in starts]
    return tuple(
        ParameterUse(call[2].text, call[0].line, call[0].start, call[3].end) for call in calls if _is_use(call)
    )


def bind_parameters(sql: str, literals: Mapping[str, str]) -> str:
    """Gives the text with each `getvariable('name')` replaced by the literal of that name."""
    for use in reversed(find_parameters(sql)):
        sql = sql[: use.start] + literals[use.name] + sql[use.end + 1 :]
    return sql


def _is_use(call: list[Token]) -> bool:
    kinds = [token.token_type for token in call[1:]]
    return kinds == [TokenType.L_PAREN, TokenType.STRING, TokenType.R_PAREN]
