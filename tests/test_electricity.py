"""Electricity readings, whole: pulled from the demo's API, reconciled with the invoices, totals told apart from it."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from checks.suites import find_suites
from flows.landing import land_sources, visit_sources
from flows.steps import plain_step
from lake.demo.footprint import footprint_tables
from lake.demo.meters import SILENT_METER, SLOW_METER, meter_tables
from lake.demo.planting import Planted, plant_all
from lake.engine import EngineLimits, Session
from lake.errors import ContractError, SourceError
from lake.odcs.reader import read_contract
from lake.project import open_project
from lake.run import begin_run
from lake.settings import Settings
from lake.sources.http.endpoint import find_address
from tests.commerce_parts import ROOT, BodyRun, deliver, make_project, run_marts
from tests.damage_parts import (
    OPERATIONS,
    Damage,
    common_damages,
    copied,
    expect_noticed,
    failing_on_nothing,
    mend,
)
from tests.meter_parts import SECRET, metered

SOURCE = "electricity_readings"
MARTS = ("electricity_daily", "electricity_reconciliation")
ROWS = 4_000  # one reading a day of each meter


@dataclass(frozen=True)
class Meters:
    """A project that has pulled its meters once: the run, what the API was given, and what that log said."""

    body: BodyRun
    readings: Planted

    def ask(self, query: str) -> list[tuple[object, ...]]:
        return self.body.ask(query)


def bare_project(folder: Path) -> Path:
    """Gives the project without its pages, which take their time."""
    project = make_project(folder, [])
    shutil.rmtree(project / "reports")
    return project


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    project = bare_project(tmp_path_factory.mktemp("meters"))
    planted = deliver(project, footprint_tables(10)[:1])
    with metered(project, ROWS) as readings:
        yield Meters(BodyRun(project, planted, run_marts(project, MARTS, ())), readings)


@pytest.fixture(scope="module")
def good(meters: Meters) -> pl.DataFrame:
    """What landed of every reading, by polars: the version that was reported last, of the good records."""
    given = pl.read_ndjson(meters.readings.path)
    return (
        given.filter(
            pl.col("meter_id").is_not_null(),
            pl.col("kwh") != "n/a",
            pl.col("status") != "maybe",
            pl.col("reported_at") > "2025",
        )
        .sort("reported_at", maintain_order=True)
        .unique("reading_id", keep="last", maintain_order=True)
        .with_columns(pl.col("kwh").cast(pl.Decimal(18, 3)), day=pl.col("begins_at").str.head(10).str.to_date())
    )


def test_electricity_ledger_is_what_was_planted(meters: Meters) -> None:
    """Each reading is accepted, quarantined by its planted fault, or a duplicate; the API was busy, and asked again."""
    assert meters.body.outcome.failure is None
    counts = "read_count, accepted_count, quarantined_count, duplicate_count"
    [ledger] = meters.ask(f"select {counts} from ops.ingestion_log where source = '{SOURCE}'")
    planted = meters.readings
    repeats = planted.by_fault["repeat"]
    assert repeats > 0
    assert ledger == (planted.line_count, planted.good_count, sum(planted.by_fault.values()) - repeats, repeats)
    found = dict(meters.ask(f"select category, count(*) from ops.exceptions where source = '{SOURCE}' group by all"))
    assert found == dict(planted.by_category)
    assert meters.ask("select count(*) from ops.audit_log where event = 'request-retried'") == [(1,)]
    assert meters.ask("select table_name, check_name from ops.validation_results where outcome <> 'pass'") == []


def test_electricity_of_days_is_that_of_polars(meters: Meters, good: pl.DataFrame) -> None:
    """Each site and day has the kilowatt-hours of its readings, to the watt-hour, and their number."""
    expected = good.group_by("site", "day").agg(
        pl.len(), pl.col("meter_id").n_unique(), pl.col("kwh").sum(), (pl.col("status") == "estimated").sum()
    )
    columns = "site, read_on, reading_count, meter_count, kwh, estimate_count"
    assert set(meters.ask(f"select {columns} from marts.electricity_daily")) == set(expected.rows())
    assert good["kwh"].sum() > 2_000_000


def test_electricity_invoices_get_the_verdict_their_meter_was_given(meters: Meters, good: pl.DataFrame) -> None:
    """The slow meter's invoices differ, those of the silent time are incomplete, and all others agree."""
    days: dict[tuple[str, date], Decimal] = {
        (meter, day): kwh for meter, day, kwh in good.select("meter_id", "day", "kwh").rows()
    }
    found = meters.ask(
        "select meter_id, period_start_on, period_end_on, billed_kwh, metered_kwh, metered_ratio, verdict, "
        "difference_ratio from marts.electricity_reconciliation"
    )
    assert len(found) == meters.body.planted["electricity_invoices"].good_count
    verdicts: Counter[tuple[str, str]] = Counter()
    for meter, start, end, billed, kwh, ratio, verdict, difference in found:
        billed_days = [start + timedelta(days=number) for number in range((end - start).days)]
        read = [days[meter, day] for day in billed_days if (meter, day) in days]
        assert (kwh, float(ratio)) == (sum(read), pytest.approx(len(read) / len(billed_days), abs=1e-6))
        if verdict in ("agrees", "differs"):
            expected = sum(read) * len(billed_days) / len(read)
            assert float(difference) == pytest.approx(float((billed - expected) / expected), abs=1e-5)
        verdicts[meter, verdict] += 1
    invoices = Counter(meter for meter, *_ in found)
    assert {meter for meter, verdict in verdicts if verdict == "differs"} == {SLOW_METER}
    assert verdicts[SLOW_METER, "differs"] == invoices[SLOW_METER]
    assert {meter for meter, verdict in verdicts if verdict == "incomplete"} == {SILENT_METER}
    assert 1 <= verdicts[SILENT_METER, "incomplete"] <= 2


