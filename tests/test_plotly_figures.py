"""The charts of the interactive page as plotly figures: checked by plotly, repeatable, and followed by the script."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from plotly import graph_objects as go
from plotly.offline import get_plotlyjs_version

from lake.engine import EngineLimits, Session
from reports import theme
from reports.axes import span_of, ticks_between
from reports.bundle import ASSETS
from reports.data import Column, Result
from reports.drawing import render
from reports.figures import Chart, Series
from reports.formats import Formatter
from reports.page import read_page
from reports.plotly_figures import build_figure, house_template, themes
from tests.browser import open_browser, open_page
from tests.page_data import make_context

RUPEES = Formatter("Asia/Kolkata", "INR")
KINDS = ("bar", "across", "stacked", "line", "area")
MONTHS = ("Apr 2026", "May 2026", "Jun 2026")


def make_chart(kind: str = "bar", *values: tuple[Decimal | None, ...], names: tuple[str, ...] = MONTHS) -> Chart:
    series = tuple(Series(f"s{at}", f"series-{at + 1}", each) for at, each in enumerate(values))
    column = Column("revenue_inr", "Revenue", "money:INR")
    return Chart(
        id="c", title="C", note="", withheld=(), result=Result("data-1", ""), kind=kind, x=column, y=(column,),
        series=None, format="money:INR", select=None, chosen=None, follows=(), narrowed="", names=names,
        categories=names, drawn=series, in_mail=True,
    )  # fmt: skip


def money(*texts: str | None) -> tuple[Decimal | None, ...]:
    return tuple(None if text is None else Decimal(text) for text in texts)


# The figure


@pytest.mark.parametrize("kind", KINDS)
def test_figure_is_plotlys_own_and_holds_every_value(kind: str) -> None:
    """Each kind of chart is a plotly figure with a trace per series, its numbers and its exact words."""
    exact = "99999999999999999999.99"
    figure = build_figure(make_chart(kind, money("1.50", None, exact), money("2", "3", "4")), RUPEES)
    assert isinstance(figure, go.Figure)
    first = figure.data[0]
    names, numbers = (first.y, first.x) if kind == "across" else (first.x, first.y)
    assert tuple(names) == MONTHS
    assert tuple(numbers) == (1.5, None, float(exact))
    assert first.customdata[2] == "₹9,99,99,99,99,99,99,99,99,999.99"
    assert len(figure.data) == 2


def test_figure_is_the_same_text_for_the_same_chart() -> None:
    """Two figures of one chart are the same JSON, with names of their own for the traces; another value differs."""
    once, again, other = (
        json.dumps(build_figure(make_chart("bar", money("1", "2", last)), RUPEES).to_plotly_json())
        for last in ("3", "3", "4")
    )
    assert once == again != other
    assert json.loads(once)["data"][0]["uid"] == "c:s0"


def test_figure_writes_names_letter_by_letter() -> None:
    """Plotly reads markup in texts; a name that looks like markup stays a name."""
    figure = build_figure(make_chart("bar", money("1"), names=("<b>a & b</b>",)), RUPEES)
    assert figure.data[0].x == ("&lt;b>a &amp; b&lt;/b>",)


def test_figure_hides_a_series_without_values_and_keeps_colours() -> None:
    """A series with nothing to show is not seen, and those after it keep their colour."""
    figure = build_figure(make_chart("stacked", money(None, None, None), money("1", "2", "3")), RUPEES)
    assert [trace.visible for trace in figure.data] == [False, True]
    assert figure.data[1].marker.color == theme.LIGHT.colours["series-2"]
    assert figure.layout.showlegend is False


def test_figure_carries_the_house_template_and_no_other() -> None:
    """Without plotly's own template of several kilobytes, which Figure() would add."""
    figure = build_figure(make_chart("bar", money("1", "2", "3")), RUPEES)
    assert figure.layout.template == house_template(theme.LIGHT)
    assert figure.layout.template.data.bar == ()


def test_figure_themes_differ_in_colour_only() -> None:
    """The dark template is the light one in other colours."""
    light, dark = (json.dumps(themes()[name]) for name in ("light", "dark"))
    assert light != dark
    colour = re.compile(r"#[0-9a-f]{6}")
    assert colour.sub("#", light) == colour.sub("#", dark)


# The axis


@pytest.mark.parametrize(
    ("kind", "values", "span"),
    [
        ("bar", [money("10", "20", "5")], (0, 21)),
        ("bar", [money("-10", "20", "5")], (-10, 21.5)),
        ("stacked", [money("10", "20", "5"), money("10", None, "5")], (0, 21)),
        ("line", [money("10", "12", "11")], (9, 12.15)),
        ("line", [money("10", "20", None)], (0, 21)),
        ("line", [money("10", "10", "10")], (0, 10.5)),
        ("bar", [money("0", "0", "0")], (0, 1)),
        ("bar", [money(None, None, None)], (0, 1)),
    ],
)
def test_axis_spans_the_values(kind: str, values: list[tuple[Decimal | None, ...]], span: tuple[float, float]) -> None:
    """Bars begin at nought, and so does a line that does not move; nothing to show still has an axis."""
    assert span_of(make_chart(kind, *values)) == pytest.approx(span)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 21, [0, 5, 10, 15, 20]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-10, 21.5, [-10, 0, 10, 20]),
        (0.95, 1.0025, [0.96, 0.98, 1]),
    ],
)
def test_axis_ticks_are_round_and_inside(low: float, high: float, ticks: list[float]) -> None:
    """Ticks are round numbers that the axis reaches."""
    assert ticks_between(low, high) == pytest.approx(ticks)


# The library


