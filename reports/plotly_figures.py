"""Charts of the interactive page as plotly figures: plotly checks every trace and layout before a page carries it.

The page's script draws a figure as it stands here; after a filter it puts other numbers into the same traces and axes
(assets/plots.js), and for the dark theme it takes the other template. Importing plotly costs a quarter of a second, so
reports/bundle.py imports this file for a page with charts only.
"""

import math
from functools import cache
from typing import Any

from plotly import graph_objects as go

from reports.axes import span_of, ticks_between
from reports.figures import Chart, Series
from reports.formats import Formatter
from reports.theme import DARK, FONTS, LIGHT, SERIES_COUNT, Palette

HEIGHT, BAR_HEIGHT, AXIS_HEIGHT, LEAST_HEIGHT = 260, 34, 50, 180  # pixels
LEGEND_COLUMNS, LEGEND_LINE = 4, 20  # entries in a line where there is little room, and its pixels
GAP, ROOMY_COUNT = 0.25, 8  # of a category, left free by its bars; with fewer categories bars stay as narrow
NAME_GAP = 9  # pixels between a chart and the names below it, which nought of the other axis would touch


def build_figure(chart: Chart, formatter: Formatter) -> go.Figure:
    """Gives a chart as it is first seen, in the light theme; the same chart gives the same figure."""
    traces = [_trace(chart, series, formatter) for series in chart.drawn]
    return go.Figure(data=traces, layout=_layout(chart, formatter))


def themes() -> dict[str, dict[str, Any]]:
    """Gives what changes with the theme: the template of every figure, and the colours of data by name."""
    return {
        name: {"template": house_template(palette).to_plotly_json(), "colours": _colours(palette)}
        for name, palette in (("light", LIGHT), ("dark", DARK))
    }


@cache
def _light_template() -> go.layout.Template:
    return house_template(LIGHT)


def house_template(palette: Palette) -> go.layout.Template:
    """Gives what all charts of the house share: letters, grid, legend, and no dragging."""
    axis = {"gridcolor": palette.line, "zerolinecolor": palette.line, "fixedrange": True, "automargin": True}
    return go.layout.Template(
        layout={
            "autosize": True,
            "colorway": [palette.colours[f"series-{place + 1}"] for place in range(SERIES_COUNT)],
            "dragmode": False,
            "font": {"family": FONTS, "size": 12, "color": palette.muted},
            "hoverlabel": {"bgcolor": palette.paper, "bordercolor": palette.line, "font": {"color": palette.ink}},
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": 1.02,
                "yanchor": "bottom",
                "itemclick": False,
                "itemdoubleclick": False,
                "traceorder": "normal",
            },
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "xaxis": axis,
            "yaxis": axis,
        }
    )


def _colours(palette: Palette) -> dict[str, str]:
    return {**palette.colours, "paper": palette.paper}


def markup_free(text: str) -> str:
    """Gives a text as plotly, which reads markup in texts, writes it letter by letter."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _trace(chart: Chart, series: Series, formatter: Formatter) -> go.Bar | go.Scatter:
    names = [markup_free(name) for name in chart.names]
    across = chart.kind == "across"
    shared: dict[str, Any] = {
        "uid": f"{chart.id}:{series.name}",
        "name": markup_free(series.name),
        "x": series.heights if across else names,
        "y": names if across else series.heights,
        "customdata": [formatter.show(value, chart.format) for value in series.values],
        "hovertemplate": f"%{{{'y' if across else 'x'}}}<br>%{{customdata}}<extra>{_extra(chart, series)}</extra>",
        "meta": {"colour": series.colour},
        "visible": not series.is_empty,
    }
    colour = LIGHT.colours[series.colour]
    match chart.kind:
        case "line":
            line = {"color": colour, "width": 2}
            return go.Scatter(mode="lines+markers", line=line, marker={"color": colour, "size": 5}, **shared)
        case "area":
            return go.Scatter(mode="lines", stackgroup="one", line={"color": colour, "width": 1}, **shared)
        case _:
            marker = {"color": colour, "line": {"width": 0}}
            return go.Bar(marker=marker, orientation="h" if across else "v", **shared)


def _extra(chart: Chart, series: Series) -> str:
    return markup_free(series.name) if len(chart.drawn) > 1 else ""


def _layout(chart: Chart, formatter: Formatter) -> go.Layout:
    across = chart.kind == "across"
    shown = [series for series in chart.drawn if not series.is_empty]
    values, names = _value_axis(chart, formatter), _name_axis(chart)
    return go.Layout(
        template=_light_template(),
        height=_height(chart, len(shown)),
        margin={"l": 8 if across else 56, "r": 8, "t": 8, "b": 36},
        barmode="stack" if chart.kind == "stacked" else "group",
        bargap=GAP if across else max(GAP, 1 - (1 - GAP) * len(chart.names) / ROOMY_COUNT),
        showlegend=len(shown) > 1,
        xaxis=values if across else names,
        yaxis=names if across else values,
    )


def _height(chart: Chart, shown: int) -> int:
    legend = LEGEND_LINE * (math.ceil(shown / LEGEND_COLUMNS)) if shown > 1 else 0
    if chart.kind == "across":
        return max(LEAST_HEIGHT, BAR_HEIGHT * len(chart.names) + AXIS_HEIGHT) + legend
    return HEIGHT + legend


def _name_axis(chart: Chart) -> dict[str, Any]:
    return {
        "type": "category",
        "showgrid": False,
        "tickangle": 0,
        "ticklabelstandoff": 5 if chart.kind == "across" else NAME_GAP,
        "tickmode": "array",
        "tickvals": [markup_free(name) for name in chart.names],
        "ticktext": [markup_free(name) for name in chart.categories],
        **({"autorange": "reversed"} if chart.kind == "across" else {}),
    }


def _value_axis(chart: Chart, formatter: Formatter) -> dict[str, Any]:
    low, high = span_of(chart)
    ticks = ticks_between(low, high, whole=chart.format == "count")
    return {
        "range": [low, high],
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [formatter.short(tick, chart.format) for tick in ticks],
    }
