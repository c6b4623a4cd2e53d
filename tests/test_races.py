"""Two runs at once on one lake: whoever is slower looks again; nothing is doubled, lost or half-published."""

from pathlib import Path

import pytest

from lake.run import Event
from tests.crash_parts import (
    FIRST_FILE,
    HEADER,
    SECOND_FILE,
    THIRD_FILE,
    at_event,
    at_write,
    catalogue_state,
    copy_shop,
    deliver,
    finish,
    lake_state,
    make_shop,
    readers_watching,
    run_here,
    start_run,
)
from tests.moment_parts import moments_of, one_of_each
from tests.store_parts import IN_BUCKET_AT_LENGTH, in_a_folder, put_in_bucket

State = dict[str, list[tuple]]
ALL_MARTS: tuple[str, ...] = ()


@pytest.fixture(scope="module")
def where(request: pytest.FixtureRequest) -> str | None:
    """Where the lakes are: the address of an S3 server, None for folders."""
    return request.getfixturevalue("s3_endpoint") if getattr(request, "param", "local") == "s3" else None


@pytest.fixture(scope="module")
def begun(tmp_path_factory, where) -> Path:
    """A shop with one release and two new files."""
    folder = begin_shop(tmp_path_factory.mktemp("races") / "begun", where, FIRST_FILE)
    assert run_here(folder).is_ok
    deliver(folder, SECOND_FILE)
    deliver(folder, THIRD_FILE)
    return folder


@pytest.fixture(scope="module")
def events(begun: Path, tmp_path_factory) -> list[Event]:
    """What an undisturbed run does."""
    seen: list[Event] = []
    folder = copy_shop(begun, tmp_path_factory.mktemp("races") / "events")
    assert run_here(folder, observers=(seen.append,)).is_ok
    return seen


@pytest.fixture(scope="module")
def expected(begun: Path, tmp_path_factory) -> State:
    """What its lake holds after an undisturbed run."""
    folder = copy_shop(begun, tmp_path_factory.mktemp("races") / "expected")
    assert run_here(folder).is_ok
    return lake_state(folder)


def begin_shop(folder: Path, where: str | None, *files: str) -> Path:
    shop = make_shop(folder, *files)
    return shop if where is None else put_in_bucket(shop, where)


def check_run_amid_event(folder: Path, place: int, marts: tuple[str, ...] = ALL_MARTS) -> None:
    """Runs the pipeline, and at the n-th event of that run the whole pipeline once more, for some marts."""
    inner = []
    outer = run_here(
        folder,
        *(["by_month"] if marts == ("by_zone",) else []),
        observers=(at_event(place, lambda: inner.append(run_here(folder, *marts))),),
    )
    assert (outer.failure, inner[0].failure) == (None, None), f"at event {place}"


def check_states(folder: Path, expected: State, place: str) -> None:
    assert lake_state(folder) == expected, place
    assert catalogue_state(folder) == expected, place


TO_PUBLISH = "step-started publish release"
# `test_races_a_run_before_every_write_of_another` finds what lies between.
AMID = [
    "step-started land orders",
    "batch-judged orders",
    "batch-landed orders",
    TO_PUBLISH,
    "run-finished shop",
]


@pytest.mark.parametrize(
    ("where", "moment"),
    [*(("local", moment) for moment in AMID), pytest.param("s3", TO_PUBLISH, marks=pytest.mark.soak)],
    indirect=["where"],
)
def test_races_a_run_amid_another_loses_and_doubles_nothing(tmp_path, begun, events, expected, moment) -> None:
    """Another run begins and ends at a moment of this one: both end well, every record is there once."""
    folder = copy_shop(begun, tmp_path / "shop")
    names = [f"{event.kind} {event.subject}" for event in events]
    place = len(names) if moment.startswith("run-finished") else names.index(moment) + 1
    check_run_amid_event(folder, place)
    check_states(folder, expected, moment)


@in_a_folder
def test_races_different_marts_over_one_source_end_in_one_release(tmp_path, begun, expected) -> None:
    """Two runs that make different marts of the same new rows: the release has both, and each is right."""
    seen: list[Event] = []
    assert run_here(copy_shop(begun, tmp_path / "undisturbed"), "by_month", observers=(seen.append,)).is_ok
    folder = copy_shop(begun, tmp_path / "shop")
    place = next(n for n, event in enumerate(seen, 1) if event.kind == "step-started" and "publish" in event.subject)
    check_run_amid_event(folder, place, ("by_zone",))
    check_states(folder, expected, "publish")


