"""Footprint, whole: demo files through the real pipeline, totals told apart from it, checks seen to fail."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from statistics import median

import polars as pl
import pytest

from checks.suites import find_suites
from lake.demo.footprint import HEAVY_SITE, footprint_tables
from lake.engine import Session
from tests.commerce_parts import ROOT, BodyRun, deliver, indian_day, instants, make_project, run_marts
from tests.damage_parts import OPERATIONS, breaches, common_damages, copied, expect_noticed, failing_on_nothing, mend
from tests.meter_parts import metered

SOURCES = ("electricity_invoices", "print_logs", "device_audit_log")
MARTS = ("carbon_footprint", "paper_usage", "device_utilisation", "sustainability_measures")
METERED = ("electricity_daily", "electricity_reconciliation")  # what the page shows, too; told by test_electricity
STAGED = tuple(f"staging.stg_{source}" for source in SOURCES)
TABLES = (
    *STAGED,
    *(f"marts.{name}" for name in MARTS),
    *(f"raw.{source}" for source in SOURCES),
    *(f"reference.{name}" for name in ("footprint_sites", "emission_factors", "paper_weights", "saving_assumptions")),
)
METERED_TABLES = (
    *(f"marts.{name}" for name in METERED),
    *("staging.stg_electricity_readings", "raw.electricity_readings"),
)
PIPELINE = "pipeline.footprint_reconciliation"
SUITES = {
    suite.table_name: suite
    for suite in find_suites(ROOT / "checks")
    if suite.table_name == PIPELINE or (suite.stage != "raw" and suite.table_name in TABLES)
}
NOW = datetime.now(UTC)
WEIGHTS = {"A3 80 g": Decimal("9.9792"), "A4 75 g": Decimal("4.6778"), "A4 80 g": Decimal("4.9896")}
FACTOR = Decimal("0.710")


@pytest.fixture(scope="module")
def offices(tmp_path_factory: pytest.TempPathFactory) -> BodyRun:
    project = make_project(tmp_path_factory.mktemp("offices"), ["sustainability"])
    planted = deliver(project, footprint_tables(3_000))
    with metered(project, 4_000):
        return BodyRun(project, planted, run_marts(project, (*MARTS, *METERED), ("sustainability",)))


def test_footprint_accounts_for_every_record(offices: BodyRun) -> None:
    """Every ledger and every category of exceptions is what was planted; every check passed without a warning."""
    assert offices.outcome.failure is None
    for source, planted in offices.planted.items():
        [counts] = offices.ask(
            f"select read_count, accepted_count, duplicate_count from ops.ingestion_log where source = '{source}'"
        )
        assert counts == (planted.line_count, planted.good_count, planted.by_fault.get("repeat", 0))
        found = dict(
            offices.ask(f"select category, count(*) from ops.exceptions where source = '{source}' group by all")
        )
        assert found == {name: count for name, count in planted.by_category.items() if count}
    assert offices.ask("select table_name, check_name from ops.validation_results where outcome <> 'pass'") == []


def test_footprint_of_carbon_is_that_of_days_counted_one_by_one(offices: BodyRun) -> None:
    """Each site and month has the kWh of its days, to a watt-hour an invoice, times the factor."""
    invoices = offices.delivered("electricity_invoices").filter(
        pl.col("site").is_not_null(), pl.col("kwh") != "many", pl.col("period_end_on") > pl.col("period_start_on")
    )
    shares: dict[tuple[str, date], list[Decimal]] = {}
    for row in invoices.to_dicts():
        start, end = date.fromisoformat(row["period_start_on"]), date.fromisoformat(row["period_end_on"])
        days = [start + timedelta(days=number) for number in range((end - start).days)]
        for month in {day.replace(day=1) for day in days}:
            inside = sum(day.replace(day=1) == month for day in days)
            shares.setdefault((row["site"], month), []).append(Decimal(row["kwh"]) * inside / len(days))
    found = {
        (site, month): (kwh, kg)
        for site, month, kwh, kg in offices.ask(
            "select site, footprint_month, kwh, kg_co2e from marts.carbon_footprint"
        )
    }
    assert found.keys() == shares.keys()
    for key, parts in shares.items():
        kwh, kg = found[key]
        assert abs(kwh - sum(parts)) <= Decimal("0.001") * len(parts)
        assert kg == kwh * FACTOR
    billed = sum((Decimal(kwh) for kwh in invoices["kwh"]), Decimal(0))
    assert sum(kwh for kwh, _ in found.values()) == billed
    [(heaviest,)] = offices.ask("select arg_max(site, kwh_per_m2) from marts.carbon_footprint")
    assert heaviest == HEAVY_SITE


def test_footprint_of_paper_is_that_of_polars(offices: BodyRun) -> None:
    """Each site, paper and Indian month has polars' jobs, pages and sheets, and their exact weight."""
    jobs = offices.delivered("print_logs").with_columns(*instants("printed_at"), pl.col("pages").cast(pl.Int64))
    good = jobs.filter(
        pl.col("printer_id").is_not_null(), pl.col("pages") > 0, pl.col("is_duplex").is_in(["true", "false"])
    )
    half = (pl.col("pages") / 2).ceil().cast(pl.Int64)
    summed = (
        good.with_columns(
            month=indian_day("printed_at").dt.truncate("1mo"),
            sheets=pl.when(pl.col("is_duplex") == "true").then(half).otherwise("pages"),
            fewest=half,
        )
        .group_by("site", "paper", "month")
        .agg(pl.len(), pl.col("pages").sum(), pl.col("sheets").sum(), pl.col("fewest").sum())
    )
    expected = {
        (site, paper, month, count, pages, sheets, sheets * WEIGHTS[paper] / 1000,
         (sheets - fewest) * WEIGHTS[paper] / 1000)
        for site, paper, month, count, pages, sheets, fewest in summed.rows()
    }  # fmt: skip
    columns = "site, paper, printed_month, job_count, page_count, sheet_count, paper_kg, saveable_kg"
    assert set(offices.ask(f"select {columns} from marts.paper_usage")) == expected