def test_electricity_second_run_asks_and_tells_only_what_is_new(meters: Meters) -> None:
    """A pull after the first meets the lateness once more and adds nothing; the slow meter is told once, in words."""
    told = "select breach_key, state, message from ops.alert_history where rule = 'footprint_invoice_differs'"
    [(key, state, message)] = meters.ask(told)
    assert (key, state) == (SLOW_METER, "open")
    assert str(message).endswith("kWh more than it metered.")
    assert run_marts(meters.body.project, MARTS, ()).failure is None
    assert meters.ask(told) == [(key, state, message)]
    [first, second] = meters.ask(
        f"select read_count, accepted_count from ops.ingestion_log where source = '{SOURCE}' order by ended_at"
    )
    assert first[0] == meters.readings.line_count
    assert second[0] < 30 and second[1] == 0


def test_electricity_token_is_nowhere(meters: Meters) -> None:
    """The API's token is in no table, page or mail."""
    folder = meters.body.project / "lake/data"
    written = [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert written == []


def test_electricity_without_its_api_goes_on_with_what_there_is(tmp_path: Path) -> None:
    """Where no address is set the source is not asked: the run says so and is well; a look by name leaves nothing."""
    project = bare_project(tmp_path)
    deliver(project, footprint_tables(10)[:1])
    outcome = run_marts(project, MARTS, ())
    assert outcome.failure is None
    body = BodyRun(project, {}, outcome)
    noted = "select subject, details ->> 'unset' from ops.audit_log where event = 'source-unconnected'"
    assert body.ask(noted) == [(SOURCE, "ELECTRICITY_API_URL")]
    assert body.ask("select distinct verdict from marts.electricity_reconciliation") == [("not metered",)]
    place = open_project(project)
    looked = visit_sources(place, Settings.read(project), begin_run("tester"), [SOURCE], plain_step)
    assert looked == (None, None)


def test_electricity_api_that_is_gone_fails_and_says_where(tmp_path: Path) -> None:
    """Where an address is set and nobody answers there, the run fails, names it, and nothing else is harmed."""
    project = bare_project(tmp_path)
    contract = project / "lake/contracts/electricity_readings.yaml"
    contract.write_text(contract.read_text("utf-8").replace("value: 1 minute}", "value: 1 second}"), encoding="utf-8")
    settings = f"ELECTRICITY_API_URL=http://127.0.0.1:9\nELECTRICITY_API_TOKEN={SECRET}\n"
    (project / ".env").write_text(settings, encoding="utf-8")
    outcome = land_sources(open_project(project), Settings.read(project), begin_run("tester"), [SOURCE], plain_step)
    assert isinstance(outcome.failure, SourceError)
    assert outcome.failure.code == "api-unreachable"
    assert "http://127.0.0.1:9/v1/readings" in outcome.failure.message


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "is at ${ELECTRICITY_API_URL}, and ELECTRICITY_API_URL is not set"),
        ("http://meters.example.com", "is set to is plain HTTP"),
        ("meters.example.com", "is set to is no address"),
        ("https://u:pa55@meters.example.com", "is set to holds a user"),
        ("https://meters.example.com?key=pa55", "is set to holds a '?'"),
    ],
)
def test_electricity_address_must_be_one_and_safe(address: str, words: str) -> None:
    """What is set must be an address that shows no secret; without `whenUnset: skip` something must be set."""
    contract = open_project(ROOT).contracts()[SOURCE]
    asked = replace(contract, server=replace(contract.server, options={"auth": "bearer"}))
    with pytest.raises(SourceError, match=re.escape(words)) as raised:
        find_address(asked, {"ELECTRICITY_API_URL": address}.get)
    assert "pa55" not in str(raised.value)