@pytest.mark.parametrize("where", IN_BUCKET_AT_LENGTH, indirect=True)
def test_races_two_processes_at_once(tmp_path, begun, expected) -> None:
    """Two real processes that start together on one lake."""
    check_processes(tmp_path, begun, expected, [ALL_MARTS, ALL_MARTS])


def check_processes(tmp_path: Path, begun: Path, expected: State, runs: list[tuple[str, ...]], round_: int = 0) -> None:
    """Starts one process a run at the same instant, while a reader watches."""
    lakes = tmp_path / f"lakes-{round_}"
    folder = copy_shop(begun, _made(lakes) / "shop")
    with readers_watching(lakes, is_one_run=all(marts == ALL_MARTS for marts in runs)):
        start = tmp_path / f"start-{round_}"
        children = [start_run(folder, *marts, "--start", str(start)) for marts in runs]
        start.touch()
        outcomes = [finish(child) for child in children]
    assert [outcome["error"] for outcome in outcomes] == [None] * len(runs)
    check_states(folder, expected, f"round {round_}")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("begins", ["next", "first"])
@in_a_folder
def test_races_a_run_before_every_write_of_another(tmp_path, begun, where, begins) -> None:
    """Another run begins and ends right before what this one writes, also while all tables are made.

    Of the same write to the same table the first is taken; of the very first run only what makes tables.
    """
    if begins == "first":
        begun = begin_shop(tmp_path / "begun", where, FIRST_FILE, SECOND_FILE, THIRD_FILE)
    undisturbed = copy_shop(begun, tmp_path / "undisturbed")
    wanted = "before" if begins == "next" else "before create"
    moments = [moment for moment in moments_of(undisturbed) if moment.name.startswith(wanted)]
    expected = lake_state(undisturbed)
    for moment in one_of_each(moments):
        place = int(moment.place.number)
        folder = copy_shop(begun, tmp_path / str(place))
        inner = []
        with at_write(place, lambda folder=folder, inner=inner: inner.append(run_here(folder))):
            outer = run_here(folder)
        assert (outer.failure, inner[0].failure) == (None, None), moment.name
        check_states(folder, expected, moment.name)


@pytest.mark.soak
@pytest.mark.timeout(600)
@in_a_folder
def test_races_processes_at_once_for_long(tmp_path, begun, where, expected) -> None:
    """Round after round: the same marts, different marts, three at a time, the very first run."""
    rounds = [[ALL_MARTS, ALL_MARTS], [("by_month",), ("by_zone",)], [ALL_MARTS, ("by_month",), ("by_zone",)]]
    for number in range(len(rounds)):
        check_processes(tmp_path, begun, expected, rounds[number], number)
    first = begin_shop(tmp_path / "first", where, FIRST_FILE, SECOND_FILE, THIRD_FILE)
    undisturbed = copy_shop(first, tmp_path / "undisturbed")
    assert run_here(undisturbed).is_ok
    for number in range(len(rounds), len(rounds) + 2):
        check_processes(tmp_path, first, lake_state(undisturbed), [ALL_MARTS, ALL_MARTS], number)


@pytest.mark.soak
@pytest.mark.timeout(600)
@in_a_folder
def test_races_deliveries_while_two_loops_run(tmp_path, where) -> None:
    """Files arrive while two processes run again and again; in the end every order is in every mart once."""
    folder = begin_shop(_made(tmp_path / "lakes") / "shop", where, FIRST_FILE)
    assert run_here(folder).is_ok  # from here on readers find both marts
    with readers_watching(tmp_path / "lakes", is_one_run=False):
        turns = 4
        for turn in range(turns):
            children = [start_run(folder, "by_month"), start_run(folder, "by_zone")]
            for number in range(3):
                place = turn * 3 + number
                deliver(folder, f"{HEADER}n{place},2026-0{place % 5 + 1}-07,north,1.25\n", f"n{place:03}.csv")
            assert [finish(child)["error"] for child in children] == [None, None]
        assert run_here(folder).is_ok
    state = lake_state(folder)
    assert len(state["raw"]) == 3 + 3 * turns
    assert sum(row[2] for row in state["by_month"]) == sum(row[1] for row in state["by_zone"]) == 3 + 3 * turns
    assert all(read == accepted + bad + twice for *_, read, accepted, bad, twice, _, _ in state["ledger"])