def test_footprint_of_devices_is_that_of_seconds_marked_one_by_one(offices: BodyRun) -> None:
    """Each device and Indian day has the seconds in which anybody was at it, each second counted once."""
    sessions = offices.delivered("device_audit_log").with_columns(*instants("started_at", "ended_at"))
    good = sessions.filter(pl.col("started_at").is_not_null(), pl.col("ended_at") > pl.col("started_at"))
    local = [pl.col(name).dt.convert_time_zone("Asia/Kolkata").dt.replace_time_zone(None) for name in (START, END)]
    busy: dict[tuple[str, date], int] = {}  # one bit a second
    spans: dict[tuple[str, date], list[tuple[int, int]]] = {}
    for device, start, end in good.with_columns(*local).select("device_id", START, END).rows():
        for day in {start.date(), end.date()}:
            midnight = datetime.combine(day, time())
            first = max(int((start - midnight).total_seconds()), 0)
            last = min(int((end - midnight).total_seconds()), 86_400)
            if last > first:
                busy[device, day] = busy.get((device, day), 0) | ((1 << last) - (1 << first))
                spans.setdefault((device, day), []).append((first, last))
    found = offices.ask(
        "select device_id, used_on, active_seconds, session_count, peak_session_count from marts.device_utilisation"
    )
    assert {tuple(row[:2]): row[2:] for row in found} == {
        key: (seconds.bit_count(), len(spans[key]), most_at_once(spans[key])) for key, seconds in busy.items()
    }


def most_at_once(spans: list[tuple[int, int]]) -> int:
    """Gives how many spans run at the beginning of one of them, at most."""
    return max(sum(first <= begin < last for first, last in spans) for begin, _ in spans)


