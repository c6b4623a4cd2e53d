"""Failing rows as a person may see them: a few, in JSON, with restricted values masked."""

import math
import re
from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from lake.engine import Session

MASK = "***"
QUOTED = re.compile(r"'[^']*'")
NAMES_ONLY = ("Binder Error", "Catalog Error", "Parser Error")  # these quote the check's words, never the data's
LONGEST_VALUE = 200  # characters; a sample is there to be looked at


class Masks:
    """Which columns of which tables may be shown."""

    def __init__(self, session: Session, masked_columns: Mapping[str, Set[str]]) -> None:
        """Takes restricted columns by qualified table name; looks up what other columns the session has."""
        self._by_table = {table: {name.lower() for name in names} for table, names in masked_columns.items()}
        self._restricted = set().union(*self._by_table.values())
        self._open = self._open_columns(session) if self._restricted else set()

    def _open_columns(self, session: Session) -> set[str]:
        rows = session.rows("select distinct lower(column_name) from duckdb_columns() where not internal")
        return {name for (name,) in rows} - self._restricted

    def rows(
        self, table: str | None, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> tuple[Mapping[str, object], ...]:
        """Gives rows as JSON-safe mappings.

        Takes: the table the rows were selected from, or None when a query of the author's own made them: it may rename
        or reshape restricted values, so then only columns known to be open are shown.
        """
        hidden = {name for name in columns if self._is_hidden(table, name.lower())}
        return tuple(
            {name: MASK if name in hidden else _json_safe(value) for name, value in zip(columns, row, strict=True)}
            for row in rows
        )

    def _is_hidden(self, table: str | None, column: str) -> bool:
        if table is None:
            return bool(self._restricted) and column not in self._open
        return column in self._by_table.get(table, ())

    def error(self, error: BaseException | str) -> str:
        """Gives an error's first line; where there are restricted columns, without the values it quotes."""
        first = str(error).strip().partition("\n")[0]
        if self._restricted and not first.startswith(NAMES_ONLY):
            return QUOTED.sub(f"'{MASK}'", first)
        return first


def _json_safe(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal | timedelta):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value[: LONGEST_VALUE // 2].hex()
    if isinstance(value, Mapping):
        return {str(name): _json_safe(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json_safe(inner) for inner in value]
    return str(value)[:LONGEST_VALUE]
