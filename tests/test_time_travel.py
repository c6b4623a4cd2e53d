"""D15: the lake as of a release or an instant, one table put back, and the hold that keeps the next run from it."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lake.table_versions import Store
from lake.tables import read_version
from tests.crash_parts import copy_shop, deliver, run_here
from tests.versions_parts import FIRST, SECOND, ask, simple_shop, sluice, sluice_said

ORDERS = "select order_id from raw.orders order by 1"
BY_ZONE = "select cast(sum(order_count) as integer) as orders from marts.by_zone"
BY_MONTH = "select cast(sum(order_count) as integer) as orders from marts.by_month"


def one(rows: list[dict]) -> object:
    return next(iter(rows[0].values()))


@pytest.fixture(scope="module")
def two_releases(tmp_path_factory) -> Path:
    """A shop whose release 1 shows two orders and whose release 2 shows four."""
    folder = simple_shop(tmp_path_factory.mktemp("travel") / "shop", FIRST)
    assert run_here(folder).is_ok
    deliver(folder, SECOND)
    assert run_here(folder).is_ok
    return folder


@pytest.fixture
def shop(two_releases, tmp_path) -> Path:
    """A copy of it."""
    return copy_shop(two_releases, tmp_path / "shop")


def published(folder: Path, release: int) -> datetime:
    rows = ask(folder, f"select max(published_at) as at from ops.releases where release_id = {release}")
    return datetime.fromisoformat(rows[0]["at"])


def test_sql_as_of_a_release_or_an_instant_shows_that_state_whole(two_releases, monkeypatch):
    """D15: by number, by an instant with offset, or in the project's zone: raw, staging and marts of one release."""
    monkeypatch.setenv("SLUICE_TIMEZONE", "Asia/Kolkata")
    second = published(two_releases, 2)
    before = second - timedelta(microseconds=1)
    zone = ZoneInfo("Asia/Kolkata")
    local = before.astimezone(zone).replace(tzinfo=None)
    for as_of, count in [
        ("1", 2),
        ("2", 4),
        (before.isoformat(), 2),
        (second.isoformat(), 4),
        (local.isoformat(), 2),
        ((second.astimezone(zone) + timedelta(days=1)).date().isoformat(), 4),
    ]:
        counts = "select (select count(*) from raw.orders) as r, (select count(*) from staging.stg_orders) as s"
        assert ask(two_releases, counts, "--as-of", as_of) == [{"r": count, "s": count}], as_of
        assert one(ask(two_releases, BY_ZONE, "--as-of", as_of)) == count
    assert one(ask(two_releases, BY_ZONE)) == 4


@pytest.mark.parametrize(
    ("as_of", "code", "said"),
    [
        ("9", "release-unknown", "There is no release 9."),
        ("1999-12-31", "release-unknown", "No release was current at 1999-12-31T00:00:00"),
        ("yesterday", "instant-unreadable", "'yesterday' is neither the number of a release nor an instant"),
    ],
)
def test_what_names_no_state_is_told(two_releases, as_of, code, said):
    """D15: an unknown release, an instant before the first, and a word each get their own message."""
    status, told = sluice_said(two_releases, "sql", BY_ZONE, "--as-of", as_of)
    assert (status, code in told, said in told) == (1, True, True), told


def test_rollback_as_of_an_instant_is_one_release(shop):
    """D15: the whole lake as it was then, published in one step and held."""
    instant = (published(shop, 2) - timedelta(microseconds=1)).isoformat()
    told = sluice(shop, "release", "rollback", "--as-of", instant)
    assert told.startswith("Release 3 shows what release 1 showed")
    assert one(ask(shop, BY_ZONE)) == 2
    status, told = sluice_said(shop, "release", "rollback")
    assert (status, "Give the number of a release, or --as-of." in told) == (2, True)


