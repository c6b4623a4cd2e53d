"""Widening a raw table, killed or outrun by another: every row stays, the table is narrow or wide, never empty."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lake.tables import read_version
from tests.crash_parts import (
    FIRST_FILE,
    SECOND_FILE,
    THIRD_FILE,
    at_event,
    at_write,
    catalogue_state,
    copy_shop,
    deliver,
    first_write,
    lake_state,
    make_shop,
    run_here,
    start_run,
    store_of,
)
from tests.moment_parts import last_before_writes, moments_of, new_lakes, one_of_each
from tests.versions_parts import ask, contract_of, edit

WIDER = (
    ('physicalType: "decimal(12,2)"', 'physicalType: "decimal(15,3)"'),
    ("version: 1.0.0", "version: 1.1.0"),
)
State = dict[str, list[tuple]]


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """A lake with one release, two more files, and a contract whose amounts are wider."""
    folder = make_shop(tmp_path_factory.mktemp("widening") / "begun", FIRST_FILE)
    assert run_here(folder).is_ok
    deliver(folder, SECOND_FILE)
    deliver(folder, THIRD_FILE)
    edit(contract_of(folder), *WIDER)
    return folder


@pytest.fixture(scope="module")
def undisturbed(begun, tmp_path_factory) -> tuple[State, list[str]]:
    """What its lake holds after a run that nobody disturbs, and the writes of that run."""
    folder = copy_shop(begun, tmp_path_factory.mktemp("widening") / "undisturbed")
    with at_write(0, lambda: None) as writes:
        assert run_here(folder).is_ok
    return lake_state(folder), list(writes)


def amount_type(folder: Path) -> str:
    found = read_version(store_of(folder), "raw.orders")
    assert found is not None
    assert found.row_count > 0, "raw is never empty"
    return dict(found.columns)["amount_eur"]


def die(begun: Path, folder: Path, place: int, expected: State) -> str:
    """Kills a run at a write and runs again; gives the type that raw had in between."""
    shop = copy_shop(begun, folder / f"shop-{place}")
    child = start_run(shop, "--kill-at-write", str(place))
    child.communicate(timeout=120)
    assert child.returncode == -9
    return run_again(shop, place, expected)


def run_again(shop: Path, place: object, expected: State) -> str:
    """Runs again what was killed; gives the type that raw had in between."""
    between = amount_type(shop)
    assert run_here(shop).is_ok
    assert lake_state(shop) == expected, place
    assert catalogue_state(shop) == expected, place
    return between


def test_a_run_killed_around_the_widening_ends_as_an_undisturbed_one(begun, undisturbed, tmp_path):
    """D2: killed before and after the commit that widens, a rerun gives the same lake; in between raw is whole."""
    expected, writes = undisturbed
    first = first_write(writes, "before create_write_transaction")
    assert die(begun, tmp_path, first, expected) == "DECIMAL(12,2)"
    assert die(begun, tmp_path, first + 1, expected) == "DECIMAL(15,3)"


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_run_killed_at_any_commit_ends_as_an_undisturbed_one(begun, undisturbed, tmp_path):
    """D2: the same after the first commit of that run to each table, and before any; copied where a kill would be."""
    moments = new_lakes(moments_of(copy_shop(begun, tmp_path / "moments"), tmp_path / "kept"))
    commits = one_of_each(moment for moment in moments if moment.name.startswith("after create_write_transaction"))
    tables = [moment.name.rpartition(" ")[2] for moment in commits]
    assert {*tables} >= {"raw/orders", "ops/quarantine", "marts/by_month", "marts/by_zone", "data/_releases"}
    seen = {run_again(moment.kept, moment.name, undisturbed[0]) for moment in (moments[0], *commits) if moment.kept}
    assert seen == {"DECIMAL(12,2)", "DECIMAL(15,3)"}


def test_incremental_models_over_a_widened_table_equal_full_builds(begun, undisturbed, tmp_path):
    """D2: marts that were there before and marts built from nothing are the same over a widened raw table."""
    folder = make_shop(tmp_path / "afresh", FIRST_FILE, SECOND_FILE, THIRD_FILE)
    edit(contract_of(folder), *WIDER)
    assert run_here(folder).is_ok
    afresh = lake_state(folder)
    for part in ("staging", "by_month", "by_zone"):
        assert undisturbed[0][part] == afresh[part], part
    assert {str(row[3]) for row in undisturbed[0]["staging"] if row[0] == "o1"} == {"north"}


def test_a_model_whose_own_type_stays_is_rebuilt_whole_over_other_types(tmp_path):
    """D2: text made of a widened number reads otherwise, in every partition, changed rows or not."""
    folder = make_shop(tmp_path / "shop", FIRST_FILE)
    for path in (folder / "checks" / "pipeline").iterdir():
        path.unlink()
    mart = folder / "sql" / "marts" / "by_month.sql"
    edit(
        mart,
        ("cast(sum(amount_eur) as decimal(18, 2)) as amount_eur", "max(cast(amount_eur as varchar)) as amount_eur"),
    )
    (folder / "checks" / "marts" / "by_month.yml").unlink()
    assert run_here(folder).is_ok
    edit(contract_of(folder), *WIDER)
    deliver(folder, THIRD_FILE)
    assert run_here(folder).is_ok
    shown = ask(folder, "select amount_eur from marts.by_month")
    assert all(len(row["amount_eur"].partition(".")[2]) == 3 for row in shown), shown


def race(begun: Path, folder: Path, disturb: Callable[[Path], object], place: int) -> Path:
    """Runs the pipeline, and does something to the same lake at the n-th moment around its writes."""
    shop = copy_shop(begun, folder / "shop")
    with at_write(place, lambda: disturb(shop)):
        outcome = run_here(shop)
    assert outcome.failure is None
    return shop


def test_two_runs_that_widen_at_once_widen_once(begun, undisturbed, tmp_path):
    """D2: a run that finds the table widened when it comes to commit looks again, and goes on."""
    place = first_write(undisturbed[1], "before create_write_transaction")
    shop = race(begun, tmp_path, run_here, place)
    assert lake_state(shop) == undisturbed[0]
    assert amount_type(shop) == "DECIMAL(15,3)"
    changes = ask(shop, "select change from ops.schema_history where change like 'widened%'")
    assert len(changes) == 1


def test_a_landing_under_the_old_contract_meanwhile_is_not_lost(begun, undisturbed, tmp_path):
    """D2: rows that land between reading and rewriting the table are in it, wide, after the next try."""

    def land_narrow(folder: Path) -> None:
        edit(contract_of(folder), *((new, old) for old, new in WIDER))
        assert run_here(folder).is_ok
        edit(contract_of(folder), *WIDER)

    shop = race(begun, tmp_path, land_narrow, first_write(undisturbed[1], "before create_write_transaction"))
    for part in ("raw", "ledger", "staging", "by_month", "by_zone"):
        assert lake_state(shop)[part] == undisturbed[0][part], part
    assert amount_type(shop) == "DECIMAL(15,3)"


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_runs_before_every_write_of_a_widening_run_end_alike(begun, undisturbed, tmp_path):
    """D2: a second whole run at any event right before the first writes something changes nothing of what comes out."""
    moments = moments_of(copy_shop(begun, tmp_path / "moments"))
    events = last_before_writes(moment for moment in moments if moment.place.kind == "event")
    assert len(events) >= 8
    for place in (int(event.place.number) for event in events):
        shop = copy_shop(begun, tmp_path / f"shop-{place}")
        inner: list = []
        outer = run_here(shop, observers=(at_event(place, lambda: inner.append(run_here(shop))),))  # noqa: B023
        assert (outer.failure, inner[0].failure) == (None, None), place
        assert lake_state(shop) == undisturbed[0], place
