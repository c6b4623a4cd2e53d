"""Charts as pictures, for mail: drawn by matplotlib without a browser, the same bytes for the same figures."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure as Drawing
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter

from reports.axes import span_of, ticks_between
from reports.context import PageContext
from reports.figures import Chart, Series
from reports.formats import Formatter, shorten
from reports.letters import families_for
from reports.theme import LIGHT

WIDTH_INCHES, HEIGHT_INCHES, ROW_INCHES = 6.2, 2.6, 0.3
DOTS_PER_INCH = 160  # sharp on a phone, about 30 kB
PADDING_INCHES = 0.08  # so that no label touches the edge
NAME_GAP = 7  # points between a chart and the names below it, which nought of the other axis would touch
LABELS = 8  # points, of the letters of axes and legend
MOST_LABELS = 12  # category names under one chart
MOST_LETTERS = 90  # of all labels below a chart together, each with a blank
GROUP_WIDTH, ROOMY_COUNT = 0.78, 8  # of a category, taken by its bars; with fewer categories bars stay as narrow


def draw_png(chart: Chart, context: PageContext) -> bytes:
    """Gives a chart as PNG."""
    across = chart.kind == "across"
    height = max(HEIGHT_INCHES, ROW_INCHES * len(chart.categories) + 1) if across else HEIGHT_INCHES
    drawing = Drawing(
        figsize=(WIDTH_INCHES, height),
        dpi=DOTS_PER_INCH,
        facecolor=LIGHT.paper,
        layout=ConstrainedLayoutEngine(h_pad=PADDING_INCHES),
    )
    axes = drawing.add_subplot()
    _draw_values(axes, chart)
    _dress(axes, chart, Formatter(context.timezone, context.currency), across=across)
    picture = BytesIO()
    # Not by `savefig`, which draws everything once more beforehand.
    FigureCanvasAgg(drawing).print_png(picture, metadata={"Software": None})  # type: ignore[no-untyped-call]  # theirs
    return picture.getvalue()


def _draw_values(axes: Axes, chart: Chart) -> None:
    count, shown = len(chart.categories), _shown(chart)
    width = GROUP_WIDTH if chart.kind == "across" else GROUP_WIDTH * min(1, count / ROOMY_COUNT)
    share = width if chart.kind == "stacked" else width / max(1, len(shown))
    floor = [0.0] * count
    for place, series in enumerate(shown):
        heights = [height or 0.0 for height in series.heights]
        top = [low + height for low, height in zip(floor, heights, strict=True)]
        look: dict[str, Any] = {"color": LIGHT.colours[series.colour], "label": shorten(series.name)}
        match chart.kind:
            case "line":
                gapped = [float("nan") if height is None else height for height in series.heights]
                axes.plot(range(count), gapped, linewidth=2, marker="o", markersize=3, **look)
            case "area":
                axes.fill_between(range(count), floor, top, linewidth=0, **look)
            case "stacked":
                _draw_bars(axes, [-width / 2 + each for each in range(count)], share, floor, top, look)
            case kind:
                begin = [each - width / 2 + share * place for each in range(count)]
                _draw_bars(axes, begin, share, floor, heights, look, across=kind == "across")
        floor = top if chart.kind in ("stacked", "area") else floor


def _draw_bars(
    axes: Axes,
    begin: Sequence[float],
    width: float,
    low: Sequence[float],
    high: Sequence[float],
    look: Mapping[str, Any],
    *,
    across: bool = False,
) -> None:
    """Draws all bars of a series as one shape: a year of days as bars of their own takes matplotlib 0.1 s."""
    boxes = [
        [(at, bottom), (at, top), (at + width, top), (at + width, bottom)]
        for at, bottom, top in zip(begin, low, high, strict=True)
    ]
    turned = [[(y, x) for x, y in box] for box in boxes] if across else boxes
    axes.add_collection(PolyCollection(turned, linewidth=0, **look))


def _shown(chart: Chart) -> list[Series]:
    return [series for series in chart.drawn if not series.is_empty]


def _dress(axes: Axes, chart: Chart, formatter: Formatter, *, across: bool) -> None:
    values, names = (axes.xaxis, axes.yaxis) if across else (axes.yaxis, axes.xaxis)
    values.set_major_formatter(FuncFormatter(lambda value, _: formatter.short(value, chart.format)))
    low, high = span_of(chart)
    values.set_major_locator(FixedLocator(ticks_between(low, high, whole=chart.format == "count")))
    (axes.set_xlim if across else axes.set_ylim)(low, high)
    longest = max((len(category) for category in chart.categories), default=0) + 1
    room = max(1, min(MOST_LABELS, MOST_LETTERS // longest))
    step = 1 if across else -(-len(chart.categories) // room)
    shown = range(0, len(chart.categories), step)
    names.set_ticks(list(shown), [chart.categories[place] for place in shown])
    families = families_for(chart)
    axes.tick_params(colors=LIGHT.muted, labelsize=LABELS, length=0, labelfontfamily=families)
    axes.set_axisbelow(True)
    axes.grid(axis="x" if across else "y", color=LIGHT.line, linewidth=0.8)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    if across:
        axes.set_ylim(len(chart.categories) - 0.5, -0.5)
    else:
        axes.set_xlim(-0.5, len(chart.categories) - 0.5)
        axes.tick_params(axis="x", pad=NAME_GAP)
    if len(_shown(chart)) > 1:
        letters = {"family": families, "size": LABELS}
        axes.figure.legend(loc="outside upper left", ncols=4, frameon=False, prop=letters, labelcolor=LIGHT.ink)
