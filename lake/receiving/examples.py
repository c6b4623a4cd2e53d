"""An example of a contract's record: the contract's own examples, else values that are as it promises."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic_core import SchemaValidator, ValidationError

from lake.contract import Column, Contract
from lake.receiving.record_model import row_limits
from lake.receiving.values import BITS, Limit, certain_schema

MOMENT = datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
TEXTS = (
    "A-1001",
    "asha@example.com",
    "5b2f8a1e-9f1b-4c1d-8a70-0d1c2e3f4a5b",
    "https://example.com/a",
    "192.0.2.1",
    "A1001",
    "1001",
    "AB",
    "A",
)
PIECE = re.compile(r"(\[[^\]^]+\]|\\.|[^\\\[\](){}|?*+])(?:\{(\d+)(?:,\d*)?\}|([?*+]))?")  # of a plain pattern
CLASSES = {"d": "1", "w": "a", "s": " ", "D": "A", "S": "A", "W": "-"}
NUMBERS = ("12.50", "1", "0", "0.5", "100", "-1")


def example_record(contract: Contract) -> dict[str, Any]:
    """Gives one record as its provider would write it; rules over the whole row are not looked at."""
    limits = row_limits(contract)
    return {column.source_name: example_value(column, limits.get(column.name, ())) for column in contract.columns}


def example_value(column: Column, limits: tuple[Limit, ...] = ()) -> Any:
    """Gives the first value at hand that is certainly as promised; else the first, or null where that may be."""
    given = [_as_json(column, text) for text in column.examples]
    if given:
        return given[0]
    likely = list(_likely(column))
    certain = SchemaValidator(certain_schema(column, limits))
    sure = [value for value in likely if _is_sure(certain, value)]
    return sure[0] if sure else None if not column.required and column.pattern is not None else likely[0]


def _is_sure(certain: SchemaValidator, value: Any) -> bool:
    try:
        certain.validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True


def _likely(column: Column) -> Iterator[Any]:
    """Gives values of a column's type, those that the contract names first."""
    kind = column.sql_type.lower()
    if kind == "boolean":
        yield True
    elif kind in ("date", "timestamp", "timestamptz"):
        yield _moment(column, kind)
        yield from (bound for bound in (column.minimum, column.maximum) if bound is not None)
    elif kind in BITS or kind == "double" or kind == "float" or kind.startswith("decimal"):
        named = (*column.enum, *NUMBERS, column.minimum, column.maximum)
        yield from (_as_json(column, text) for text in named if text is not None and _fits(kind, text))
    elif kind == "varchar":
        texts = (*column.enum, *_matching(column.pattern or ""), *TEXTS)
        least, most = column.min_length or 0, column.max_length
        yield from (*texts, *(text.ljust(least, "A")[:most] for text in texts))
    else:
        yield [] if kind.endswith("]") else {}


def _matching(pattern: str) -> tuple[str, ...]:
    """Gives the text that a pattern without groups describes first, such as `AAA-0000`; none for others."""
    found = list(PIECE.finditer(pattern))
    if not found or "".join(piece[0] for piece in found) != pattern:
        return ()
    return ("".join(_letter(piece[1]) * (0 if piece[3] in ("?", "*") else int(piece[2] or 1)) for piece in found),)


def _letter(piece: str) -> str:
    if piece.startswith("["):
        return _letter(piece[1:3] if piece[1] == "\\" else piece[1])
    return CLASSES.get(piece[1], piece[1]) if piece.startswith("\\") else piece


def _fits(kind: str, text: str) -> bool:
    return "." not in text or kind not in BITS


def _moment(column: Column, kind: str) -> str:
    if column.formats:
        return MOMENT.strftime(column.formats[0])
    if kind == "date":
        return MOMENT.date().isoformat()
    return MOMENT.isoformat() if kind == "timestamptz" else MOMENT.replace(tzinfo=None).isoformat()


def _as_json(column: Column, text: str) -> Any:
    """Gives a value as JSON writes it: decimals stay texts, which are exact."""
    kind = column.sql_type.lower()
    if (
        kind in BITS
        or kind in ("double", "float", "boolean", "json")
        or kind.startswith("struct")
        or kind.endswith("]")
    ):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
