"""D15: how a delivery is taken: under our names for its columns, and in the place of all rows there are."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.landing import visit_sources
from flows.outcome import Outcome
from flows.steps import plain_step
from lake.archive_places import archive_key
from lake.contract import Column
from lake.errors import ContractError
from lake.odcs.reader import read_contract
from lake.project import open_project
from lake.run import begin_run
from lake.table_versions import Store
from lake.tables import read_version
from tests.crash_parts import (
    HEADER,
    at_write,
    copy_shop,
    deliver,
    first_write,
    lake_state,
    run_here,
    settings_of,
    start_run,
)
from tests.landing_parts import SHOP, contract_with, land, raw_rows
from tests.upload_parts import landed, take
from tests.versions_parts import ask, contract_of, edit, simple_shop, sluice, sluice_said

MONDAY = HEADER + "o1,2026-01-10,north,10.00\no2,2026-02-11,south,2.50\no3,2026-02-12,south,1.25\n"
TUESDAY = HEADER + "o1,2026-01-10,north,10.00\no2,2026-02-11,south,3.00\n"
NOTHING = HEADER
REFUSED = HEADER + "o1,never,north,10.00\n"
REPLACE = ("      - {property: driftPolicy, value: evolve}\n", "      - {property: loadMode, value: replace}\n")
EMPTY_OK = "    quality:\n      - {type: custom, name: may-be-empty, engine: soda, implementation: row_count >= 0}\n"
ORDERS = "select order_id, cast(amount_eur as varchar) as amount from raw.orders order by all"
MONTHS = (
    "select cast(sold_month as varchar) as month, sum(order_count) as orders from marts.by_month group by 1 order by 1"
)


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """A shop whose deliveries are the whole table, after the first."""
    folder = simple_shop(tmp_path_factory.mktemp("begun") / "shop")
    edit(contract_of(folder), REPLACE)
    send(folder, MONDAY, age_seconds=300)
    assert run_here(folder).is_ok
    return folder


@pytest.fixture
def shop(begun, tmp_path) -> Path:
    """A copy of it."""
    return copy_shop(begun, tmp_path / "shop")


def send(folder: Path, text: str, *, age_seconds: int = 0, name: str = "orders.csv") -> Path:
    """Delivers a file over the one before it, changed some seconds ago."""
    path = deliver(folder, text, name)
    changed = path.stat().st_mtime - age_seconds
    os.utime(path, (changed, changed))
    return path


def run(folder: Path) -> Outcome:
    outcome = run_here(folder)
    assert outcome.is_ok
    return outcome


def orders(folder: Path) -> list[tuple[str, str]]:
    return [(row["order_id"], row["amount"]) for row in ask(folder, ORDERS)]


def ledger(folder: Path) -> list[tuple]:
    query = "select status, read_count, accepted_count, quarantined_count, duplicate_count from ops.ingestion_log"
    return [tuple(row.values()) for row in ask(folder, f"{query} order by ended_at")]


def test_columns_land_under_our_names(tmp_path):
    """D15: `physicalName` maps the source's name to ours; quarantine keeps the source's own."""
    store = Store(str(tmp_path / "lake"), {})
    path = tmp_path / "a.csv"
    path.write_text(
        "Order No.,day,region,units,price,note\na1,2026-01-01,North,1,1.50,x\na2,2026-01-01,North,-1,1.50,x\n"
    )
    columns = (Column("sale_id", "Order No.", "varchar", required=True), *SHOP.columns[1:])
    land(store, path, contract_with(columns=columns))
    assert raw_rows(store, "sale_id, price_eur")[0][0] == "a1"
    assert "Order No." not in dict(read_version(store, "raw.shop").columns)


def test_each_delivery_takes_the_place_of_all_rows(shop):
    """D15: changed and deleted rows show in raw and in a partitioned mart; the ledger balances; old versions stay."""
    before = ask(shop, "select max(version) as version from ops.releases where table_name = 'raw.orders'")[0]["version"]
    assert [row["orders"] for row in ask(shop, MONTHS)] == [1, 2]
    send(shop, TUESDAY, age_seconds=200)
    run(shop)
    assert orders(shop) == [("o1", "10.00"), ("o2", "3.00")]
    assert [row["orders"] for row in ask(shop, MONTHS)] == [1, 1]
    assert ledger(shop) == [("landed", 3, 3, 0, 0), ("landed", 2, 2, 0, 0)]
    old = read_version(Store(str(shop / "lake" / "data"), {}), "raw.orders", before)
    assert old.row_count == 3
    incremental = ask(shop, "from marts.by_month order by all")
    edit(shop / "sql" / "marts" / "by_month.sql", ("count(*) as order_count", "count(1) as order_count"))
    run(shop)
    assert ask(shop, "from marts.by_month order by all") == incremental


def test_repeats_are_judged_within_the_delivery(shop):
    """D15: a record that the table had before is no duplicate; one that comes twice in a delivery is."""
    send(shop, TUESDAY + "o2,2026-02-11,south,3.00\n", age_seconds=200)
    run(shop)
    assert ledger(shop)[-1] == ("landed", 3, 2, 0, 1)


def test_an_earlier_content_that_comes_again_is_news(shop):
    """D15: A, B, then A again ends in A, once; looking again, or at an older file, changes nothing."""
    send(shop, TUESDAY, age_seconds=200)
    run(shop)
    send(shop, MONDAY, age_seconds=100)
    run(shop)
    assert len(orders(shop)) == 3
    run(shop)
    assert len(ledger(shop)) == 3
    send(shop, TUESDAY, age_seconds=250, name="older.csv")
    run(shop)
    assert (len(orders(shop)), len(ledger(shop))) == (3, 3)
    send(shop, TUESDAY, age_seconds=50)
    run(shop)
    assert (len(orders(shop)), len(ledger(shop))) == (2, 4)


@pytest.mark.parametrize(("text", "read"), [(NOTHING, 0), (REFUSED, 1)])
def test_a_delivery_that_would_empty_the_table_waits_for_a_person(shop, text, read):
    """D15: with no record accepted the table stays as it is and the batch is held; admitted, it empties the table."""
    send(shop, text, age_seconds=200)
    assert not run_here(shop).is_ok
    assert len(orders(shop)) == 3
    held = ask(shop, "select batch_id, error from ops.ingestion_log where status = 'held'")
    assert f"None of its {read} records was accepted" in held[0]["error"]
    sluice(shop, "batch", "admit", held[0]["batch_id"])
    run(shop)
    assert orders(shop) == []
    assert ask(shop, MONTHS) == []


def test_a_contract_may_allow_an_empty_table(shop):
    """D15: where the contract says that no row is enough, an empty delivery empties the table; a refused one not."""
    edit(contract_of(shop), ("    properties:\n", f"{EMPTY_OK}    properties:\n"))
    send(shop, REFUSED, age_seconds=200)
    assert not run_here(shop).is_ok
    send(shop, NOTHING, age_seconds=100)
    run(shop)
    assert orders(shop) == []


def test_a_held_delivery_cannot_take_the_place_of_a_newer_one(shop):
    """D15: what another delivery has replaced is neither admitted nor replayed nor landed again."""
    first = ask(shop, "select batch_id from ops.ingestion_log")[0]["batch_id"]
    send(shop, REFUSED, age_seconds=200)
    assert not run_here(shop).is_ok
    held = ask(shop, "select batch_id from ops.ingestion_log where status = 'held'")[0]["batch_id"]
    send(shop, TUESDAY, age_seconds=100)
    run(shop)
    for command in (("batch", "admit", held), ("batch", "reland", first), ("quarantine", "replay", first)):
        code, said = sluice_said(shop, *command)
        assert (code, "batch-superseded" in said) == (1, True), command
    sluice(shop, "batch", "refuse", held)
    assert orders(shop) == [("o1", "10.00"), ("o2", "3.00")]


@pytest.mark.parametrize("kind", ["admit", "reland"])
def test_an_overtaken_delivery_does_not_land_though_it_was_the_newest_when_asked_for(shop, kind):
    """D15: a newer one that lands while the archive gives the older one's bytes back stays: the older is told so."""
    batch = ask(shop, "select batch_id from ops.ingestion_log")[0]["batch_id"]
    if kind == "admit":
        send(shop, REFUSED, age_seconds=200)
        assert take(shop) is not None
        batch = ask(shop, "select batch_id from ops.ingestion_log where status = 'held'")[0]["batch_id"]
    checksum = ask(shop, f"select checksum from ops.ingestion_log where batch_id = '{batch}'")[0]["checksum"]
    archived = shop / "lake" / "data" / archive_key(checksum)
    packed = archived.read_bytes()
    archived.unlink()
    os.mkfifo(archived)  # whoever asks for the bytes gets them once the other has landed
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(sluice_said, shop, "batch", kind, batch)
        with archived.open("wb") as pipe:
            send(shop, TUESDAY, age_seconds=100)
            assert take(shop) is None
            pipe.write(packed)
        code, said = told.result()
    assert landed(shop) == ["o1", "o2"]
    assert (code, "batch-superseded" in said) == (1, True), said


