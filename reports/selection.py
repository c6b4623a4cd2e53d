"""Drill-down: which rows a figure shows once the figures it follows have picked a category."""

from collections.abc import Mapping, Sequence
from typing import Any

from lake.errors import ModelError
from reports.data import Result
from reports.figures import Chart, Choice
from reports.formats import Formatter

Rows = tuple[tuple[Any, ...], ...]


def followed(
    charts: Mapping[str, Chart | Choice | None], names: Sequence[str], result: Result
) -> tuple[Chart | Choice, ...]:
    """Gives the charts and choices a figure follows, without those withheld (None).

    Raises ModelError unless each is there, can be picked from, and shares its column.
    """
    found = []
    for name in names:
        chart = charts.get(name)
        if name in charts and chart is None:
            continue
        if chart is None or chart.select is None:
            message = f"follows='{name}' names no chart above with select=."
            raise ModelError("page-follows", message, cure=f"There are: {', '.join(charts) or 'none'}.")
        result.position(chart.x.name)
        found.append(chart)
    return tuple(found)


def chosen_rows(result: Result, charts: Sequence[Chart | Choice]) -> Rows:
    """Gives the rows that match what each followed chart has picked at first."""
    places = {result.position(chart.x.name): chart.chosen for chart in charts if chart.chosen is not None}
    return tuple(row for row in result.rows if all(row[place] == value for place, value in places.items()))


def chosen_words(charts: Sequence[Chart | Choice], formatter: Formatter) -> str:
    """Gives what the followed charts have picked at first, for a heading: `Nov 2026, North`."""
    return ", ".join(formatter.show(chart.chosen, chart.x.format) for chart in charts if chart.chosen is not None)


def first_choice(select: str | None, rows: Rows, place: int) -> object:
    """Gives the category picked before anybody clicks: the last one, or none."""
    if select not in (None, "all", "last"):
        raise ModelError("page-choice", f"select='{select}' is not known.", cure="Use 'all' or 'last'.")
    return rows[-1][place] if select == "last" and rows else None
