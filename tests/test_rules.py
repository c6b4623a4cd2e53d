"""The ten rules of the lake (docs/architecture.md): a test for each that fails when the rule is broken."""

import os
import re
import time
from pathlib import Path

import deltalake
import duckdb
import pytest

from lake.engine import EngineLimits, Session
from lake.landing.batch import identify
from lake.landing.committing import is_landed
from lake.landing.judging import prepare
from lake.ledger import from_commit
from lake.project import open_project
from lake.quarantine import QUARANTINE, quarantine_view_sql
from lake.releases import current_release, resume, rollback
from lake.run import begin_run
from lake.sources.files import file_deliveries
from lake.staged_files import stage_files
from lake.tables import append_files, commit_files, read_commits, read_version
from lake.upkeep import tidy
from tests.crash_parts import (
    FIRST_FILE,
    HEADER,
    SECOND_FILE,
    THIRD_FILE,
    catalogue_state,
    deliver,
    lake_state,
    make_shop,
    run_here,
    store_of,
)
from tests.landing_parts import visit
from tests.store_parts import IN_BUCKET_AT_LENGTH, open_catalogue, put_in_bucket

FORTY_DAYS = 40 * 24 * 3600
PLAIN = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
IMPOSSIBLE = "checks for {table}:\n  - row_count > 100000\n"


both_shops = pytest.mark.parametrize("shop", ["local", "s3"], indirect=True)
both_shops_at_length = pytest.mark.parametrize("shop", IN_BUCKET_AT_LENGTH, indirect=True)


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A shop after its first run, its lake in a folder, or in a bucket where the test is marked with `both_shops`."""
    folder = make_shop(tmp_path / "shop", FIRST_FILE)
    if getattr(request, "param", "local") == "s3":
        put_in_bucket(folder, request.getfixturevalue("s3_endpoint"))
    assert run_here(folder).is_ok
    return folder


def see(shop: Path) -> Session:
    """A session that reaches the shop's lake."""
    return Session(EngineLimits(), store_of(shop))


def head(shop: Path, name: str) -> int:
    found = read_version(store_of(shop), name)
    assert found is not None
    return found.version


def released(shop: Path, session: Session) -> tuple[int, dict[str, int | None]]:
    release = current_release(session, store_of(shop))
    assert release is not None
    return release.id, {name: table.version for name, table in release.tables.items()}


def test_rules_1_delta_is_the_only_state(shop: Path) -> None:
    """Without lake.duckdb nothing is lost: the next run makes it again, and no other DuckDB file is kept."""
    before = catalogue_state(shop)
    (shop / "lake/data/lake.duckdb").unlink()
    assert run_here(shop).is_ok
    assert catalogue_state(shop) == before
    assert [path.name for path in shop.rglob("*.duckdb*")] == ["lake.duckdb"]


def test_rules_2_an_empty_batch_is_a_batch(shop: Path) -> None:
    """A header alone lands with zero counts, in a commit of its own, and lands once."""
    version = head(shop, "raw.orders")
    deliver(shop, HEADER)
    assert run_here(shop).is_ok
    assert head(shop, "raw.orders") == version + 1
    [empty] = [row for row in catalogue_state(shop)["ledger"] if row[3] == 0]
    assert empty[2:7] == ("landed", 0, 0, 0, 0)
    assert run_here(shop).is_ok
    assert head(shop, "raw.orders") == version + 1


def test_rules_2_quarantine_without_its_raw_commit_does_not_count(shop: Path) -> None:
    """Refused rows of a run that died before the raw commit are seen by nobody; the next run gives them once."""
    project, store, run = open_project(shop), store_of(shop), begin_run("dying")
    contract = project.contracts()["orders"]
    deliver(shop, SECOND_FILE)
    with see(shop) as session:
        batches = [identify(contract, delivery, run) for delivery in file_deliveries(visit(contract, shop))]
        [batch] = [batch for batch in batches if not is_landed(store, batch)]
        prepared = prepare(session, store, batch, run)
        assert prepared.refused is not None
        append_files(store, QUARANTINE, prepared.refused)
        count = f"select count(*) from ({quarantine_view_sql(store)}) where batch_id = '{batch.batch_id}'"
        assert session.value(count) == 0
        assert run_here(shop).is_ok
        assert session.value(
            f"select count(*) from ({quarantine_view_sql(store)}) where batch_id = '{batch.batch_id}'"
        ) == (prepared.quarantined_count + prepared.duplicate_count)


