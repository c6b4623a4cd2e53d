"""Chance in tests: drawn alike in every run, so that what a change breaks is what it broke.

`CHANCE=fresh make soak` draws what nobody has drawn before: to look for defects, not to hold a change against.
"""

import os
import random

from hypothesis import settings

IS_FRESH = os.environ.get("CHANCE") == "fresh"


def draw_seed(place: int) -> int:
    """Gives the seed of one of several worlds."""
    return random.randrange(1 << 32) if IS_FRESH else random.Random(place).randrange(1 << 32)


def settle_hypothesis() -> None:
    """Makes Hypothesis draw like the others; called before the tests that use it are read."""
    settings.register_profile("sluice", derandomize=not IS_FRESH)
    settings.load_profile("sluice")
