"""Narrowing: a plain range on one input column that holds every row of some partitions, so that scans skip the rest.

The partition of a row is often a computation too dear for ten million rows, such as the local month of an instant.
Where it is a chain of truncations, casts and zone shifts of one column, a row of partition *p* has a value between *p*
and the next partition, give or take the shifts. A scan can check that against its statistics without reading the rows.
"""

import re
from collections.abc import Collection
from datetime import date, timedelta

from sqlglot import exp

from lake.engine import quote
from sql.touched import Touched, touched_filter

LENGTHS = {"DAY": 1, "WEEK": 7, "MONTH": 31, "QUARTER": 92, "YEAR": 366}  # days at most
MOST_SHIFTS = 2  # zone shifts in one chain
SHIFT = timedelta(days=2)  # no two zones are more than 26 hours apart, and none is more than 14 from UTC
LONGEST_SHIFT = 26 * 3600 * 1_000_000  # microseconds: no zone is further from another
MICROSECONDS = "6"  # the scale of make_timestamp, as the parser writes it
SHIFTED_TYPES = {"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}
DAY = re.compile(r"(1[89]|2\d)\d\d-\d\d-\d\d")
MANY = 8  # ranges: beyond, one range from the first to the last is cheaper to check


def narrowing_filter(partition: exp.Expr, types: dict[str, str], touched: Touched) -> str | None:
    """Gives a condition that holds for every input row of the touched partitions; None where no cheap one is known.

    Takes the partition as an expression over the input's columns, and the types of these columns.
    """
    if isinstance(partition, exp.Column):
        sql_type = types.get(partition.name, "")
        return touched_filter(partition.name, sql_type, touched) if sql_type in ("DATE", "INTEGER", "BIGINT") else None
    found = _chain(partition) if len(list(partition.find_all(exp.AtTimeZone, exp.Anonymous))) <= MOST_SHIFTS else None
    days = [value for value in touched if value is not None]
    if found is None or types.get(found[0]) not in SHIFTED_TYPES or not all(DAY.fullmatch(day) for day in days):
        return None
    column, length = found
    conditions = [
        f"({quote(column)} >= {_instant(start, types[column])} and {quote(column)} < {_instant(end, types[column])})"
        for start, end in _ranges(days, length)
    ]
    if None in touched:
        conditions.append(f"{quote(column)} is null")
    return " or ".join(conditions)


def _chain(node: exp.Expr) -> tuple[str, timedelta] | None:
    """Gives the column a chain of truncations starts from, and how far below its value the chain can end."""
    if isinstance(node, exp.Column):
        return node.name, timedelta(days=1)
    if isinstance(node, exp.Cast) and not isinstance(node, exp.TryCast):
        kept = node.to.is_type("date", "timestamp", "timestamptz")
        return _chain(node.this) if kept else None
    if isinstance(node, exp.Paren | exp.AtTimeZone):
        return _chain(node.this)
    if isinstance(node, exp.Anonymous) and node.name.lower() == "timezone":
        return _chain(node.expressions[1]) if len(node.expressions) > 1 else None
    if isinstance(node, exp.UnixToTime) and node.text("scale") == MICROSECONDS:
        counted = _unshifted(node.this)
        return None if counted is None else _chain(counted)
    if isinstance(node, exp.TimestampTrunc | exp.DateTrunc):
        inner, unit = _chain(node.this), node.text("unit").upper()
        known = inner is not None and unit in LENGTHS
        return (inner[0], inner[1] + timedelta(days=LENGTHS[unit])) if inner is not None and known else None
    return None


def _unshifted(node: exp.Expr) -> exp.Expr | None:
    """Gives *x* of `epoch_us(x)` with or without a constant shift of less than a zone's: local time without ICU."""
    node = node.unnest()
    if isinstance(node, exp.Add | exp.Sub):
        shift, node = node.right, node.left.unnest()
        if not isinstance(shift, exp.Literal) or not shift.name.isdecimal() or int(shift.name) > LONGEST_SHIFT:
            return None
    is_counted = isinstance(node, exp.Anonymous) and node.name.lower() == "epoch_us" and len(node.expressions) == 1
    return node.expressions[0] if is_counted else None


def _ranges(days: Collection[str], length: timedelta) -> list[tuple[date, date]]:
    """Gives the spans of instants the partitions can reach, joined where they overlap."""
    spans: list[tuple[date, date]] = []
    for start in sorted(date.fromisoformat(day) for day in days):
        end = start + length + SHIFT
        if spans and start - SHIFT <= spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start - SHIFT, end))
    return spans if len(spans) <= MANY else [(spans[0][0], spans[-1][1])]


def _instant(day: date, sql_type: str) -> str:
    zone = " 00:00:00+00" if sql_type == "TIMESTAMP WITH TIME ZONE" else ""
    return f"cast('{day.isoformat()}{zone}' as {sql_type})"
