"""Which of two types holds more."""

import re
from collections.abc import Mapping
from typing import Literal

from lake.contract import Column

Order = Literal["type-narrower", "type-wider", "type-other"]
WHOLE_DIGITS: Mapping[str, int] = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}
MEASURED = ("float", "double")
MOMENTS = ("timestamp", "timestamptz")


def compare_types(ours: Column, theirs: Column) -> Order | None:
    """Says how the type of one column relates to another's; None when both hold the same."""
    one, other = ours.sql_type, theirs.sql_type
    if one == other:
        return _by_length(ours, theirs) if one == "varchar" else None
    if "varchar" in (one, other):
        return "type-wider" if one == "varchar" else "type-narrower"
    sizes, other_sizes = _digits(one), _digits(other)
    if sizes is not None and other_sizes is not None:
        return _by_size(sizes, other_sizes)
    if one in MEASURED and other in MEASURED:
        return "type-narrower" if one == "float" else "type-wider"
    if {one, other} <= {"date", *MOMENTS} and "date" in (one, other):
        return "type-narrower" if one == "date" else "type-wider"
    if "json" in (one, other) and (_is_nested(one) or _is_nested(other)):
        return "type-wider" if one == "json" else "type-narrower"
    return "type-other"


def _by_length(ours: Column, theirs: Column) -> Order | None:
    one, other = ours.max_length, theirs.max_length
    if one == other:
        return None
    return "type-wider" if one is None or (other is not None and one > other) else "type-narrower"


def _digits(kind: str) -> tuple[int, int] | None:
    """Gives how many digits stand before and behind the point; None for what is no exact number."""
    if kind in WHOLE_DIGITS:
        return WHOLE_DIGITS[kind], 0
    found = re.fullmatch(r"decimal\((\d+),(\d+)\)", kind)
    return None if found is None else (int(found[1]) - int(found[2]), int(found[2]))


def _by_size(one: tuple[int, int], other: tuple[int, int]) -> Order | None:
    if one == other:
        return None
    if one[0] >= other[0] and one[1] >= other[1]:
        return "type-wider"
    return "type-narrower" if one[0] <= other[0] and one[1] <= other[1] else "type-other"


def _is_nested(kind: str) -> bool:
    return kind.startswith("struct") or kind.endswith("[]")