def test_electricity_address_is_what_is_set_and_the_path(tmp_path: Path) -> None:
    """The contract's path follows what is set, with one slash; nothing set is nowhere, where that is allowed."""
    contract = open_project(ROOT).contracts()[SOURCE]
    for given in ("https://meters.example.com/eu", "https://meters.example.com/eu/"):
        found = find_address(contract, {"ELECTRICITY_API_URL": given}.get)
        assert found == "https://meters.example.com/eu/v1/readings"
    assert find_address(contract, lambda _name: None) is None
    text = contract.path.read_text("utf-8").replace("${ELECTRICITY_API_URL}", "https://meters.example.com")
    fixed = tmp_path / "fixed.yaml"
    fixed.write_text(text, encoding="utf-8")
    with pytest.raises(ContractError, match="'whenUnset' is of a location that is named"):
        read_contract(fixed)


READINGS, DAILY, RECONCILED = "staging.stg_electricity_readings", "marts.electricity_daily", f"marts.{MARTS[1]}"
ONE = "where rowid = 0"
OWN: dict[str, list[Damage]] = {
    READINGS: [
        (f"set read_month = read_month + 1 {ONE}", "a day lies in its month", "fail"),
        (f"set minute_count = 1441 {ONE}", "a reading is of a time up to a day, and of no less than nothing", "fail"),
        (f"set kwh = -0.001 {ONE}", "a reading is of a time up to a day, and of no less than nothing", "fail"),
        ("set minute_count = 1441 where rowid = 5", "few readings of a meter are of the same time", "warn"),
        ("set meter_id = 'M'", "few readings of a meter are of the same time", "fail"),
        ("set is_estimate = true where rowid % 5 = 0", "few readings are estimates", "warn"),
        ("set is_estimate = true", "few readings are estimates", "fail"),
        ("set _ingested_at = _ingested_at - interval 90 day", "a reading came within 4 days", "warn"),
    ],
    DAILY: [
        (f"set read_month = read_month + 1 {ONE}", "a day lies in its month", "fail"),
        (
            f"set estimate_count = reading_count + 1 {ONE}",
            "there are readings for each meter, and no more estimates than readings",
            "fail",
        ),
        (f"set metered_ratio = 1.000001 {ONE}", "no day is metered more than once", "fail"),
        (f"set site = 'X' {ONE}", "site is in staging.stg_electricity_readings", "fail"),
        ("set metered_ratio = 0.4 where rowid % 10 = 0", "most days are metered for the most part", "warn"),
        ("set metered_ratio = 0.4", "most days are metered for the most part", "fail"),
    ],
    RECONCILED: [
        (f"set verdict = 'fine' {ONE}", "a verdict is one of four", "fail"),
        ("set verdict = 'agrees'", "a verdict goes with its figures", "fail"),
        ("set verdict = 'not metered'", "a verdict goes with its figures", "fail"),
        (f"set metered_ratio = 1.000001 {ONE}", "no time is metered more than once", "fail"),
        ("set verdict = 'differs' where rowid % 3 = 0", "most invoices agree with their meters", "warn"),
        ("set verdict = 'differs'", "most invoices agree with their meters", "fail"),
    ],
}
SUITES = {suite.table_name: suite for suite in find_suites(ROOT / "checks") if suite.table_name in OWN}


@pytest.fixture(scope="module")
def lake(meters: Meters) -> Iterator[Session]:
    with copied(meters.body.project, tuple(OWN)) as opened:
        yield opened


@pytest.fixture
def session(lake: Session) -> Iterator[Session]:
    yield lake
    mend(lake, (*OWN, *OPERATIONS))


@pytest.mark.parametrize("table", OWN)
def test_electricity_checks_notice_damage(session: Session, table: str) -> None:
    """Each check passes on good tables, and each is seen to notice the damage it is there for."""
    own = [(f"update {table} {change}", check, outcome) for change, check, outcome in OWN[table]]
    expect_noticed(session, SUITES[table], [*common_damages(SUITES[table]), *own], datetime.now(UTC))


@pytest.mark.parametrize("table", OWN)
def test_electricity_checks_pass_or_warn_on_nothing(session: Session, table: str) -> None:
    """Meters that have not reported yet stop nothing."""
    assert failing_on_nothing(session, SUITES[table], tuple(OWN), datetime.now(UTC)) == set()


@pytest.mark.parametrize("rows", [0, 9, 10, 3_649, 7_300, 100_000])
def test_electricity_readings_of_any_size_keep_their_word(tmp_path: Path, rows: int) -> None:
    """About as many as asked for, never more than one an hour, and as many with a fault as announced."""
    with Session(EngineLimits("512MB", 2)) as session:
        tables = (*footprint_tables(0)[:1], *meter_tables(rows))
        *_, planted = plant_all(session, tables, tmp_path, seed=7)
    lines = planted.path.read_text("utf-8").splitlines()
    assert len(lines) == planted.line_count <= max(rows * 1.05, 0)
    assert sum('"n/a"' in line for line in lines) == planted.by_fault["kwh-in-words"]
