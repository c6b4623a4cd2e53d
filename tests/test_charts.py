"""Pictures of charts for mail, and the colours they share with the page."""

import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from matplotlib.font_manager import findfont, get_font
from matplotlib.image import imread

from reports import theme
from reports.bundle import ASSETS
from reports.charts import draw_png
from reports.data import Column, Result
from reports.figures import Chart, Series
from reports.formats import Formatter
from reports.letters import families_for
from tests.page_data import make_context

MONEY, CATEGORIES = "money:INR", ("Apr 2026", "May 2026", "Jun 2026")


def make_chart(kind: str, *values: tuple[float | None, ...], categories: tuple[str, ...] = CATEGORIES) -> Chart:
    series = tuple(Series(f"s{at}", f"series-{at + 1}", each) for at, each in enumerate(values))
    column = Column("revenue_inr", "Revenue", MONEY)
    return Chart(
        "c", "C", "", (), Result("data-1", ""), kind, column, (column,), None, MONEY, None, None, (), "", categories,
        categories, series, True,
    )  # fmt: skip


def count_pixels(png: bytes, colour: str) -> int:
    wanted = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    picture = imread(BytesIO(png))
    return int((abs(picture[:, :, :3] - wanted).max(axis=2) < 0.01).sum())


@pytest.mark.parametrize("kind", ["bar", "across", "stacked", "line", "area"])
def test_charts_draw_every_series_in_its_colour(kind: str) -> None:
    """Each kind of chart shows each of its series."""
    png = draw_png(make_chart(kind, (3.0, 4.0, 5.0), (6.0, 7.0, 8.0)), make_context())
    first = 0 if kind == "across" else 40
    assert count_pixels(png, theme.LIGHT.colours["series-1"]) >= first
    assert count_pixels(png, theme.LIGHT.colours["series-2"]) > 40


def test_charts_give_the_same_bytes_for_the_same_figures() -> None:
    """A chart drawn twice is the same file, and another value gives another."""
    chart = make_chart("bar", (3.0, 4.0, 5.0))
    assert draw_png(chart, make_context()) == draw_png(chart, make_context())
    assert draw_png(chart, make_context()) != draw_png(make_chart("bar", (3.0, 4.0, 6.0)), make_context())


def test_charts_leave_a_gap_where_a_line_has_no_value() -> None:
    """A missing value is a gap, not nought."""
    whole = count_pixels(draw_png(make_chart("line", (3.0, 3.0, 3.0)), make_context()), theme.LIGHT.colours["series-1"])
    gap = count_pixels(draw_png(make_chart("line", (3.0, None, 3.0)), make_context()), theme.LIGHT.colours["series-1"])
    assert gap < whole / 2


@pytest.mark.parametrize("kind", ["bar", "across"])
def test_charts_have_room_beside_long_names(kind: str) -> None:
    """Names of a hundred letters leave the bars their room, in the picture and in its legend."""
    formatter = Formatter("UTC", "INR")
    names = tuple(formatter.brief(f"{name} of a name {'that goes on ' * 8}", "text") for name in ("first", "second"))
    chart = make_chart(kind, (3.0, 4.0), (6.0, 7.0), categories=names)
    named = tuple(replace(series, name="Series without an end " * 5) for series in chart.drawn)
    png = draw_png(replace(chart, drawn=named), make_context())
    assert count_pixels(png, theme.LIGHT.colours["series-1"]) > 10_000


def test_charts_write_letters_that_their_own_font_lacks(recwarn: pytest.WarningsRecorder) -> None:
    """A letter that only another font of the machine has is written in that one; none leaves a box."""
    other, house = (get_font(findfont(name)).get_charmap() for name in ("STIXGeneral", "DejaVu Sans"))
    letter = chr(min(set(other) - set(house) - set(range(0x400))))
    chart = make_chart("bar", (3.0, 4.0), (6.0, 7.0), categories=(letter, "b"))
    assert families_for(chart)[0] == "DejaVu Sans"
    assert len(families_for(chart)) == 2
    draw_png(replace(chart, drawn=tuple(replace(each, name=letter) for each in chart.drawn)), make_context())
    assert [str(each.message) for each in recwarn] == []


def test_charts_stay_small_with_many_categories() -> None:
    """A chart of two years of days is still small enough for a mail."""
    days = tuple(f"day {at}" for at in range(730))
    png = draw_png(make_chart("bar", tuple(float(at) for at in range(730)), categories=days), make_context())
    assert len(png) < 60_000


def test_charts_and_page_share_their_colours() -> None:
    """The colours and letters of the style sheet are those that charts and pictures are drawn in, in both themes."""
    css = (Path(ASSETS) / "page.css").read_text(encoding="utf-8")
    pairs = re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", css)
    for place, palette in ((1, theme.LIGHT), (2, theme.DARK)):
        page = {pair[0]: pair[place] for pair in pairs}
        grounds = {name: getattr(palette, name) for name in ("ink", "muted", "line", "paper")}
        own = {**palette.colours, **grounds}
        assert {name: page[name] for name in own} == own
    assert theme.FONTS in css