def test_restoring_a_mart_puts_back_it_alone_and_holds_it(shop):
    """D15: the next runs leave the restored mart as it was, whatever lands, until its hold is lifted."""
    told = sluice(shop, "release", "restore", "marts.by_zone", "--as-of", "1")
    assert "only this table was put back" in told
    assert (one(ask(shop, BY_ZONE)), one(ask(shop, BY_MONTH))) == (2, 4)
    deliver(shop, FIRST.replace("\no", "\np"))
    assert run_here(shop).is_ok
    assert one(ask(shop, BY_ZONE)) == 2
    assert one(ask(shop, BY_MONTH)) > 4
    status, told = sluice_said(shop, "release", "resume", "marts.by_month")
    assert (status, "marts.by_month is not held" in told) == (1, True)
    sluice(shop, "release", "resume", "marts.by_zone")
    assert run_here(shop).is_ok
    assert one(ask(shop, BY_ZONE)) == one(ask(shop, BY_MONTH))


def test_restoring_a_raw_table_pins_it_and_loses_nothing(shop):
    """D15: raw goes on landing; readers and models keep to the older version, together, until the hold is lifted."""
    store = Store(str(shop / "lake" / "data"), {})
    head = read_version(store, "raw.orders")
    sluice(shop, "release", "restore", "orders", "--as-of", "1")
    assert [row["order_id"] for row in ask(shop, ORDERS)] == ["o1", "o2"]
    assert one(ask(shop, BY_ZONE)) == 4
    assert read_version(store, "raw.orders").version == head.version
    deliver(shop, FIRST.replace("\no", "\np"))
    assert run_here(shop).is_ok
    assert [row["order_id"] for row in ask(shop, ORDERS)] == ["o1", "o2"]
    assert (one(ask(shop, BY_ZONE)), one(ask(shop, BY_MONTH))) == (2, 2)
    ledger = (
        "select sum(read_count - accepted_count - quarantined_count - duplicate_count) as rest from ops.ingestion_log"
    )
    assert one(ask(shop, ledger)) == 0
    sluice(shop, "release", "resume")
    assert run_here(shop).is_ok
    orders = len(ask(shop, ORDERS))
    assert orders > 4
    assert (one(ask(shop, BY_ZONE)), one(ask(shop, BY_MONTH))) == (orders, orders)


def test_what_vacuum_has_deleted_is_told_and_never_published(shop):
    """D15: an older state whose files are gone is a clear message to whoever asks for it; the rest can be read."""
    store = Store(str(shop / "lake" / "data"), {})
    old = {row["table_name"]: row["version"] for row in ask(shop, "from ops.releases where release_id = 1")}
    kept = {file.path for file in read_version(store, "marts.by_zone").files}
    for file in read_version(store, "marts.by_zone", old["marts.by_zone"]).files:
        assert file.path not in kept
        Path(file.path).unlink()
    status, told = sluice_said(shop, "sql", "from marts.by_zone", "--as-of", "1")
    assert (status, "marts.by_zone as of release 1 is gone" in told, "version-vacuumed" in told) == (1, True, True)
    assert one(ask(shop, BY_MONTH, "--as-of", "1")) == 2
    for command in (("rollback", "1"), ("restore", "marts.by_zone", "--as-of", "1")):
        status, told = sluice_said(shop, "release", *command)
        assert (status, "version-vacuumed" in told) == (1, True), told
    assert one(ask(shop, BY_ZONE)) == 4


@pytest.mark.parametrize(
    ("name", "said"),
    [("marts.by_zones", "Did you mean 'marts.by_zone'?"), ("nothing_like_it", "See `sluice release show 1`.")],
)
def test_a_table_that_was_not_released_is_told(two_releases, name, said):
    """D15: a name that the release does not have gets the nearest one."""
    status, told = sluice_said(two_releases, "release", "restore", name, "--as-of", "1")
    assert (status, "table-not-released" in told, said in told) == (1, True, True), told