def test_footprint_of_measures_follows_from_the_other_marts(offices: BodyRun) -> None:
    """Each measure saves what the marts above, told by polars, leave to be saved, at the prices of the assumptions."""
    given = {row["assumption"]: Decimal(row["value"]) for row in reference("saving_assumptions")}
    floors = {row["site"]: Decimal(row["floor_m2"]) for row in reference("footprint_sites")}
    rows = offices.ask("select footprint_month, site, kwh, kg_co2e from marts.carbon_footprint")
    months: dict[date, list[tuple[Decimal, Decimal]]] = {}
    for month, site, kwh, _ in rows:
        months.setdefault(month, []).append((kwh, floors[site]))
    levelled = Decimal(0)
    for sites in months.values():
        middle = median((kwh / floor).quantize(Decimal("0.0001"), ROUND_HALF_UP) for kwh, floor in sites)
        levelled += sum((max(kwh - middle * floor, Decimal(0)) for kwh, floor in sites), Decimal(0))
    [(unused, paper)] = offices.ask(
        "select sum(86400 - active_seconds), (select sum(saveable_kg) from marts.paper_usage)"
        " from marts.device_utilisation"
    )
    idle = unused * given["idle_share"] * given["idle_power"] / 3600
    factor = sum(kg for *_, kg in rows) / sum(kwh for _, _, kwh, _ in rows)
    expected = sorted(
        (
            (levelled, 0, levelled * factor, levelled * given["electricity_price"]),
            (idle, 0, idle * factor, idle * given["electricity_price"]),
            (0, paper, 0, paper * given["paper_price"]),
        ),
        key=lambda measure: -measure[-1],
    )
    columns = "saved_kwh, saved_paper_kg, saved_kg_co2e, saved_inr"
    found = offices.ask(f"select {columns} from marts.sustainability_measures order by saving_rank")
    assert len(found) == len(expected)
    for row, exact in zip(found, expected, strict=True):
        assert [float(value) for value in row] == pytest.approx([float(value) for value in exact], abs=0.02)


def reference(name: str) -> list[dict[str, str]]:
    return pl.read_csv(ROOT / f"sql/reference/{name}.csv", infer_schema=False).to_dicts()


START, END = "started_at", "ended_at"
CORRECTION = """invoice_id,site,meter_id,period_start_on,period_end_on,kwh,issued_on
{invoice},{site},MTR-000,2025-01-01,2025-03-01,1.001,2026-01-20
"""


def test_footprint_takes_corrections_and_new_factors(offices: BodyRun) -> None:
    """A corrected invoice replaces the first; a changed emission factor rebuilds what reads it, and nothing else."""
    [(invoice, site, kwh)] = offices.ask(
        "select invoice_id, site, kwh from staging.stg_electricity_invoices where meter_id = 'MTR-000'"
        " and period_start_on = '2025-01-01'"
    )
    [(before,)] = offices.ask("select sum(kwh) from marts.carbon_footprint")
    late = offices.project / "lake/data/inbox/electricity_invoices/correction.csv"
    late.write_text(CORRECTION.format(invoice=invoice, site=site), encoding="utf-8")
    assert run_marts(offices.project, (*MARTS, *METERED), ("sustainability",)).failure is None
    assert offices.ask("select sum(kwh) from marts.carbon_footprint") == [(before - kwh + Decimal("1.001"),)]
    factors = offices.project / "sql/reference/emission_factors.csv"
    factors.write_text(factors.read_text("utf-8").replace("0.710", "0.500"), encoding="utf-8")
    outcome = run_marts(offices.project, (*MARTS, *METERED), ("sustainability",))
    assert outcome.failure is None
    assert offices.ask("select distinct kg_co2e = kwh * 0.500 from marts.carbon_footprint") == [(True,)]
    built = dict(
        offices.ask(
            "select subject, details ->> 'decision' from ops.audit_log"
            f" where event = 'model-built' and run_id = '{outcome.run_id}'"
        )
    )
    assert built["marts.carbon_footprint"] == built["marts.sustainability_measures"] == "whole"
    assert built["marts.paper_usage"] == built["marts.device_utilisation"] == "unchanged"


def test_footprint_shows_no_person(offices: BodyRun) -> None:
    """Who printed and who worked where is in no model and on no page."""
    assert (
        offices.ask(
            "select table_name from information_schema.columns"
            " where column_name = 'user_name' and table_schema <> 'raw'"
        )
        == []
    )
    html = (offices.project / "lake/data/pages/sustainability.html").read_text("utf-8")
    assert re.search(r"\b(asha|ravi|meera|arjun|imran|kavya)\d+\b", html) is None