def test_a_held_delivery_of_a_machine_whose_clock_is_behind_can_be_admitted(shop):
    """D15: it came after what the table holds, whatever the clocks say; nothing has replaced it."""
    send(shop, REFUSED, age_seconds=200)
    assert take(shop, clock=lambda: datetime.now(UTC) - timedelta(hours=2)) is not None
    held = ask(shop, "select batch_id from ops.ingestion_log where status = 'held'")[0]["batch_id"]
    sluice(shop, "batch", "admit", held)
    assert landed(shop) == []


def test_replay_and_reland_of_the_present_delivery_keep_the_rest(shop, tmp_path):
    """D15: a mended record joins the rows of its delivery; landing that again replaces its own rows only."""
    send(shop, TUESDAY + "o9,2026-03-01,west,oops\n", age_seconds=200)
    run(shop)
    batch = ask(shop, "select batch_id from ops.ingestion_log order by ended_at desc")[0]["batch_id"]
    (tmp_path / "mended.csv").write_text("line,amount_eur\n4,7.00\n")
    sluice(shop, "quarantine", "replay", batch, "--with", str(tmp_path / "mended.csv"))
    sluice(shop, "batch", "reland", batch)
    run(shop)
    assert orders(shop) == [("o1", "10.00"), ("o2", "3.00"), ("o9", "7.00")]


