"""Two runs at once on one lake: whoever is slower looks again, nothing is doubled, lost or half-published."""

from pathlib import Path

import pytest

from lake.run import Event
from tests.crash_parts import (
    FIRST_FILE,
    SECOND_FILE,
    THIRD_FILE,
    at_event,
    catalogue_state,
    copy_shop,
    deliver,
    lake_state,
    make_shop,
    run_here,
)

State = dict[str, list[tuple]]


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """A shop with one release and two new files."""
    folder = make_shop(tmp_path_factory.mktemp("races") / "begun", FIRST_FILE)
    assert run_here(folder).is_ok
    deliver(folder, SECOND_FILE)
    deliver(folder, THIRD_FILE)
    return folder


@pytest.fixture(scope="module")
def expected(begun: Path, tmp_path_factory) -> State:
    """What its lake holds after one undisturbed run."""
    folder = copy_shop(begun, tmp_path_factory.mktemp("races") / "expected")
    assert run_here(folder).is_ok
    return lake_state(folder)


def event_count(folder: Path, *marts: str) -> int:
    seen: list[Event] = []
    assert run_here(folder, *marts, observers=(seen.append,)).is_ok
    return len(seen)


def check_second_run_amid_first(begun: Path, folder: Path, expected: State, at: int, marts: tuple = ((), ())) -> None:
    """Runs the pipeline, and at the n-th event of that run the whole pipeline once more."""
    copy_shop(begun, folder)
    inner = []
    outer = run_here(folder, *marts[0], observers=(at_event(at, lambda: inner.append(run_here(folder, *marts[1]))),))
    assert (outer.failure, inner[0].failure) == (None, None), f"at event {at}"
    assert lake_state(folder) == expected, f"at event {at}"
    assert catalogue_state(folder) == expected, f"at event {at}"
