"""Letters of mail pictures: matplotlib's own font has Latin, Greek and Cyrillic; the machine's fonts may have the rest.

Which fonts a machine has is read once per process; a picture of Latin words asks for none of them.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from unicodedata import category

from reports.figures import Chart

HOUSE = "DejaVu Sans"  # comes with matplotlib, so that every machine has it
KNOWN = re.compile(r"[\x20-\u024f\u0370-\u03ff\u0400-\u045f\u2010-\u2026\u20ac\u20b9]*")  # for sure in it
FIRST = "Noto Sans"  # looks most like it, in most scripts
BOXES = "Last Resort"  # has a box for every letter there is
REGULAR = (400, "400", "normal", "regular")


def families_for(chart: Chart) -> tuple[str, ...]:
    """Gives the font families that together have every letter of a chart, the house's first; none where some lack."""
    texts = (*chart.categories, *(series.name for series in chart.drawn))
    wanted = {letter for text in texts if not KNOWN.fullmatch(text) for letter in text}
    return _families(frozenset(ord(letter) for letter in wanted if _is_seen(letter)))


def _is_seen(letter: str) -> bool:
    return category(letter) not in ("Cc", "Cf", "Zs", "Zl", "Zp")


@lru_cache(maxsize=128)
def _families(letters: frozenset[int]) -> tuple[str, ...]:
    if not letters:
        return (HOUSE,)
    families, missing = [HOUSE], letters
    for name, path in _fonts():
        found = _letters_in(path, missing)
        if found and name not in families:
            families.append(name)
        missing -= found
        if not missing:
            return tuple(families)
    return ()


@lru_cache(maxsize=1)
def _fonts() -> tuple[tuple[str, str], ...]:
    """Gives the regular fonts of the machine, name and file: the house's first, then those that look like it."""
    from matplotlib.font_manager import fontManager  # costs 0.3 s

    found = {
        (entry.name, str(entry.fname))
        for entry in fontManager.ttflist
        if entry.style == "normal" and entry.weight in REGULAR and not entry.name.startswith(BOXES)
    }
    return tuple(sorted(found, key=lambda font: (font[0] != HOUSE, not font[0].startswith(FIRST), font)))


def _letters_in(path: str, letters: Iterable[int]) -> frozenset[int]:
    from matplotlib.font_manager import get_font

    try:
        font = get_font(path)
    except (OSError, RuntimeError):  # a broken file, or one of pictures only: it is no help
        return frozenset()
    return frozenset(letter for letter in letters if font.get_char_index(letter))