def test_a_stream_cannot_replace_its_table(shop):
    """D15: one message is never the whole table; the contract says so at once."""
    edit(contract_of(shop), (REPLACE[1], f"{REPLACE[1]}      - {{property: delivery, value: stream}}\n"))
    with pytest.raises(ContractError, match="'loadMode' is 'replace', and 'delivery' is 'stream'"):
        read_contract(contract_of(shop))


@pytest.mark.soak
def test_a_replacement_killed_while_it_lands_is_the_old_table_or_the_new(shop, tmp_path):
    """D15: whatever write of the landing a run dies at, raw holds one delivery whole, and a rerun ends as it would."""
    send(shop, TUESDAY, age_seconds=200)
    undisturbed = copy_shop(shop, tmp_path / "undisturbed")
    with at_write(0, lambda: None) as writes:
        run(undisturbed)
    expected = lake_state(undisturbed)
    seen = set()
    for place in range(1, first_write(writes, "after create_write_transaction") + 2):
        folder = copy_shop(shop, tmp_path / f"killed-{place}")
        child = start_run(folder, "--kill-at-write", str(place))
        child.communicate(timeout=120)
        assert child.returncode == -signal.SIGKILL
        head = read_version(Store(str(folder / "lake" / "data"), {}), "raw.orders")
        assert head is not None
        seen.add(head.row_count)
        run(folder)
        assert lake_state(folder) == expected, place
    assert seen == {3, 2}


def test_replace_a_visit_tells_what_has_landed_before_it_found_nothing_more(shop):
    """What a run had written down already, looking for what had landed meanwhile, is news all the same."""
    send(shop, TUESDAY)
    send(shop, TUESDAY, name="z.csv")
    outcome, failure = visit_sources(open_project(shop), settings_of(shop), begin_run("tester"), (), plain_step)
    assert failure is None
    assert outcome is not None
    assert [found.batches for found in outcome.sources] == [1]
