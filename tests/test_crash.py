"""A real process killed anywhere: run again, the lake is that of a run nobody disturbed, and readers never noticed."""

import random
import shutil
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from lake.run import Event
from tests.crash_parts import (
    FIRST_FILE,
    SECOND_FILE,
    THIRD_FILE,
    at_write,
    catalogue_state,
    copy_shop,
    deliver,
    first_write,
    lake_state,
    make_shop,
    read_as_others,
    readers_watching,
    run_here,
    start_run,
    store_of,
)
from tests.moment_parts import Moment, Place, moments_of, new_lakes, one_of_each
from tests.store_parts import IN_BUCKET_AT_LENGTH, in_a_folder, lake_keys, put_in_bucket

AT_ONCE = 2  # processes dying side by side, each on a lake of its own
LONGEST_DELAY_SECONDS = 0.5  # a run takes about as long after its first file


@dataclass(frozen=True)
class Scene:
    """A shop before a run, what its lake holds after it, and the moments of that run."""

    begun: Path
    expected: dict[str, list[tuple]]
    writes: tuple[str, ...]
    events: tuple[Event, ...]


def scene(folder: Path, begun: Path) -> Scene:
    undisturbed = copy_shop(begun, folder / "undisturbed")
    events: list[Event] = []
    with at_write(0, lambda: None) as writes:
        assert run_here(undisturbed, observers=(events.append,)).is_ok
    return Scene(begun, lake_state(undisturbed), tuple(writes), tuple(events))


@pytest.fixture(scope="module", params=IN_BUCKET_AT_LENGTH)
def where(request: pytest.FixtureRequest) -> str | None:
    """Where the lakes are: the address of an S3 server, None for folders."""
    return request.getfixturevalue("s3_endpoint") if request.param == "s3" else None


def begin_shop(folder: Path, where: str | None, *files: str) -> Path:
    shop = make_shop(folder, *files)
    return shop if where is None else put_in_bucket(shop, where)


@pytest.fixture(scope="module")
def next_run(tmp_path_factory, where) -> Scene:
    """A lake with one release and two new files, one of them with a new column."""
    folder = tmp_path_factory.mktemp("next")
    begun = begin_shop(folder / "begun", where, FIRST_FILE)
    assert run_here(begun).is_ok
    deliver(begun, SECOND_FILE)
    deliver(begun, THIRD_FILE)
    return scene(folder, begun)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory, where) -> Scene:
    """No lake yet, and three files."""
    folder = tmp_path_factory.mktemp("first")
    return scene(folder, begin_shop(folder / "begun", where, FIRST_FILE, SECOND_FILE, THIRD_FILE))


def check_kept(folder: Path, given: Scene, moments: Sequence[Moment]) -> None:
    """Runs again on what a run killed at each moment leaves, and compares; readers find it whole, then and after."""
    wrong: list[str] = []
    with readers_watching(folder):
        for moment in moments:
            assert moment.kept is not None, moment.name
            wrong += [f"{moment.name}: {found}" for found in read_as_others(moment.kept)[1]]
            lake = moment.kept.replace(folder / moment.kept.name)
            wrong += compare(lake, given, moment.place)
            shutil.rmtree(lake.replace(folder.with_name("done")))
    assert wrong == []


def check_crashes(folder: Path, given: Scene, places: Sequence[Place]) -> None:
    """Dies at every place on a fresh lake, runs again, and compares; readers watch all the while."""
    wrong: list[str] = []
    with readers_watching(folder / "lakes"), ThreadPoolExecutor(AT_ONCE) as pool:
        for first in range(0, len(places), AT_ONCE):
            here = places[first : first + AT_ONCE]
            lakes = [copy_shop(given.begun, folder / "lakes" / f"at-{place.kind}-{place.number}") for place in here]
            list(pool.map(die, lakes, here))
            for lake, place in zip(lakes, here, strict=True):
                wrong += compare(lake, given, place)
                shutil.rmtree(lake.replace(folder / "done"))
    assert wrong == []


