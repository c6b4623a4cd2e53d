"""Charts as pictures, for mail: drawn by matplotlib without a browser, the same bytes for the same figures."""

from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.context import PageContext
from reports.figures import Chart, Series
from reports.formats import Formatter
from reports.theme import INK, LINE, MUTED, PAPER

WIDTH_INCHES, HEIGHT_INCHES, ROW_INCHES = 6.2, 2.6, 0.3
DOTS_PER_INCH = 160  # sharp on a phone, about 30 kB
PADDING_INCHES = 0.08  # so that no label touches the edge
MOST_LABELS = 12  # category names under one chart
GROUP_WIDTH = 0.78  # of a category, taken by its bars


def draw_png(chart: Chart, context: PageContext) -> bytes:
    """Gives a chart as PNG."""
    across = chart.kind == "across"
    height = max(HEIGHT_INCHES, ROW_INCHES * len(chart.categories) + 1) if across else HEIGHT_INCHES
    drawing = Drawing(
        figsize=(WIDTH_INCHES, height),
        dpi=DOTS_PER_INCH,
        facecolor=PAPER,
        layout=ConstrainedLayoutEngine(h_pad=PADDING_INCHES),
    )
    axes = drawing.add_subplot()
    _draw_values(axes, chart)
    _dress(axes, chart, Formatter(context.timezone, context.currency), across=across)
    picture = BytesIO()
    drawing.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _draw_values(axes: Axes, chart: Chart) -> None:
    places = range(len(chart.categories))
    floor = [0.0] * len(chart.categories)
    for place, series in enumerate(chart.drawn):
        heights = [value or 0.0 for value in series.values]
        match chart.kind:
            case "across":
                axes.barh(list(places), heights, color=series.colour, height=GROUP_WIDTH, label=series.name)
            case "line":
                _draw_line(axes, series)
            case "bar":
                width = GROUP_WIDTH / len(chart.drawn)
                left = [each - GROUP_WIDTH / 2 + width * (place + 0.5) for each in places]
                axes.bar(left, heights, width=width, color=series.colour, label=series.name)
            case "stacked":
                axes.bar(list(places), heights, bottom=floor, width=GROUP_WIDTH, color=series.colour, label=series.name)
            case _:
                top = [low + value for low, value in zip(floor, heights, strict=True)]
                axes.fill_between(list(places), floor, top, color=series.colour, label=series.name, linewidth=0)
        floor = [low + value for low, value in zip(floor, heights, strict=True)]


def _draw_line(axes: Axes, series: Series) -> None:
    values = [float("nan") if value is None else value for value in series.values]
    axes.plot(range(len(values)), values, color=series.colour, linewidth=2, marker="o", markersize=3, label=series.name)


def _dress(axes: Axes, chart: Chart, formatter: Formatter, *, across: bool) -> None:
    values, names = (axes.xaxis, axes.yaxis) if across else (axes.yaxis, axes.xaxis)
    values.set_major_formatter(FuncFormatter(lambda value, _: formatter.short(value, chart.format)))
    values.set_major_locator(MaxNLocator(5))
    step = 1 if across else -(-len(chart.categories) // MOST_LABELS)
    shown = range(0, len(chart.categories), step)
    names.set_ticks(list(shown), [chart.categories[place] for place in shown])
    axes.tick_params(colors=MUTED, labelsize=8, length=0)
    axes.set_axisbelow(True)
    axes.grid(axis="x" if across else "y", color=LINE, linewidth=0.8)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    if across:
        axes.invert_yaxis()
    if len(chart.drawn) > 1:
        axes.figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=8, labelcolor=INK)
