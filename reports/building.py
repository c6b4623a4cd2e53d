"""From query results to figures: changes, series, shades and compared runs, with exact values and written words."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from reports.data import Column, Result
from reports.figures import Change, ComparedLine, HeatCell, Series
from reports.formats import Formatter, exact, is_numeric
from reports.selection import Rows
from reports.theme import HEAT_STEPS, colour_name

TREND_WIDTH, TREND_HEIGHT = 100, 24  # the box a trend line is drawn in, in its own units
LEAST_SHARE = Decimal("0.001")  # below it a change of one decimal would read as none
HEAT_ENDS = ("high", "low")
CHART_KINDS = ("bar", "across", "stacked", "line", "area")


def change_between(value: Any, before: Any, code: str, since: str, better: str) -> Change | None:
    """Gives how a number moved, as a share (of points, for a percentage); None when either is missing."""
    if value is None or before is None or not is_numeric(code):
        return None
    new, old = exact(value), exact(before)
    difference = new - old
    if difference == 0:
        return Change("=", "even", f"unchanged since {since}")
    words = _movement(difference, old, code)
    mood = "even" if better == "neither" else "good" if (difference > 0) == (better == "more") else "bad"
    return Change("▲" if difference > 0 else "▼", mood, f"{words} on {since}")


def _movement(difference: Decimal, old: Decimal, code: str) -> str:
    if code == "percent":
        return f"{abs(difference) * 100:.1f} points"
    if old == 0:
        return "from nothing"
    share = abs(difference / old)
    return f"{share * 100:,.1f}%" if share >= LEAST_SHARE else "under 0.1%"


def trend_points(values: Sequence[Any]) -> str:
    """Gives the points of a small line through numbers, oldest first; empty for fewer than two."""
    numbers = [float(value) for value in values if value is not None]
    if len(numbers) <= 1:
        return ""
    low, high = min(numbers), max(numbers)
    spread = (high - low) or 1.0
    step = TREND_WIDTH / (len(numbers) - 1)
    heights = [TREND_HEIGHT - 2 - (number - low) / spread * (TREND_HEIGHT - 4) for number in numbers]
    return " ".join(f"{place * step:.1f},{height:.1f}" for place, height in enumerate(heights))


def draw_series(
    rows: Rows,
    result: Result,
    x: Column,
    y: Sequence[Column],
    series: Column | None,
    formatter: Formatter,
    colours: Mapping[str, str],
) -> tuple[tuple[Any, ...], tuple[Series, ...]]:
    """Gives a chart's categories in the order of the rows, and its series over them.

    Every series of the result is there, those without a value in the rows too: a filter changes no series' colour.
    """
    at = result.position(x.name)
    categories = tuple(dict.fromkeys(row[at] for row in rows))
    if series is None:
        named = {column.label: {row[at]: row[result.position(column.name)] for row in rows} for column in y}
        meant = {column.label: colours[column.name] for column in y if column.name in colours}
    else:
        split, value = result.position(series.name), result.position(y[0].name)
        named = {formatter.show(each, series.format): {} for each in result.values(series.name)}
        for row in rows:
            named[formatter.show(row[split], series.format)][row[at]] = row[value]
        meant = {
            formatter.show(each, series.format): colours[each] for each in result.values(series.name) if each in colours
        }
    return categories, tuple(
        Series(name, meant.get(name) or colour_name(name, place), tuple(values.get(each) for each in categories))
        for place, (name, values) in enumerate(named.items())
    )


def shade(
    result: Result, row: str, column: str, value: str, formatter: Formatter, *, darkest: str
) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[HeatCell, ...]], ...], tuple[str, str]]:
    """Gives the column headings and lines of a heat map, shaded evenly from its light end to its dark, and both."""
    down, across, shown = result.column(row), result.column(column), result.column(value)
    cells = dict(zip(zip(result.values(row), result.values(column), strict=True), result.values(value), strict=True))
    there = sorted((number for number in cells.values() if number is not None), reverse=darkest == "low")
    light, dark = (there[0], there[-1]) if there else (None, None)
    begin, spread = float(light or 0), (float(dark or 0) - float(light or 0)) or 1.0

    def cell(number: Any) -> HeatCell:
        if number is None:
            return HeatCell(formatter.show(None, shown.format), None)
        level = min(HEAT_STEPS - 1, int((float(number) - begin) / spread * HEAT_STEPS))
        return HeatCell(formatter.show(number, shown.format), level)

    headings = list(dict.fromkeys(result.values(column)))
    lines = tuple(
        (formatter.show(name, down.format), tuple(cell(cells.get((name, heading))) for heading in headings))
        for name in dict.fromkeys(result.values(row))
    )
    ends = (formatter.show(light, shown.format), formatter.show(dark, shown.format))
    return tuple(formatter.brief(heading, across.format) for heading in headings), lines, ends


def compare_runs(
    result: Result, by: Column, keys: Sequence[Column], values: Sequence[Column], formatter: Formatter
) -> tuple[tuple[str, ...], tuple[ComparedLine, ...]]:
    """Gives the runs in the order of the rows, and the newest compared with the one before, if there is one."""
    runs = tuple(dict.fromkeys(str(run) for run in result.values(by.name)))
    is_alone = len(runs) <= 1
    after, before = (_by_key(result, by, keys, run) for run in (*runs, "", "")[:2])
    places = [result.position(column.name) for column in values]

    def line(key: tuple[Any, ...]) -> ComparedLine:
        old, new = ([None if row is None else row[at] for at in places] for row in (before.get(key), after.get(key)))
        return ComparedLine(
            tuple(formatter.show(part, column.format) for part, column in zip(key, keys, strict=True)),
            tuple(formatter.show(value, column.format) for value, column in zip(old, values, strict=True)),
            tuple(formatter.show(value, column.format) for value, column in zip(new, values, strict=True)),
            "" if is_alone else describe_change(old, new, values, formatter),
        )

    return runs, tuple(line(key) for key in dict.fromkeys((*after, *before)))


def _by_key(result: Result, by: Column, keys: Sequence[Column], run: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    at, places = result.position(by.name), [result.position(column.name) for column in keys]
    return {tuple(row[place] for place in places): row for row in result.rows if str(row[at]) == run}


def describe_change(old: Sequence[Any], new: Sequence[Any], values: Sequence[Column], formatter: Formatter) -> str:
    """Gives what differs between two runs of one thing, in words; "" when nothing does."""
    if all(value is None for value in old):
        return "" if all(value is None for value in new) else "new"
    if all(value is None for value in new):
        return "gone"
    parts = [_difference(a, b, column, formatter) for a, b, column in zip(old, new, values, strict=True)]
    return ", ".join(part for part in parts if part)


def _difference(old: Any, new: Any, column: Column, formatter: Formatter) -> str:
    if old == new:
        return ""
    if old is None or new is None or not is_numeric(column.format):
        return f"{formatter.show(old, column.format)} → {formatter.show(new, column.format)}"
    difference = exact(new) - exact(old)
    sign = "+" if difference > 0 else "−"
    return f"{sign}{formatter.show(abs(difference), column.format)}"
