"""What a killed run leaves beside its data: what it did is told all the same, once, by the runs that come after it."""

import shutil
import signal
from pathlib import Path

import pytest

from flows.outcome import Outcome
from lake.engine import EngineLimits, Session
from lake.ledger import events_sql
from lake.run import Event
from tests.crash_parts import (
    FIRST_FILE,
    LIMITS,
    SECOND_FILE,
    at_event,
    copy_shop,
    deliver,
    make_shop,
    run_here,
    start_run,
    store_of,
)
from tests.test_widening_crash import WIDER
from tests.versions_parts import ask, contract_of, edit

CHANGES = "select run_id, change, batch_id from ops.schema_history where change not like 'drift%' order by changed_at"
LANDINGS = "select run_id, record_count from ops.audit_log where event = 'batch-landed' order by audit_log.at"


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """A lake with one release, one more file with a new column, and a contract whose amounts are wider."""
    folder = make_shop(tmp_path_factory.mktemp("killed") / "begun", FIRST_FILE)
    assert run_here(folder).is_ok
    deliver(folder, SECOND_FILE)
    edit(contract_of(folder), *WIDER)
    return folder


@pytest.fixture(scope="module")
def events(begun, tmp_path_factory) -> list[Event]:
    """What a run of that lake tells that nobody kills."""
    told: list[Event] = []
    copy = copy_shop(begun, tmp_path_factory.mktemp("killed") / "undisturbed")
    assert run_here(copy, observers=(told.append,)).is_ok
    return told


def place_of(events: list[Event], kind: str, words: str = "") -> int:
    """Gives the number of the first event of a kind that holds some words."""
    return next(place for place, event in enumerate(events, 1) if event.kind == kind and words in str(event.details))


def kill_at(folder: Path, place: int) -> None:
    """Has the kernel kill a run at its n-th event."""
    child = start_run(folder, "--kill-at-event", str(place))
    child.communicate(timeout=120)
    assert child.returncode == -signal.SIGKILL


def lose_machine(folder: Path) -> None:
    """Leaves of a killed run what is in the lake, as when its machine is gone: no logbook."""
    shutil.rmtree(folder / "lake" / "data" / ".journal")


@pytest.mark.parametrize("words", ["widened", "added colour"])
def test_killed_runs_leave_no_gap_in_the_schema_history(begun, events, tmp_path, words):
    """D2: a change of columns that is in raw is in the history, with the run that made it, though that was killed."""
    shop = copy_shop(begun, tmp_path / "shop")
    kill_at(shop, place_of(events, "schema-changed", words))
    lose_machine(shop)
    after = run_here(shop)
    assert after.is_ok, after.failure
    changes = ask(shop, CHANGES)
    assert [change["change"].split(" from")[0] for change in changes] == [
        "created",
        "widened amount_eur",
        "added colour",
    ]
    assert changes[1]["run_id"] != after.run_id
    assert (changes[2]["run_id"] == after.run_id) == (words == "widened")


def test_killed_runs_have_their_landings_in_the_audit_log_once(begun, events, tmp_path):
    """C5: each batch in raw has its landing in the audit log, once, however many runs look at it afterwards."""
    shop = copy_shop(begun, tmp_path / "shop")
    kill_at(shop, place_of(events, "batch-landed"))
    lose_machine(shop)
    for _ in range(2):
        assert run_here(shop).is_ok
    ledger = ask(shop, "select run_id, accepted_count from ops.ingestion_log order by ended_at")
    landings = ask(shop, LANDINGS)
    assert [row["run_id"] for row in landings] == [row["run_id"] for row in ledger]
    assert [row["record_count"] for row in landings] == [row["accepted_count"] for row in ledger]


def test_killed_runs_are_told_in_the_audit_log_to_their_last_event(begun, events, tmp_path):
    """C5: what a killed run had done is in the audit log, whatever it was; the run that found it says so, once."""
    shop = copy_shop(begun, tmp_path / "shop")
    place = place_of(events, "release-published")
    kill_at(shop, place)
    first, second = run_here(shop), run_here(shop)
    assert first.is_ok, first.failure
    recovered = ask(shop, "select run_id, subject from ops.audit_log where event = 'run-recovered'")
    assert [row["run_id"] for row in recovered] == [first.run_id]
    killed = recovered[0]["subject"]
    assert killed != second.run_id
    with Session(LIMITS, store_of(shop)) as session:
        query = f'select event from ({events_sql(store_of(shop))}) where run_id = ? order by "at"'
        told = [kind for (kind,) in session.rows(query, [killed])]
    assert told == [event.kind for event in events[:place]]


def test_killed_runs_and_living_ones_are_told_apart(begun, events, tmp_path):
    """C5: a run that another one finds at work is left to itself: all that both do is in the audit log, once."""
    shop = copy_shop(begun, tmp_path / "shop")
    outcomes: list[Outcome] = []
    observer = at_event(place_of(events, "batch-landed"), lambda: outcomes.append(run_here(shop)))
    assert run_here(shop, observers=(observer,)).is_ok
    assert outcomes[0].is_ok
    assert ask(shop, "select run_id from ops.audit_log where event = 'run-recovered'") == []
    assert len(ask(shop, LANDINGS)) == 2
    assert len(ask(shop, CHANGES)) == 3
    assert list((shop / "lake" / "data" / ".journal").iterdir()) == []


def test_killed_runs_leave_no_scratch_folder_to_the_next(begun, events, tmp_path):
    """The next run removes a killed one's working files; those of a living one, and what only looks like it, stay."""
    shop, place = copy_shop(begun, tmp_path / "shop"), tmp_path / "spill"
    others = place / "sluice-projects"
    others.mkdir(parents=True)
    with (shop / ".env").open("a") as settings:
        settings.write(f"SLUICE_SPILL_DIR={place}\n")
    kill_at(shop, place_of(events, "batch-judged"))
    (abandoned,) = {*place.iterdir()} - {others}
    with Session(EngineLimits("300MB", spill_dir=place)) as living:
        assert run_here(shop).is_ok
        assert {*place.iterdir()} == {living.scratch, others}
    assert not abandoned.exists()