INVOICES, JOBS, SESSIONS = STAGED
CARBON, PAPER, DEVICES, MEASURES = (f"marts.{name}" for name in MARTS)
ONE = "where rowid = 0"
STALE = "set _ingested_at = _ingested_at - interval 90 day"
OWN: dict[str, list[tuple[str, str, str]]] = {
    INVOICES: [
        (f"set site = 'X' {ONE}", "most invoices are of sites in reference.footprint_sites", "warn"),
        ("set site = 'X'", "most invoices are of sites in reference.footprint_sites", "fail"),
        (f"set day_count = 0 {ONE}", "an invoice covers whole days, at least one", "fail"),
        (f"set kwh = -0.001 {ONE}", "consumption is never negative", "fail"),
        ("set meter_id = 'M'", "no two invoices of a meter bill the same day", "warn"),
        (STALE, "a delivery came within 70 days", "warn"),
    ],
    JOBS: [
        (f"set paper = 'X' {ONE}", "most jobs are on paper in reference.paper_weights", "warn"),
        ("set paper = 'X'", "most jobs are on paper in reference.paper_weights", "fail"),
        (
            f"set sheet_count = sheet_count + 1 {ONE}",
            "a duplex job takes half its pages in sheets, rounded up, and any other all",
            "fail",
        ),
        (f"set printed_month = printed_month + 1 {ONE}", "a day lies in its month", "fail"),
        (STALE, "a delivery came within 4 days", "warn"),
    ],
    SESSIONS: [
        (
            f"set ended_at = started_at {ONE}",
            "a session that is over has an end after its beginning, and an open one has none",
            "fail",
        ),
        ("set is_open = true where rowid % 10 = 0", "few sessions are open", "warn"),
        ("set is_open = true", "few sessions are open", "fail"),
        (STALE, "a delivery came within 4 days", "warn"),
    ],
    CARBON: [
        (f"set kg_co2e = null {ONE}", "every site and month has an emission factor", "warn"),
        ("set kg_co2e = null", "every site and month has an emission factor", "fail"),
        (f"set kg_co2e = kg_co2e + 0.000001 {ONE}", "carbon is consumption times its factor, exactly", "fail"),
        ("set factor_year_from = '2030-01-01'", "a factor is not younger than its month", "fail"),
        ("set billed_day_count = 400", "no site is billed more days than its invoices have", "fail"),
        (f"set kwh = -1 {ONE}", "consumption is never negative", "fail"),
        ("set kwh_per_m2 = 101", "no site uses beyond belief", "warn"),
        ("set kwh_per_m2 = 10001", "no site uses beyond belief", "fail"),
    ],
    PAPER: [
        (f"set sheet_count = page_count + 1 {ONE}", "sheets lie between half the pages and all of them", "fail"),
        (
            f"set paper_kg = paper_kg + 0.0000001 {ONE}",
            "weight is sheets times the sheet's weight, exactly",
            "fail",
        ),
        (f"set paper_kg = null, sheet_weight_g = null {ONE}", "most paper is weighed", "warn"),
        ("set paper_kg = null, sheet_weight_g = null", "most paper is weighed", "fail"),
        (
            "set duplex_page_count = duplex_page_count // 4",
            "enough pages are printed on both sides",
            "warn",
        ),
        ("set duplex_page_count = 0", "enough pages are printed on both sides", "fail"),
    ],
    DEVICES: [
        (
            f"set active_seconds = 86400.5 {ONE}",
            "no day has more than 24 hours, and none that is there has none",
            "fail",
        ),
        (f"set peak_session_count = 99 {ONE}", "no more sessions run at once than there are", "fail"),
        (f"set used_month = used_month + 1 {ONE}", "a day lies in its month", "fail"),
        (f"set device_id = 'X' {ONE}", "device_id is in staging.stg_device_audit_log", "fail"),
        (
            "set utilisation_ratio = 1 where rowid % 10 = 0",
            "few devices are in use round the clock",
            "warn",
        ),
        ("set utilisation_ratio = 1", "few devices are in use round the clock", "fail"),
    ],
    MEASURES: [
        (f"set saved_inr = -1 {ONE}", "nothing is saved in the negative", "fail"),
        ("set saving_rank = 4 - saving_rank", "the rank follows the money saved", "fail"),
    ],
}
LEDGERS: list[tuple[str, str, str]] = [
    (
        "update ops.ingestion_log set read_count = read_count + 1 where source = 'print_logs'",
        "source and clean - each batch's records are accepted, quarantined or duplicate",
        "fail",
    ),
    (
        f"update {CARBON} set kwh = kwh + 0.001 {ONE}",
        "clean and marts - the months of all invoices add up to the invoices, to the watt-hour",
        "fail",
    ),
    (
        f"update marts.electricity_daily set kwh = kwh + 0.001 {ONE}",
        "clean and marts - the days of all sites add up to the readings, to the watt-hour",
        "fail",
    ),
    (
        f"delete from marts.electricity_reconciliation {ONE}",
        "marts and marts - each invoice is reconciled once, and what it bills is what the footprint has",
        "fail",
    ),
    (
        f"update {PAPER} set page_count = page_count + 1 {ONE}",
        "clean and marts - pages and jobs of the mart are those of the print log",
        "fail",
    ),
    (
        f"update {DEVICES} set active_seconds = 3 * active_seconds",
        "clean and marts - no device is in use longer than its sessions last together",
        "fail",
    ),
    (
        "delete from ops.quarantine where source = 'print_logs'",
        "exceptions - each batch's refused records are all in quarantine",
        "fail",
    ),
]


