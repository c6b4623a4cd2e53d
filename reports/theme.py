"""The colours and letters of pages and mail pictures: told apart with any colour vision, readable on their ground.

The page's style sheet (assets/page.css) holds the same as custom properties; a test keeps the two equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """The colours of one theme; `colours` are those of data, by name: series-1 to series-8 and a check's outcomes."""

    ink: str
    muted: str
    line: str
    paper: str
    colours: Mapping[str, str]


LIGHT = Palette(
    ink="#1d2733",
    muted="#566375",
    line="#dce2ea",
    paper="#ffffff",
    colours={
        "series-1": "#0f6cbd",
        "series-2": "#d9730d",
        "series-3": "#0a8a6a",
        "series-4": "#b3478f",
        "series-5": "#4f9bd9",
        "series-6": "#8a6d00",
        "series-7": "#7a5fd0",
        "series-8": "#5d6b7b",
        "pass": "#0a8a6a",
        "warn": "#c98a00",
        "fail": "#c8382b",
        "error": "#7b2d8b",
    },
)
DARK = Palette(
    ink="#e4eaf1",
    muted="#a3b1c2",
    line="#33414f",
    paper="#18212b",
    colours={
        "series-1": "#5aaef5",
        "series-2": "#f29a4a",
        "series-3": "#35c29b",
        "series-4": "#e083c0",
        "series-5": "#a5d1f7",
        "series-6": "#d8b83d",
        "series-7": "#ae9af2",
        "series-8": "#94a3b5",
        "pass": "#35c29b",
        "warn": "#f0b83f",
        "fail": "#ff8578",
        "error": "#d69be3",
    },
)
FONTS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif'
OUTCOMES = ("pass", "warn", "fail", "error")
SERIES_COUNT = 8  # colours in a row before they begin anew
HEAT_STEPS = 7  # shades a heat map tells apart; more are not seen as different


COLOURS = (*OUTCOMES, *(f"series-{place + 1}" for place in range(SERIES_COUNT)))


def colour_name(series: str, position: int) -> str:
    """Gives the name of a series' colour: a check's outcome has its own, others go by their place."""
    return series if series in OUTCOMES else f"series-{position % SERIES_COUNT + 1}"
