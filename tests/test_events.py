"""Events of the site, whole: incremental by day in the real builder, late events, equal digests, checks that fail."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from checks.suites import find_suites
from lake.demo.events import DAYS, events_tables
from lake.engine import Session
from tests.commerce_parts import ROOT, BodyRun, deliver, make_project, run_marts
from tests.damage_parts import OPERATIONS, common_damages, copied, expect_noticed, failing_on_nothing, mend

MART, PAGE = "events_daily", "site_traffic"
STAGED, DAILY, PIPELINE = "staging.stg_site_events", "marts.events_daily", "pipeline.events_reconciliation"
TABLES = (STAGED, DAILY, "raw.site_events")
SUITES = {suite.table_name: suite for suite in find_suites(ROOT / "checks") if suite.table_name in (*TABLES, PIPELINE)}
NOW = datetime.now(UTC)
DIGEST = "select count(*), sum(event_count)::bigint, bit_xor(hash(d)) from marts.events_daily as d"
LATE_DAYS = ("2025-10-05", "2025-10-20")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> BodyRun:
    project = make_project(tmp_path_factory.mktemp("site"), [PAGE])
    planted = deliver(project, events_tables(6_000))
    return BodyRun(project, planted, run_marts(project, (MART,), (PAGE,)))


def late_events(folder: Path, name: str) -> None:
    rows = [
        {
            "event_id": f"EVT-LATE-{day}", "occurred_on": day, "occurred_at": f"{day}T00:10:00+05:30",
            "kind": "search", "session_id": "VIS-LATE", "visitor_id": "BRW-LATE", "path": "/",
        }
        for day in LATE_DAYS
    ]  # fmt: skip
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def files_by_day(project: Path) -> dict[str, set[str]]:
    folder = project / "lake/data/marts/events_daily"
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*.parquet"):
        found.setdefault(path.parent.name, set()).add(path.name)
    return found


def test_events_are_those_of_polars_on_every_day(site: BodyRun) -> None:
    """All days are kept, each with polars' events, visits and browsers; ledger and exceptions are what was planted."""
    assert site.outcome.failure is None
    planted = site.planted["site_events"]
    categories = dict(site.ask("select category, count(*) from ops.exceptions group by all"))
    assert categories == {name: count for name, count in planted.by_category.items() if count}
    good = site.delivered("site_events").filter(
        pl.col("session_id").is_not_null(), pl.col("kind") != "teleport", pl.col("occurred_on") >= "2025-01-01"
    )
    assert len(good) == planted.good_count
    summed = good.group_by("occurred_on", "kind").agg(
        pl.len(), pl.col("session_id").n_unique(), pl.col("visitor_id").n_unique()
    )
    expected = {(date.fromisoformat(day), *rest) for day, *rest in summed.rows()}
    found = site.ask("select occurred_on, kind, event_count, session_count, visitor_count from marts.events_daily")
    assert set(found) == expected
    assert site.ask("select count(distinct occurred_on) from marts.events_daily") == [(DAYS,)]


def test_events_late_rebuild_their_days_only(site: BodyRun) -> None:
    """A rerun changes nothing; late events rebuild their two days and no other file."""
    before = site.ask(DIGEST)
    again = run_marts(site.project, (MART,), (PAGE,))
    assert (again.failure, again.is_new_release, site.ask(DIGEST)) == (None, False, before)
    stood = files_by_day(site.project)
    late_events(site.project / "lake/data/inbox/site_events", "late")
    outcome = run_marts(site.project, (MART,), (PAGE,))
    assert outcome.failure is None
    built = site.ask(
        "select details ->> 'decision', details ->> 'partitions' from ops.audit_log where event = 'model-built'"
        f" and subject = '{DAILY}' and run_id = '{outcome.run_id}'"
    )
    assert [(decision, json.loads(str(days))) for decision, days in built] == [("partitions", list(LATE_DAYS))]
    now = files_by_day(site.project)
    assert {day for day, names in now.items() if names != stood.get(day)} == {f"occurred_on={day}" for day in LATE_DAYS}
    assert site.ask(DIGEST) != before


def test_events_readers_ask_for_thirty_days(site: BodyRun) -> None:
    """The page shows the last 30 of the days that are kept."""
    html = (site.project / f"lake/data/pages/{PAGE}.html").read_text("utf-8")
    [(last,)] = site.ask("select max(occurred_on) from marts.events_daily")
    assert isinstance(last, date)
    shown = [day for (day,) in site.ask("select distinct occurred_on from marts.events_daily") if f'"{day}"' in html]
    assert len(shown) == 30
    assert max(shown) == last


ONE = "where rowid = 0"
OWN = {
    STAGED: [
        (f"update {STAGED} set kind = 'teleport' {ONE}", "kind is one of the contract's", "fail"),
        (
            f"update {STAGED} set occurred_on = occurred_on + 1 {ONE}",
            "the day is the Indian day of the instant",
            "fail",
        ),
        (
            f"update {STAGED} set _ingested_at = _ingested_at - interval 3 day",
            "a delivery came within 2 days",
            "warn",
        ),
    ],
    DAILY: [
        (
            f"update {DAILY} set session_count = event_count + 1 {ONE}",
            "visits and browsers are no more than events, and at least one",
            "fail",
        ),
        (
            f"update {DAILY} set event_count = 0 where kind = 'checkout' and occurred_on > '2025-10-01'",
            "enough visits end in a checkout",
            "warn",
        ),
        (f"delete from {DAILY} where kind = 'checkout'", "enough visits end in a checkout", "fail"),
        (
            f"delete from {DAILY} where occurred_on = '2025-10-07'",
            "no day between the first and the last is without an event",
            "warn",
        ),
    ],
    PIPELINE: [
        (
            "update ops.ingestion_log set read_count = read_count + 1",
            "source and clean - each batch's events are accepted, quarantined or duplicate",
            "fail",
        ),
        (
            f"delete from {DAILY} {ONE}",
            "clean and marts - each day has the events that were accepted for it",
            "fail",
        ),
    ],
}


@pytest.fixture(scope="module")
def lake(site: BodyRun) -> Iterator[Session]:
    with copied(site.project, TABLES) as opened:
        yield opened


@pytest.fixture
def session(lake: Session) -> Iterator[Session]:
    """Gives plain tables of the site; whatever a test does to them is mended after it."""
    yield lake
    mend(lake, (*TABLES, *OPERATIONS))


@pytest.mark.parametrize("table", SUITES)
def test_events_checks_notice_damage(session: Session, table: str) -> None:
    """Each check passes on good tables, and each is seen to notice the damage it is there for."""
    expect_noticed(session, SUITES[table], [*common_damages(SUITES[table]), *OWN[table]], NOW)


@pytest.mark.parametrize("table", SUITES)
def test_events_checks_pass_or_warn_on_nothing(session: Session, table: str) -> None:
    """A site that has not sent an event yet stops nothing."""
    assert failing_on_nothing(session, SUITES[table], TABLES, NOW) == set()