REFERENCES: dict[str, list[tuple[str, str, str]]] = {
    CARBON: [
        (f"insert into reference.{name} from reference.{name} limit 1", check, "fail")
        for name in ("footprint_sites", "emission_factors")
        for check in ["no site and no factor stands twice in its reference table"]
    ],
    MEASURES: [
        (damage, "each assumption stands once in reference.saving_assumptions", "fail")
        for damage in (
            "insert into reference.saving_assumptions from reference.saving_assumptions limit 1",
            f"update reference.saving_assumptions set value = null {ONE}",
        )
    ],
}


def damages(table: str) -> list[tuple[str, str, str]]:
    own = [(f"update {table} {change}", check, outcome) for change, check, outcome in OWN.get(table, ())]
    return [*common_damages(SUITES[table]), *own, *REFERENCES.get(table, ()), *(LEDGERS if table == PIPELINE else ())]


@pytest.fixture(scope="module")
def lake(offices: BodyRun) -> Iterator[Session]:
    with copied(offices.project, (*TABLES, *METERED_TABLES)) as opened:
        yield opened


@pytest.fixture
def session(lake: Session) -> Iterator[Session]:
    """Gives plain tables of the offices; whatever a test does to them is mended after it."""
    yield lake
    mend(lake, (*TABLES, *METERED_TABLES, *OPERATIONS))


@pytest.mark.parametrize("table", SUITES)
def test_footprint_checks_notice_damage(session: Session, table: str) -> None:
    """Each check passes on good tables, and each is seen to notice the damage it is there for."""
    expect_noticed(session, SUITES[table], damages(table), NOW)


@pytest.mark.parametrize("table", SUITES)
def test_footprint_checks_pass_or_warn_on_nothing(session: Session, table: str) -> None:
    """Sources that have not delivered yet stop nothing."""
    made = (*STAGED, *(f"marts.{mart}" for mart in MARTS), *(f"raw.{source}" for source in SOURCES), *METERED_TABLES)
    assert failing_on_nothing(session, SUITES[table], made, NOW) == set()


def test_footprint_alert_tells_a_meter_with_a_gap(session: Session) -> None:
    """Days of a meter that nobody billed are one alert for the meter, however often other days are billed."""
    session.execute(f"delete from {INVOICES} where meter_id <> 'MTR-009'")
    before = breaches(session, "footprint_meter_gap")
    session.execute(f"delete from {INVOICES} where period_start_on = '2025-06-15'")
    [alert] = breaches(session, "footprint_meter_gap")
    gone = alert["measured"] - sum(each["measured"] for each in before)
    assert (alert["breach_key"], gone > 27) == ("MTR-009", True)
    session.execute(f"insert into {INVOICES} from {INVOICES} where period_start_on > '2025-06-15'")
    assert breaches(session, "footprint_meter_gap") == [alert]