def test_vendored_library_is_plotlys_own_version() -> None:
    """The small build in the page is of the version that plotly's figures are checked against, with its licence."""
    head = (ASSETS / "plotly" / "plotly-basic.min.js").read_text("utf-8")[:200]
    assert f"plotly.js (basic - minified) v{get_plotlyjs_version()}\n" in head
    assert "MIT" in (ASSETS / "plotly" / "LICENSE").read_text("utf-8")


@pytest.mark.parametrize("code", ["import flows.cli", "import flows.cli, flows.paging, reports.page"])
def test_plotting_libraries_are_not_loaded_before_a_chart(code: str) -> None:
    """Commands that draw no chart do not wait for plotly and matplotlib."""
    told = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print([m for m in ('plotly', 'matplotlib') if m in sys.modules])"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert told.stdout.strip() == "[]"


# The page

BODY = """---
title: Shop
description: A small shop.
audience: everybody
owner: data team
recipients: []
---
{% set months = query("select distinct month from marts.shop order by month") %}
{% set rows = query("select * from marts.shop order by seen_at, shop") %}
{{ chart("Months", query("select month, sum(revenue_inr) as revenue_inr from marts.shop group by month order by month"),
    x="month", y="revenue_inr", select="SELECT") }}
{% for kind in ("bar", "across", "stacked", "line", "area") %}
{{ chart("By " ~ kind, rows, x="seen_at", y="revenue_inr", series="shop", kind=kind, follows="months") }}
{% endfor %}
{{ chart("Share", rows, x="seen_at", y="share_ratio", kind="line", follows="months") }}
"""
SHOP = """
create table marts.shop as
select
    ['Apr', 'May'][1 + n::bigint // 20] as month,
    timestamptz '2026-04-01 20:30:00+00' + n * interval '1 day' as seen_at,
    shop,
    case when shop = 'fail' and n >= 20 then null else (n * 913.77 + length(shop) * 50210.5)::decimal(18, 2) end
        as revenue_inr,
    case when shop = 'A & B' then (0.9 + n / 500)::double end as share_ratio,
from range(26) as numbers(n)
cross join (values ('A & B'), ('fail'), ('Corner <shop>')) as shops(shop)
where not (shop = 'Corner <shop>' and n % 3 = 0)
"""
SHOWN = """each => {
  const plain = (text) => text?.map((one) => one);
  const axis = ({ tickvals, ticktext, range, autorange }) => ({ tickvals: plain(tickvals), ticktext: plain(ticktext),
    range: autorange ? null : range });
  const { layout } = each;
  return {
    data: each.data.map(({ x, y, name, customdata, hovertemplate, visible, marker, line, uid }) =>
      ({ x, y, name, customdata, hovertemplate, visible, marker, line, uid })),
    height: layout.height, bargap: layout.bargap, barmode: layout.barmode, showlegend: layout.showlegend,
    xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
  };
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same page twice: once with all months at first, once with the last."""
    folder = tmp_path_factory.mktemp("shop")
    with Session(EngineLimits(memory="256MB", threads=1)) as session:
        session.execute(SHOP)
        for choice in ("all", "last"):
            source = folder / f"{choice}.html.j2"
            source.write_text(BODY.replace("SELECT", choice), encoding="utf-8")
            (folder / f"{choice}.html").write_text(
                render(read_page(source), session, make_context()).html, encoding="utf-8"
            )
    return {choice: folder / f"{choice}.html" for choice in ("all", "last")}


def read_plots(page: Page) -> dict[str, dict]:
    return {
        plot.get_attribute("id"): plot.evaluate(SHOWN)
        for plot in page.locator('[data-figure]:not([data-figure="months"]) .js-plotly-plot').all()
    }


@pytest.mark.parametrize(("there", "here", "wish"), [("last", "all", "May"), ("all", "last", "All 2")])
def test_page_refills_a_figure_as_python_builds_it(
    browser: Browser, paths: dict[str, Path], there: str, here: str, wish: str
) -> None:
    """What the script makes of a figure after a pick is what Python makes of the same rows: numbers, words and axes."""
    with open_page(browser, paths[there]) as page:
        built = read_plots(page)
    with open_page(browser, paths[here]) as page:
        page.locator('[data-figure="months"] select').select_option(wish)
        refilled = read_plots(page)
    assert len(built) == 6
    for name, plot in built.items():
        assert refilled[name] == plot, name


def test_page_carries_figures_that_plotly_accepts_again(paths: dict[str, Path]) -> None:
    """The JSON in the page is a figure: plotly reads it back, template and all."""
    html = paths["all"].read_text("utf-8")
    parcel = json.loads(re.search(r'id="parcel">(.*?)</script>', html, flags=re.DOTALL)[1])
    assert len(parcel["plots"]) == 7
    for plot in parcel["plots"].values():
        figure = go.Figure(plot)
        figure.layout.template = parcel["themes"]["dark"]["template"]
        assert figure.data


def test_page_prints_charts_on_light_paper(browser: Browser, paths: dict[str, Path]) -> None:
    """In the dark theme too paper gets the light colours, and the screen its own again."""
    with open_page(browser, paths["all"], color_scheme="dark") as page:
        colour = "() => document.querySelector('#plot-by-line').data[0].line.color"
        dark = page.evaluate(colour)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate(colour) == theme.LIGHT.colours["series-1"]
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.evaluate(colour) == dark == theme.DARK.colours["series-1"]


def test_chart_without_rows_is_a_figure_without_points() -> None:
    """Nothing to draw is no error."""
    empty = replace(make_chart("bar", ()), names=(), categories=())
    assert build_figure(empty, RUPEES).data[0].x == ()
