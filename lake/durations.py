"""Durations as contracts write them: a number and a unit, such as `36 h` or `1 d`."""

import re

DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)
SECONDS = {
    **dict.fromkeys(("s", "sec", "second"), 1),
    **dict.fromkeys(("m", "min", "minute"), 60),
    **dict.fromkeys(("h", "hr", "hour"), 3600),
    **dict.fromkeys(("d", "day"), 86_400),
    **dict.fromkeys(("w", "week"), 604_800),
    **dict.fromkeys(("mo", "month"), 2_678_400),  # the longest month: nobody is late for having a short one
    **dict.fromkeys(("y", "yr", "year"), 31_536_000),
}


def duration_seconds(text: str | None) -> float | None:
    """Gives a duration in seconds, None for no text and for a text that is no duration."""
    found = DURATION.fullmatch(text or "")
    unit = None if found is None else found[2].lower()
    if found is None or unit is None:
        return None
    factor = SECONDS.get(unit, SECONDS.get(unit.removesuffix("s")))
    return None if factor is None else float(found[1]) * factor
