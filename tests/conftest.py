"""What every test may use."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lake.engine import EngineLimits, Session
from lake.run import Run, begin_run

ROOT = Path(__file__).resolve().parent.parent
FIRST_INSTANT = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)


@pytest.fixture
def session() -> Iterator[Session]:
    """A DuckDB session small enough that two run side by side."""
    with Session(EngineLimits(memory="512MB", threads=2)) as opened:
        yield opened


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """A clock that moves on by a microsecond each time it is read."""
    ticks = iter(range(1_000_000))
    return lambda: FIRST_INSTANT + timedelta(microseconds=next(ticks))


@pytest.fixture
def run(clock: Callable[[], datetime]) -> Run:
    """A run begun at a known instant."""
    return begin_run("tester", clock=clock)
