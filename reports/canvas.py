"""What a page's author writes with: `query`, `kpi`, `chart`, `table`, `heat`, `compare`, and the blocks around them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from lake.errors import ModelError
from reports.arguments import Names, check_choice, column_of, known_format, names_of, places_of, relabel, slug_of
from reports.building import CHART_KINDS, HEAT_ENDS, change_between, compare_runs, draw_series, shade, trend_points
from reports.context import PageContext
from reports.data import MOST_ROWS, Column, QueryDesk, Result
from reports.figures import Chart, Choice, Comparison, Figure, Heat, Kpi, PageFigure, Table
from reports.formats import Formatter, literal_words
from reports.links import page_link, page_targets
from reports.selection import chosen_rows, chosen_words, first_choice, followed
from reports.theme import COLOURS

Caller = Callable[[], str]
PAGE_ROWS, MAIL_ROWS = 12, 6  # of a table, when the page does not say
MAIL_COLUMNS = 7  # of a table, the first ones, when the page does not say which: a mail is 660 pixels wide


class Medium(Protocol):
    """Where figures are written to: the page, the mail or the plain text, which alone has no markup."""

    escaped: bool

    def draw(self, block: str, /, **subject: object) -> str:
        """Gives one figure or block as the medium writes it."""
        ...


class Canvas:
    """One drawing of a page in one medium; what it has drawn stands in `figures` and `recorded`."""

    def __init__(self, page: str, desk: QueryDesk, context: PageContext, medium: Medium) -> None:
        """Takes the page's name, its data, what it is told, and the medium."""
        self._page, self._desk, self._context, self._medium = page, desk, context, medium
        self._formatter = Formatter(context.timezone, context.currency)
        self._in_words = False
        self._charts: dict[str, Chart | Choice | None] = {}  # None: withheld
        self.figures: dict[str, Figure] = {}
        self.parts: list[tuple[str, str]] = []
        self.recorded: list[PageFigure] = []

    def words_for_author(self) -> dict[str, Any]:
        """Gives the names a page may use."""
        figures = ("query", "value", "kpi", "chart", "choice", "table", "heat", "compare", "link")
        names = (*figures, "part", "tiles", "pair", "words", "finding")
        return {"context": self._context, **{name: getattr(self, name) for name in names}}

    def query(self, sql: str, limit: int = MOST_ROWS) -> Result:
        """Runs a select; gives its first `limit` rows and the count of all."""
        return self._desk.query(sql, limit)

    def value(self, result: Result, column: str, format: str = "") -> str:  # noqa: A002  # the author's word for it
        """Gives a value of the first row, written in full, for use in words."""
        if result.withheld:
            return "(withheld)"
        shown = column_of(result, column, format)
        written = self._formatter.show(result.first(column), shown.format)
        return literal_words(written) if self._in_words else written

    def kpi(  # noqa: PLR0913  # what an author can say of a figure, by keyword
        self,
        title: str,
        result: Result,
        column: str,
        *,
        format: str = "",  # noqa: A002
        before: str = "",
        since: str = "the month before",
        better: str = "more",
        trend: Result | None = None,
        trend_column: str = "",
        note: str = "",
    ) -> str:
        """Draws one number, with its change since column `before`, else since the page's previous rendering."""
        if result.withheld:
            return self._withhold("kpi", title, note, result)
        figure_id = self._name(title)
        shown, value = column_of(result, column, format), result.first(column)
        self.recorded.append(PageFigure(self._page, figure_id, value))
        old = result.first(before) if before else self._context.previous_figures.get(figure_id)
        label = since if before else self._context.previous_label
        change = change_between(value, old, shown.format, label, better)
        points = trend_points(trend.values(trend_column or column)) if trend and not trend.withheld else ""
        written = self._formatter.show(value, shown.format)
        return self._draw("kpi", Kpi(figure_id, title, note, (), written, change, points))

    def chart(  # noqa: PLR0913  # what an author can say of a figure, by keyword
        self,
        title: str,
        result: Result,
        *,
        x: str,
        y: Names,
        kind: str = "bar",
        series: str | None = None,
        select: str | None = None,
        follows: Names = (),
        format: str = "",  # noqa: A002
        labels: Mapping[str, str] | None = None,
        colours: Mapping[str, str] | None = None,
        in_mail: bool = True,
        note: str = "",
    ) -> str:
        """Draws a result; with `select`, a click on a category narrows the figures that follow this one.

        `colours` names, for a column of `y` or a value of `series` that means something, a colour that says so.
        """
        check_choice("kind", kind, CHART_KINDS)
        if result.withheld:
            self._charts[slug_of(title)] = None
            return self._withhold("chart", title, note, result)
        chart_id, leaders = self._name(title), followed(self._charts, names_of(follows), result)
        values = tuple(relabel(result, name, labels) for name in names_of(y))
        across, split = relabel(result, x, labels), None if series is None else relabel(result, series, labels)
        rows = chosen_rows(result, leaders)
        for colour in (colours or {}).values():
            check_choice("colours", colour, COLOURS)
        categories, drawn = draw_series(rows, result, across, values, split, self._formatter, colours or {})
        chart = Chart(
            id=chart_id,
            title=title,
            note=note,
            withheld=(),
            result=result,
            kind=kind,
            x=across,
            y=values,
            series=split,
            format=known_format(format) or values[0].format,
            select=select,
            chosen=first_choice(select, rows, result.position(x)),
            follows=tuple(leader.id for leader in leaders),
            narrowed=chosen_words(leaders, self._formatter),
            names=tuple(self._formatter.show(each, across.format) for each in categories),
            categories=tuple(self._formatter.brief(each, across.format) for each in categories),
            drawn=drawn,
            in_mail=in_mail,
        )
        self._charts[chart_id] = chart
        return self._draw("chart", chart)

    def table(  # noqa: PLR0913  # what an author can say of a figure, by keyword
        self,
        title: str,
        result: Result,
        *,
        columns: Names = (),
        labels: Mapping[str, str] | None = None,
        formats: Mapping[str, str] | None = None,
        totals: Names = (),
        follows: Names = (),
        filters: Names = (),
        links: Mapping[str, str] | None = None,
        page_rows: int = PAGE_ROWS,
        mail_rows: int = MAIL_ROWS,
        mail_columns: Names = (),
        note: str = "",
    ) -> str:
        """Draws rows to sort, filter, page through and export; `totals` are summed over all rows of the query."""
        if result.withheld:
            return self._withhold("table", title, note, result)
        table_id, leaders = self._name(title), followed(self._charts, names_of(follows), result)
        shown = tuple(
            replace(relabel(result, name, labels), format=known_format((formats or {}).get(name, "")) or column.format)
            for name in (names_of(columns) or [each.name for each in result.columns])
            for column in [result.column(name)]
        )
        rows = chosen_rows(result, leaders)
        places = [result.position(column.name) for column in shown]
        table = Table(
            id=table_id,
            title=title,
            note=note,
            withheld=(),
            result=result,
            columns=shown,
            first=tuple(tuple(row[place] for place in places) for row in rows[:page_rows]),
            matching=len(rows),
            page_rows=page_rows,
            mail_rows=mail_rows,
            mail_places=places_of(names_of(mail_columns) or [column.name for column in shown[:MAIL_COLUMNS]], shown),
            totals=self._sum(table_id, result, names_of(totals), shown),
            follows=tuple(leader.id for leader in leaders),
            narrowed=chosen_words(leaders, self._formatter),
            filters=tuple(result.column(name).name for name in names_of(filters)),
            links=links or {},
            targets=page_targets(links or {}, result, rows[:page_rows]),
        )
        return self._draw("table", table)

    def choice(self, title: str, result: Result, column: str, *, select: str = "all", note: str = "") -> str:
        """Draws a field to choose one value of a column by typing; `select` is all or last."""
        if result.withheld:
            self._charts[slug_of(title)] = None
            return self._withhold("choice", title, note, result)
        rows, place = result.rows, result.position(column)
        values = tuple(dict.fromkeys(row[place] for row in rows))
        choice = Choice(
            id=self._name(title),
            title=title,
            note=note,
            withheld=(),
            result=result,
            x=result.column(column),
            values=values,
            select=select,
            chosen=first_choice(select, rows, place),
        )
        self._charts[choice.id] = choice
        return self._draw("choice", choice)

    def link(self, page: str, words: str) -> str:
        """Gives words that lead to another page, for use in words; a mail, beside which none lies, has the words."""
        return self._medium.draw("link", target=page_link(page), words=words)

    def heat(
        self,
        title: str,
        result: Result,
        *,
        row: str,
        column: str,
        value: str,
        darkest: str = "high",
        note: str = "",
    ) -> str:
        """Draws a table of shades: a line per `row`, a column per `column`; the darkest is the high or the low end."""
        check_choice("darkest", darkest, HEAT_ENDS)
        if result.withheld:
            return self._withhold("heat", title, note, result)
        heat_id = self._name(title)
        headings, lines, ends = shade(result, row, column, value, self._formatter, darkest=darkest)
        row_label = result.column(row).label
        return self._draw("heat", Heat(heat_id, title, note, (), result, row_label, headings, lines, ends))

    def compare(  # noqa: PLR0913  # what an author can say of a figure, by keyword
        self,
        title: str,
        result: Result,
        *,
        by: str,
        keys: Names,
        values: Names,
        labels: Mapping[str, str] | None = None,
        page_rows: int = PAGE_ROWS,
        mail_rows: int = MAIL_ROWS,
        note: str = "",
    ) -> str:
        """Draws two runs side by side, chosen by the reader; the rows come newest run first."""
        if result.withheld:
            return self._withhold("compare", title, note, result)
        figure_id = self._name(title)
        run = result.column(by)
        parts, measures = (tuple(relabel(result, name, labels) for name in names_of(given)) for given in (keys, values))
        runs, lines = compare_runs(result, run, parts, measures, self._formatter)
        after, before = (*runs, "", "")[:2]
        comparison = Comparison(
            figure_id, title, note, (), result, run, parts, measures, runs, before, after, lines, page_rows, mail_rows
        )
        return self._draw("compare", comparison)

    def part(self, title: str, *, caller: Caller) -> str:
        """Draws one part of the page: a tab there, a heading elsewhere."""
        part_id = slug_of(title)
        self.parts.append((part_id, title))
        return self._medium.draw("part", id=part_id, title=title, first=len(self.parts) == 1, body=caller())

    def tiles(self, *, caller: Caller) -> str:
        """Draws KPIs in a row."""
        return self._medium.draw("tiles", body=caller())

    def pair(self, *, caller: Caller) -> str:
        """Draws figures side by side where there is room."""
        return self._medium.draw("pair", body=caller())

    def words(self, *, caller: Caller) -> str:
        """Draws Markdown as the medium writes it."""
        return self._write("words", caller)

    def finding(self, *, caller: Caller) -> str:
        """Draws, in Markdown, what the figures below come to: the sentence a reader takes away."""
        return self._write("finding", caller)

    def _write(self, block: str, caller: Caller) -> str:
        self._in_words = self._medium.escaped
        try:
            lines = [line.strip() for line in str(caller()).strip().splitlines()]
        finally:
            self._in_words = False
        return self._medium.draw(block, text="\n".join(lines))

    def _sum(self, table_id: str, result: Result, names: Sequence[str], columns: Sequence[Column]) -> dict[str, str]:
        codes = {column.name: column.format for column in columns}
        sums = dict(zip(names, self._desk.totals(result, names), strict=True))
        self.recorded.append(PageFigure(self._page, f"{table_id}.rows", result.row_count))
        self.recorded.extend(PageFigure(self._page, f"{table_id}.{name}", total) for name, total in sums.items())
        return {name: self._formatter.show(total, codes.get(name, "number")) for name, total in sums.items()}

    def _name(self, title: str) -> str:
        name = slug_of(title)
        if name in self.figures:
            message = f"Two figures of the page are called '{title}'."
            raise ModelError("page-figure-twice", message, cure="Give each figure a title of its own.")
        return name

    def _draw(self, kind: str, figure: Figure) -> str:
        self.figures[figure.id] = figure
        return self._medium.draw(kind, figure=figure, show=self._formatter.show)

    def _withhold(self, kind: str, title: str, note: str, result: Result) -> str:
        figure = Figure(self._name(title), title, note, result.withheld)
        self.figures[figure.id] = figure
        return self._medium.draw("withheld", figure=figure, kind=kind)
