"""The value axis of a chart, alike on the page and in the mail's picture: what it spans, and its round numbers."""

import math

from reports.figures import Chart

TICKS = 5
HEADROOM = 0.05  # of what an axis spans, left free above the highest value
FLAT = 1.5  # a line that moves, but stays below this many times its lowest value, does not begin at nought


def span_of(chart: Chart) -> tuple[float, float]:
    """Gives the lowest and highest number a chart's axis shows."""
    low, high = _bounds(chart)
    if chart.kind == "line" and 0 < low < high < low * FLAT:
        low -= (high - low) / 2
    else:
        low, high = min(0.0, low), max(0.0, high)
    return low, high + (high - low) * HEADROOM or 1.0


def _bounds(chart: Chart) -> tuple[float, float]:
    places = zip(*(series.heights for series in chart.drawn), strict=True)
    found = [[height for height in place if height is not None] for place in places]
    stacked = chart.kind in ("stacked", "area")
    values = [sum(place) for place in found] if stacked else [height for place in found for height in place]
    return min(values, default=0.0), max(values, default=0.0)


def ticks_between(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Gives round numbers, about five, from `low` to `high`; only whole ones for counts."""
    rough = (high - low) / TICKS
    power = max(10.0 ** math.floor(math.log10(rough)), 1.0 if whole else 0.0)
    steps = (each * power for each in (1, 2, 2.5, 5, 10))
    step = next(each for each in steps if each >= rough and (not whole or each.is_integer()))
    return [float(f"{place * step:.12g}") for place in range(math.ceil(low / step), math.floor(high / step) + 1)]
