"""The pages of the ingestion service: live errors, signing in, and the API. They need no network but the service."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports.formats import Formatter

FOLDER = Path(__file__).parent
ASSETS: Mapping[str, str] = {"page.css": "text/css", "live.css": "text/css", "live.js": "text/javascript"}
GOOD_RATIO, FAIR_RATIO = 0.99, 0.9
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def render_live(name: str, values: Mapping[str, Any], zone: str, currency: str) -> str:
    """Gives a page of the service, or the part of the live page that is exchanged; instants are shown in a zone.

    Counts are grouped as the currency's readers are used to.
    """
    return _environment(zone, currency).get_template(f"service/{name}.html.j2").render(values)


def read_asset(name: str) -> bytes:
    """Gives a style sheet or script of these pages; raises KeyError for what is none."""
    return (FOLDER / "assets" / Path(name).name).read_bytes() if ASSETS[name] else b""


@lru_cache(maxsize=4)
def _environment(zone: str, currency: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = lambda at: _clock(at, zone)
    environment.filters["count"] = lambda number: Formatter(zone, currency).show(number, "count")
    environment.filters["size"] = _size
    environment.filters["age"] = _age
    environment.filters["words"] = lambda code: code.replace("_", " ").capitalize()
    environment.globals["ratio"] = _ratio
    environment.globals["mood"] = _mood
    environment.globals["bars"] = _bars
    return environment


def _clock(at: datetime | None, zone: str) -> str:
    return "–" if at is None else f"{at.astimezone(ZoneInfo(zone)):%d %b %H:%M:%S}"


def _ratio(good: int, bad: int) -> str:
    """Gives the share of good rows; never 100 % while one is bad."""
    if good + bad == 0:
        return "–"
    share = good / (good + bad)
    return f"{share:.1%}" if share < GOOD_RATIO or not bad else f"{min(share, 0.9999):.2%}"


def _mood(good: int, bad: int) -> str:
    if good + bad == 0:
        return "even"
    share = good / (good + bad)
    return "good" if share >= GOOD_RATIO else "fair" if share >= FAIR_RATIO else "bad"


def _size(count: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # of the decimal units
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count = count / 1000  # type: ignore[assignment]  # a float from here on
    return f"{count:.1f} TB"


def _age(seconds: float) -> str:
    if seconds < 90:  # a minute and a half reads better as seconds
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _bars(values: Sequence[int]) -> list[tuple[int, float]]:
    """Gives the place and height (0 to 20) of each bar of a small chart."""
    most = max(values, default=0)
    return [(place, max(1.0, 20 * value / most)) for place, value in enumerate(values) if value]