def test_rules_3_metadata_outlives_the_log(shop: Path) -> None:
    """After forty days and many commits, by a writer that knows nothing of us, ledger and versions are there."""
    store = store_of(shop)
    uri = store.table_uri("raw.orders")
    rows = deltalake.DeltaTable(uri).to_pyarrow_table().slice(0, 0)
    for _ in range(3):
        for log in Path(uri, "_delta_log").iterdir():
            os.utime(log, (time.time() - FORTY_DAYS, time.time() - FORTY_DAYS))
        for _ in range(20):
            deltalake.write_deltalake(uri, rows, mode="append")
        deltalake.DeltaTable(uri).create_checkpoint()
    records = [record for commit in read_commits(store, "raw.orders", 0) if (record := from_commit(commit)) is not None]
    assert [record.read_count for record in records] == [catalogue_state(shop)["ledger"][0][3]]
    assert read_version(store, "raw.orders", 1) is not None


def test_rules_4_landing_again_is_asked_for(shop: Path) -> None:
    """A new contract alone lands nothing again: what is in raw stays as it was judged."""
    version = head(shop, "raw.orders")
    contract = shop / "lake/contracts/orders.yaml"
    contract.write_text(contract.read_text().replace("version: 1.0.0", "version: 1.1.0"))
    assert run_here(shop).is_ok
    assert head(shop, "raw.orders") == version


def test_rules_5_memory_is_bounded_by_the_setting(tmp_path: Path) -> None:
    """Four million records are judged whole with 100 MB for DuckDB: what does not fit is spilled."""
    folder = make_shop(tmp_path / "shop")
    big = folder / "inbox" / "big.csv"
    with duckdb.connect() as client:
        rows = "select 'o' || i, date '2026-01-01' + (i % 50)::int, 'north', (i % 9)::decimal(12, 2)"
        client.execute(f"copy ({rows} from range(4000000) t(i)) to '{folder / 'rows.csv'}' (header false)")
    big.write_text(HEADER + (folder / "rows.csv").read_text())
    project, store, run = open_project(folder), store_of(folder), begin_run("small")
    contract = project.contracts()["orders"]
    [delivery] = file_deliveries(visit(contract, folder))
    with Session(EngineLimits("100MB", 2)) as session:
        prepared = prepare(session, store, identify(contract, delivery, run), run)
    assert (prepared.read_count, prepared.accepted_count) == (4_000_000, 4_000_000)


@both_shops
def test_rules_6_a_gate_closed_on_the_second_mart_keeps_the_first_back(shop: Path) -> None:
    """No mart is committed and no release published when one of two fails."""
    (shop / "checks/marts/by_zone.yml").write_text(IMPOSSIBLE.format(table="by_zone"))
    deliver(shop, THIRD_FILE)
    heads = {name: head(shop, name) for name in ("marts.by_month", "marts.by_zone")}
    with see(shop) as session:
        before, state = released(shop, session), catalogue_state(shop)["by_month"]
        outcome = run_here(shop)
        assert outcome.failure is not None
        assert outcome.failure.code == "gate-failed"
        assert released(shop, session) == before
    assert {name: head(shop, name) for name in heads} == heads
    assert catalogue_state(shop)["by_month"] == state