def die(folder: Path, place: Place) -> None:
    """Runs the pipeline in a process and kills it."""
    if place.kind in ("event", "write"):
        child = start_run(folder, f"--kill-at-{place.kind}", str(place.number))
        _, said = child.communicate()
        assert child.returncode == -signal.SIGKILL, f"{place}: {said}"
        return
    child = start_run(folder)
    before, wanted = count_files(folder), place.number if place.kind == "files" else 1
    while child.poll() is None and count_files(folder) - before < wanted:
        time.sleep(0.0005)
    time.sleep(place.number if place.kind == "seconds" else 0)
    child.kill()
    child.communicate()


def count_files(folder: Path) -> int:
    return len(lake_keys(store_of(folder)))


def compare(lake: Path, given: Scene, place: Place) -> list[str]:
    """Runs again what was killed, and gives what differs from the lake of a run nobody disturbed."""
    outcome = run_here(lake)
    if not outcome.is_ok:
        return [f"{place}: {outcome.failure}"]
    found, read = lake_state(lake), catalogue_state(lake)
    differing = [f"{place}: {name}: {found[name]}" for name, rows in given.expected.items() if found[name] != rows]
    return differing + [f"{place}: {name} of lake.duckdb" for name, rows in found.items() if read[name] != rows]


def test_crash_then_rerun_gives_the_undisturbed_lake(tmp_path: Path, where: str | None, next_run: Scene) -> None:
    """Killed in the middle of a landing and of a publication; in a folder, where it takes no time, also between."""
    quarantined = next(n for n, event in enumerate(next_run.events, 1) if event.kind == "records-quarantined")
    places = [
        Place("write", first_write(next_run.writes, "before add_columns")),
        Place("write", first_write(next_run.writes, "before create_write_transaction marts/by_zone")),
        Place("event", quarantined),
        Place("write", first_write(next_run.writes, "after write_database")),
    ]
    check_crashes(tmp_path, next_run, places if where is None else places[:2])


@pytest.mark.soak
@pytest.mark.timeout(600)
@in_a_folder
def test_crash_whatever_the_lake_holds(tmp_path: Path, next_run: Scene) -> None:
    """Killed wherever a run has written something more: after every write, and so before the next and at every event.

    Each write leaves another lake behind; nothing between two of them does, steps and checks included. What a kill
    would leave is copied while a run goes on; the tests before and after this one do kill.
    """
    moments = new_lakes(moments_of(copy_shop(next_run.begun, tmp_path / "moments"), tmp_path / "kept"))
    written = {moment.name for moment in moments}
    assert {name for name in next_run.writes if name.startswith("after")} <= written
    assert len(moments) >= 20
    check_kept(tmp_path / "lakes", next_run, moments)


@pytest.mark.soak
@pytest.mark.timeout(600)
@in_a_folder
def test_crash_of_the_first_run_ever(tmp_path: Path, first_run: Scene) -> None:
    """Killed when a table has just been made, is still empty, or has its first rows: every table once."""
    moments = new_lakes(moments_of(copy_shop(first_run.begun, tmp_path / "moments"), tmp_path / "kept"))
    made = one_of_each(moment for moment in moments if moment.name.startswith("after create"))
    assert {name for name in first_run.writes if name.startswith("after create ")} <= {moment.name for moment in made}
    assert len(made) >= 12
    check_kept(tmp_path / "lakes", first_run, made)


@pytest.mark.soak
@pytest.mark.timeout(600)
@in_a_folder
def test_crash_at_any_moment(tmp_path: Path, next_run: Scene) -> None:
    """Killed from outside, at moments nobody chose: at the n-th file in the lake, and at random."""
    chance = random.Random(20261121)
    places = [Place("files", n) for n in (2, 7, 13, 19, 27)]
    places += [Place("seconds", round(chance.uniform(0, LONGEST_DELAY_SECONDS), 4)) for _ in range(5)]
    check_crashes(tmp_path, next_run, places)
