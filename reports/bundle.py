"""What the interactive page carries in itself: data, script, style, and the policy that lets nothing else in."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from markupsafe import Markup

from reports.context import PageContext
from reports.data import Column, Result
from reports.figures import Chart, Choice, Comparison, Figure, Heat, Table
from reports.formats import Formatter, plain

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("formats.js", "data.js", "plots.js", "charts.js", "choice.js", "tables.js", "compare.js", "page.js")
NO_STYLE = ""  # plotly.js opens one empty style element and fills it rule by rule


@dataclass(frozen=True)
class Parcel:
    """The texts put into the page, safe where they stand, and the policy naming them by digest."""

    policy: str
    library: Markup
    script: Markup
    style: Markup
    data: Markup


def bundle(name: str, figures: Mapping[str, Figure], context: PageContext) -> Parcel:
    """Gives what a page carries."""
    library, script, style = _assets()
    if not any(isinstance(figure, Chart) for figure in figures.values()):
        library = ""  # nine tenths of a page with tables only
    return Parcel(
        _policy(library, script, style), Markup(library), Markup(script), Markup(style), _data(name, figures, context)
    )


@cache
def _assets() -> tuple[str, str, str]:
    """Reads the files once per process: they are part of the code."""
    library = _read("plotly/plotly-basic.min.js")
    script = "(() => {\n'use strict';\n" + "\n".join(_read(name) for name in SCRIPTS) + "})();"
    return library, script, _read("page.css")


def _read(name: str) -> str:
    text = (ASSETS / name).read_text(encoding="utf-8")
    return text.replace("</script", "<\\/script")


def _policy(library: str, script: str, style: str) -> str:
    scripts = " ".join(_digest(text) for text in (library, script) if text)
    styles = " ".join(_digest(text) for text in (style, NO_STYLE))
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _data(name: str, figures: Mapping[str, Figure], context: PageContext) -> Markup:
    formatter = Formatter(context.timezone, context.currency)
    results = {each.result.id: each.result for each in figures.values() if _has_data(each)}  # type: ignore[attr-defined]
    charts = [figure for figure in figures.values() if isinstance(figure, Chart)]
    parcel = {
        "page": name,
        "release": context.release_id,
        "locale": formatter.locale("").replace("_", "-"),
        "datasets": {key: _dataset(result, formatter) for key, result in results.items()},
        "figures": {key: _describe(figure, formatter) for key, figure in figures.items() if _has_data(figure)},
        **(_plots(charts, formatter) if charts else {"plots": {}, "themes": {}}),
    }
    text = json.dumps(parcel, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _plots(charts: Sequence[Chart], formatter: Formatter) -> dict[str, Any]:
    """Gives the charts as plotly figures, without the template: it is in `themes`, once for all of them."""
    from reports.plotly_figures import build_figure, themes  # costs 0.25 s: for a page with charts only

    plots = {chart.id: build_figure(chart, formatter).to_plotly_json() for chart in charts}
    for plot in plots.values():
        del plot["layout"]["template"]
    return {"plots": plots, "themes": themes()}


def _has_data(figure: Figure) -> bool:
    return isinstance(figure, Chart | Choice | Table | Heat | Comparison) and not figure.withheld


def _dataset(result: Result, formatter: Formatter) -> dict[str, Any]:
    rows = [[plain(value, formatter.zone) for value in row] for row in result.rows]
    return {"columns": [column.name for column in result.columns], "rows": rows, "left_out": result.left_out}


def _column(column: Column | None) -> dict[str, str] | None:
    return None if column is None else {"name": column.name, "label": column.label, "format": column.format}


def _describe(figure: Figure, formatter: Formatter) -> dict[str, Any]:
    own: dict[str, Any] = {}
    match figure:
        case Chart():
            own = {
                "type": "chart",
                "kind": figure.kind,
                "x": _column(figure.x),
                "y": [_column(column) for column in figure.y],
                "series": _column(figure.series),
                "format": figure.format,
                "select": figure.select,
                "chosen": plain(figure.chosen, formatter.zone),
                "follows": figure.follows,
            }
        case Table():
            own = {
                "type": "table",
                "columns": [_column(column) for column in figure.columns],
                "page_rows": figure.page_rows,
                "totals": figure.totals,
                "follows": figure.follows,
                "filters": figure.filters,
                "links": figure.links,
            }
        case Choice():
            own = {
                "type": "choice",
                "x": _column(figure.x),
                "select": figure.select,
                "chosen": plain(figure.chosen, formatter.zone),
            }
        case Heat():
            own = {"type": "heat"}
        case Comparison():
            own = {
                "type": "compare",
                "by": _column(figure.by),
                "keys": [_column(column) for column in figure.keys],
                "values": [_column(column) for column in figure.values],
                "page_rows": figure.page_rows,
            }
    return {"title": figure.title, "data": figure.result.id, **own}  # type: ignore[attr-defined]