@both_shops_at_length
def test_rules_7_a_head_ahead_of_the_release_is_taken_back(shop: Path) -> None:
    """Rows of a mart that were committed and never published are seen by nobody, and not built upon."""
    store, state = store_of(shop), catalogue_state(shop)
    with see(shop) as session:
        found = read_version(store, "marts.by_month")
        assert found is not None
        wrong = (
            f"select * replace (1000::bigint as order_count) from read_parquet({[file.path for file in found.files]!r})"
        )
        staged = stage_files(session, store, "marts.by_month", wrong, partition=found.partition)
        commit_files(store, "marts.by_month", staged, expected_version=found.version)
    assert run_here(shop).is_ok
    assert catalogue_state(shop) == state
    deliver(shop, THIRD_FILE)
    assert run_here(shop).is_ok
    counts = [row for row in catalogue_state(shop)["by_month"] if 1000 in row]
    assert counts == []


def test_rules_7_a_rollback_holds_against_the_next_run(shop: Path) -> None:
    """After a rollback the next run lands and publishes nothing of what is held; resuming lets it."""
    store, first = store_of(shop), catalogue_state(shop)["by_month"]
    deliver(shop, THIRD_FILE)
    assert run_here(shop).is_ok
    second = catalogue_state(shop)["by_month"]
    assert second != first
    with see(shop) as session:
        rollback(session, store, 1, begin_run("person"))
        deliver(shop, HEADER + "o20,2026-03-05,north,1.00\n")
        assert run_here(shop).is_ok
        assert catalogue_state(shop)["by_month"] == first
        resume(session, store, begin_run("person"))
    assert run_here(shop).is_ok
    assert len(catalogue_state(shop)["by_month"]) >= len(second)
    assert catalogue_state(shop)["by_month"] not in (first, second)


@both_shops_at_length
def test_rules_8_only_touched_partitions_are_rebuilt_and_a_changed_text_rebuilds_all(shop: Path) -> None:
    """A late line rebuilds its month's file and leaves the others; another text of the model leaves none."""
    store = store_of(shop)

    def files() -> set[str]:
        found = read_version(store, "marts.by_month")
        assert found is not None
        return {file.path for file in found.files}

    before = files()
    deliver(shop, HEADER + "o30,2026-01-20,north,1.00\n")
    assert run_here(shop).is_ok
    after = files()
    assert len(before & after) == len(before) - 1
    model = shop / "sql/marts/by_month.sql"
    model.write_text(re.sub(r"count\(\*\) as order_count", "count(order_id) as order_count", model.read_text()))
    assert run_here(shop).is_ok
    assert not files() & after


@both_shops_at_length
def test_rules_9_vacuum_keeps_what_kept_releases_name(shop: Path) -> None:
    """After the harshest upkeep the kept releases still answer, and a rollback to one of them works."""
    store, first = store_of(shop), catalogue_state(shop)["by_month"]
    deliver(shop, THIRD_FILE)
    assert run_here(shop).is_ok
    with see(shop) as session:
        tidy(session, store, begin_run("person"), keep_releases=2, keep_hours=0)
        second = lake_state(shop)["by_month"]
        rollback(session, store, 1, begin_run("person"))
    assert lake_state(shop)["by_month"] == first != second


@both_shops_at_length
def test_rules_10_the_catalogue_needs_no_extension_and_survives_a_failed_run(shop: Path) -> None:
    """Any DuckDB client reads lake.duckdb, by httpfs alone when it is in a bucket, also after a run that failed."""
    (shop / "checks/marts/by_zone.yml").write_text(IMPOSSIBLE.format(table="by_zone"))
    deliver(shop, THIRD_FILE)
    assert run_here(shop).failure is not None
    with open_catalogue(shop / "lake/data/lake.duckdb", store_of(shop), PLAIN) as client:
        assert client.sql("select count(*) from marts.by_month").fetchall() != [(0,)]
        assert client.sql("select count(*) from ops.validation_results where outcome = 'fail'").fetchall() != [(0,)]
        loaded = {
            row[0] for row in client.sql("select extension_name from duckdb_extensions() where loaded").fetchall()
        }
    assert loaded & {"delta", "httpfs"} == ({"httpfs"} if "://" in store_of(shop).uri else set())
