"""What stands on a page, ready to be drawn in any medium: exact values, and the words a Formatter made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from reports.data import Column, Result


@dataclass(frozen=True)
class PageFigure:
    """One number a page shows, for reconciliation with the marts: exact, None when there was no row."""

    page: str
    figure: str
    value: Any


@dataclass(frozen=True)
class Figure:
    """What every figure has: an id unique on its page, a title, a note, and the tables that made it be withheld."""

    id: str
    title: str
    note: str
    withheld: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """How a value moved: `arrow` is ▲, ▼ or =; `mood` good, bad or even; `words` say by how much and since when."""

    arrow: str
    mood: str
    words: str


@dataclass(frozen=True)
class Kpi(Figure):
    """One value, written in full, with its change and the points of a trend line (`x,y x,y`, in a 100 x 24 box)."""

    value: str
    change: Change | None
    trend: str


@dataclass(frozen=True)
class Series:
    """One line or set of bars: its name, its colour's name in reports/theme.py, an exact value for each category."""

    name: str
    colour: str
    values: tuple[int | float | Decimal | None, ...]

    @property
    def heights(self) -> tuple[float | None, ...]:
        """Gives the values as a drawing takes them; None where there is none."""
        return tuple(None if value is None else float(value) for value in self.values)

    @property
    def is_empty(self) -> bool:
        """Tells whether there is no value at all."""
        return all(value is None for value in self.values)


@dataclass(frozen=True)
class Chart(Figure):
    """A picture of a result: `x` against the columns `y`, split by `series` if given.

    `kind` is bar, across (bars lying), stacked, line or area. `select` is None, or how a category is picked for
    the figures that follow: "all" or "last". `chosen` is the category picked at first, `narrowed` the words for what
    the figures followed picked. `names` are the categories so narrowed, written in full, `categories` the same in
    brief, and `drawn` the series over them. `in_mail` tells whether mail and text show the chart too.
    """

    result: Result
    kind: str
    x: Column
    y: tuple[Column, ...]
    series: Column | None
    format: str
    select: str | None
    chosen: object
    follows: tuple[str, ...]
    narrowed: str
    names: tuple[str, ...]
    categories: tuple[str, ...]
    drawn: tuple[Series, ...]
    in_mail: bool


@dataclass(frozen=True)
class Table(Figure):
    """Rows to read, sort, filter and export. `first` are the rows shown at first, of `matching` that match.

    `totals` holds the written total per column, over all rows of the query. `filters` get a choice each. `links` names,
    for a column whose values lead to a page, the column that says which; `targets` holds those of the rows in `first`.
    `mail_places` are the places, among the columns, of those a mail has room for.
    """

    result: Result
    columns: tuple[Column, ...]
    first: tuple[tuple[Any, ...], ...]
    matching: int
    page_rows: int
    mail_rows: int
    mail_places: tuple[int, ...]
    totals: Mapping[str, str]
    follows: tuple[str, ...]
    narrowed: str
    filters: tuple[str, ...]
    links: Mapping[str, str]
    targets: Mapping[str, tuple[str | None, ...]]


@dataclass(frozen=True)
class Choice(Figure):
    """Values to choose one from, by typing; figures that follow show only rows with it. `chosen` is picked at first."""

    result: Result
    x: Column
    values: tuple[Any, ...]
    select: str
    chosen: object
    follows: tuple[str, ...] = ()
    narrowed: str = ""


@dataclass(frozen=True)
class HeatCell:
    """One cell of a heat map: its text and its shade, 0 the lightest; None where there is no value."""

    text: str
    level: int | None


@dataclass(frozen=True)
class Heat(Figure):
    """A table of shades: one line per row heading; `ends` are the written values of no shade and of the full one."""

    result: Result
    row_label: str
    headings: tuple[str, ...]
    lines: tuple[tuple[str, tuple[HeatCell, ...]], ...]
    ends: tuple[str, str]


@dataclass(frozen=True)
class ComparedLine:
    """One thing in both runs: its key, the written values of run A and B, and what changed ("" when nothing did)."""

    key: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    change: str


@dataclass(frozen=True)
class Comparison(Figure):
    """Two runs side by side; `runs` are all there are, newest first, `lines` compare `before` with `after`."""

    result: Result
    by: Column
    keys: tuple[Column, ...]
    values: tuple[Column, ...]
    runs: tuple[str, ...]
    before: str
    after: str
    lines: tuple[ComparedLine, ...]
    page_rows: int
    mail_rows: int
