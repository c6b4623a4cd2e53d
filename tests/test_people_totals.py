"""People and spend, whole: the demo hospital through the real pipeline, against polars reading the same deliveries.

Nothing here has seen the models: every total is computed anew from the files, or known from how they were made.
"""

import json
import shutil
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from flows.planning import make_plan
from lake.demo.people_parts import DEPARTMENTS
from lake.demo.spend import PLANTED_BREACHES, PLANTED_UNBUDGETED
from lake.project import open_project
from tests.people_parts import (
    NOW,
    PAGES,
    ROOT,
    SOURCES,
    Hospital,
    good_lines,
    open_hospital,
    run,
)

INDIA = ZoneInfo("Asia/Kolkata")
HOLIDAYS = pl.read_csv(ROOT / "sql/reference/holidays.csv", try_parse_dates=True)["holiday_on"].to_list()
CATEGORIES = ("consumables", "equipment", "locum-fees", "maintenance", "training", "travel")
KINDS = ("casual", "earned", "sick", "unpaid")


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    yield open_hospital(tmp_path_factory.mktemp("hospital"))


def instant(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_unit="us").dt.convert_time_zone(str(INDIA))


@pytest.fixture(scope="module")
def staff(hospital: Hospital) -> dict[str, str]:
    """The department of each person whose record was accepted."""
    faults = {
        "name": pl.col("full_name").is_null(),
        "joined": pl.col("joined_on") == "last spring",
        "address": ~pl.col("email").str.contains("@"),
    }
    good = good_lines(hospital.planted["staff"], faults, ["staff_id"])
    return dict(good.select("staff_id", "department_id").iter_rows())


@pytest.fixture(scope="module")
def expenses(hospital: Hospital) -> pl.DataFrame:
    faults = {
        "day": pl.col("spent_on").is_null(),
        "nought": pl.col("amount_inr") == "0.00",
        "text": pl.col("amount_inr") == "twelve",
        "category": pl.col("category") == "gifts",
        "currency": pl.col("currency").fill_null("INR") != "INR",
    }
    good = good_lines(hospital.planted["expenses"], faults, ["expense_id"])
    return good.with_columns(
        pl.col("amount_inr").cast(pl.Decimal(18, 2)), spend_month=pl.col("spent_on").str.to_date().dt.truncate("1mo")
    )


@pytest.fixture(scope="module")
def budgets(hospital: Hospital) -> dict[tuple[date, str, str], Decimal]:
    """The budget of the highest revision, by month, department and category."""
    lines = pl.read_parquet(hospital.planted["budgets"].path).with_columns(
        pl.col("revision_number").cast(pl.Int32), pl.col("budget_inr").cast(pl.Decimal(18, 2))
    )
    latest = lines.sort("revision_number").unique(
        ["department_id", "category", "budget_month"], keep="last", maintain_order=True
    )
    return {
        (date.fromisoformat(month), department, category): amount
        for month, department, category, amount in latest.select(
            "budget_month", "department_id", "category", "budget_inr"
        ).iter_rows()
    }


@pytest.fixture(scope="module")
def incidents(hospital: Hospital) -> pl.DataFrame:
    faults = {
        "opened": pl.col("opened_at").is_null(),
        "resolved": pl.col("resolved_at").fill_null("9") == "2024-01-01T00:00:00+05:30",
        "category": pl.col("category") == "paperwork",
        "sla": pl.col("sla_hours") == "soon",
    }
    good = good_lines(hospital.planted["incidents"], faults, ["incident_id"])
    return good.with_columns(
        instant("opened_at"), instant("resolved_at"), instant("reopened_at"), pl.col("sla_hours").cast(pl.Int64)
    ).with_columns(
        is_open=pl.col("resolved_at").is_null()
        | (pl.col("reopened_at") >= pl.col("resolved_at")).fill_null(value=False),
        due_at=pl.col("opened_at") + pl.duration(hours="sla_hours"),
        opened_month=pl.col("opened_at").dt.date().dt.truncate("1mo"),
        opened_week_on=pl.col("opened_at").dt.date().dt.truncate("1w"),
    )


def test_people_totals_account_for_every_delivered_line(hospital: Hospital) -> None:
    """The run is good, and each source's ledger is what was planted: lines, good ones, repeats and categories."""
    assert hospital.outcome.failure is None
    assert {source.source for source in hospital.outcome.sources} == set(SOURCES)
    for source in hospital.outcome.sources:
        planted = hospital.planted[source.source]
        assert source.read == planted.line_count == source.accepted + source.quarantined + source.duplicate
        assert (source.accepted, source.duplicate) == (planted.good_count, planted.by_fault.get("repeat", 0))
        query = f"select category, count(*) from ops.exceptions where source = '{source.source}' group by category"
        assert dict(hospital.ask(query)) == {str(name): count for name, count in planted.by_category.items() if count}


def test_people_totals_of_spend_are_those_of_polars(
    hospital: Hospital, expenses: pl.DataFrame, budgets: dict[tuple[date, str, str], Decimal]
) -> None:
    """Each month, department and category with a budget or an expense is there, to the paisa, and no other."""
    grain = ["spend_month", "department_id", "category"]
    spent = {row[:3]: row[3:] for row in expenses.group_by(grain).agg(pl.len(), pl.col("amount_inr").sum()).iter_rows()}
    expected = set()
    for cell in {*spent, *budgets}:
        count, actual = spent.get(cell, (0, Decimal("0.00")))
        budget = budgets.get(cell, Decimal("0.00"))
        expected.add((*cell, count, budget, actual, actual - budget))
    found = hospital.ask(
        "select spend_month, department_id, category, expense_count, budget_inr, actual_inr, variance_inr,"
        " variance_ratio from marts.expense_summary"
    )
    assert {row[:-1] for row in found} == expected
    for *_, budget, _, variance, ratio in found:
        assert (ratio is None) == (budget == 0)
        assert ratio is None or abs(ratio - variance / budget) <= Decimal("0.0000005")  # type: ignore[operator]  # decimals
    assert len(found) == len(expected) == len(DEPARTMENTS) * len(CATEGORIES) * 12


def test_people_totals_know_who_exceeds_a_budget(hospital: Hospital) -> None:
    """Exactly the planted budgets are exceeded by more than a tenth, and exactly those planted are missing."""
    exceeded, unbudgeted = hospital.ask(
        "select count(*) filter (variance_ratio > 0.1), count(*) filter (budget_inr = 0 and actual_inr > 0)"
        " from marts.expense_summary"
    )[0]
    assert (exceeded, unbudgeted) == (PLANTED_BREACHES, PLANTED_UNBUDGETED)


def test_people_totals_of_months_run_from_april(
    hospital: Hospital, expenses: pl.DataFrame, budgets: dict[tuple[date, str, str], Decimal]
) -> None:
    """Each department's spend and budget of a month, and since the April before, are what was booked and granted."""
    found = hospital.ask(
        "select spend_month, department_id, actual_inr, year_actual_inr, budget_inr, year_budget_inr"
        " from marts.monthly_spend"
    )
    assert len(found) == len(DEPARTMENTS) * 12
    for month, department, actual, year_actual, budget, year_budget in found:
        assert isinstance(month, date)
        first = date(month.year if month.month > 3 else month.year - 1, 4, 1)
        own = expenses.filter(pl.col("department_id") == department)
        assert actual == own.filter(pl.col("spend_month") == month)["amount_inr"].sum()
        assert year_actual == own.filter(pl.col("spend_month").is_between(first, month))["amount_inr"].sum()
        assert budget == sum(
            amount for (day, owner, _), amount in budgets.items() if (day, owner) == (month, department)
        )
        assert year_budget == sum(
            amount for (day, owner, _), amount in budgets.items() if owner == department and first <= day <= month
        )


@pytest.mark.parametrize(("period", "column"), [("month", "opened_month"), ("week", "opened_week_on")])
def test_people_totals_of_incidents_are_those_of_polars(
    hospital: Hospital, incidents: pl.DataFrame, period: str, column: str
) -> None:
    """Each week and month has polars' counts and times to resolve, those opened again to their last resolution."""
    hours = (pl.col("resolved_at") - pl.col("opened_at")).dt.total_seconds() / 3600
    resolved = ~pl.col("is_open")
    expected = {
        row[:2]: row[2:]
        for row in incidents.group_by(column, "category")
        .agg(
            pl.len(),
            resolved.sum().alias("resolved"),
            (pl.col("is_open") & (pl.col("due_at") < NOW.astimezone(INDIA))).sum().alias("past"),
            pl.col("reopened_at").is_not_null().sum().alias("reopened"),
            (resolved & (pl.col("resolved_at") > pl.col("due_at"))).sum().alias("late"),
            hours.filter(resolved).mean().alias("mean"),
            hours.filter(resolved).median().alias("median"),
        )
        .iter_rows()
    }
    found = hospital.ask(
        "select period_on, category, incident_count, resolved_count, open_past_sla_count, reopened_count,"
        " resolved_late_count, mean_resolution_hours, median_resolution_hours from marts.incident_summary"
        f" where period = '{period}'"
    )
    assert {row[:2] for row in found} == set(expected)
    for row in found:
        want = expected[row[:2]]  # type: ignore[index]  # month and category
        assert row[2:7] == want[:5]
        for value, exact in zip(row[7:], want[5:], strict=True):
            assert (value is None) == (exact is None)
            assert value is None or abs(float(value) - exact) < 0.0051  # type: ignore[arg-type]  # a decimal


def test_people_totals_of_open_incidents_are_those_of_polars(hospital: Hospital, incidents: pl.DataFrame) -> None:
    """What is open is listed, once, and is late when its time is over; opened-again incidents are among them."""
    standing = incidents.filter("is_open")
    found = hospital.ask("select incident_id, is_past_sla from marts.incidents_open")
    assert {row[0] for row in found} == set(standing["incident_id"])
    due = dict(standing.select("incident_id", "due_at").iter_rows())
    assert all(is_late == (due[incident] < NOW) for incident, is_late in found)
    assert standing["reopened_at"].is_not_null().any()


def working_days(first: date, last: date, *, halves: tuple[bool, bool]) -> Iterator[tuple[date, Decimal]]:
    """Gives the working days from first to last, halves at either end; written out day by day."""
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        if day.weekday() < 5 and day not in HOLIDAYS:
            is_half = (day == first and halves[0]) or (day == last and halves[1])
            yield day, Decimal("0.5") if is_half else Decimal(1)


def test_people_totals_of_leave_are_counted_day_by_day(hospital: Hospital, staff: dict[str, str]) -> None:
    """Applications by state, days taken and balances agree with a calendar walked day by day in Python."""
    faults = {
        "staff": pl.col("staff_id").is_null(),
        "type": pl.col("leave_type") == "sabbatical",
        "text": pl.col("first_on") == "Monday",
        "ends": pl.col("last_on") == "2024-12-31",
    }
    good = good_lines(hospital.planted["leave_applications"], faults, ["application_id"])
    counts: dict[tuple[date, str, str, str], int] = {}
    approved: dict[tuple[date, str, str], Decimal] = {}
    taken: dict[tuple[date, str, str], Decimal] = {}
    for row in good.iter_rows(named=True):
        department = staff.get(row["staff_id"], "unknown")
        first, last = date.fromisoformat(row["first_on"]), date.fromisoformat(row["last_on"])
        cell = (first.replace(day=1), department, row["leave_type"], row["status"])
        counts[cell] = counts.get(cell, 0) + 1
        halves = (row["is_first_half_day"] == "true", row["is_last_half_day"] == "true")
        if row["status"] == "approved":
            length = sum((share for _, share in working_days(first, last, halves=halves)), Decimal(0))
            approved[cell[:3]] = approved.get(cell[:3], Decimal(0)) + length
        for day, share in working_days(first, last, halves=halves) if row["status"] == "approved" else ():
            place = (day.replace(day=1), department, row["leave_type"])
            taken[place] = taken.get(place, Decimal(0)) + share
    found = hospital.ask(
        "select leave_month, department_id, leave_type, submitted_count, approved_count, rejected_count,"
        " cancelled_count, taken_days, average_days from marts.leave_summary"
    )
    for month, department, kind, *states, days, average in found:
        cell = (month, department, kind)
        wanted = [counts.pop((*cell, state), 0) for state in ("submitted", "approved", "rejected", "cancelled")]
        assert states == wanted
        exact = approved[cell] / wanted[1] if wanted[1] else None
        assert average == (None if exact is None else exact.quantize(Decimal("0.01"), ROUND_HALF_UP))
        assert days == taken.pop(cell, Decimal(0))
    assert (counts, taken) == ({}, {})


def test_people_totals_of_balances_are_grants_less_days(hospital: Hospital, staff: dict[str, str]) -> None:
    """At the year's end a department has what its people were granted less what they took."""
    faults = {"negative": pl.col("entitled_days") == "-4.0", "text": pl.col("carried_days") == "many"}
    good = good_lines(hospital.planted["leave_balances"], faults, ["staff_id", "leave_type", "leave_year"])
    granted: dict[tuple[str, str], Decimal] = {}
    for person, kind, _, entitled, carried in good.iter_rows():
        cell = (staff.get(person, "unknown"), kind)
        granted[cell] = granted.get(cell, Decimal(0)) + Decimal(entitled) + Decimal(carried)
    found = hospital.ask(
        "select department_id, leave_type, max(granted_days), sum(taken_days),"
        " max_by(balance_days, leave_month) from marts.leave_summary group by all"
    )
    assert {row[:2] for row in found if row[1] != "unpaid"} == set(granted)
    for department, kind, grant, days, balance in found:
        assert grant == granted.get((str(department), str(kind)))
        assert balance == (None if grant is None else grant - days)  # type: ignore[operator]  # two decimals


def hours_by_day(start: datetime, end: datetime) -> Iterator[tuple[date, Decimal]]:
    """Gives the hours of a span on each Indian day, walked from midnight to midnight."""
    while start < end:
        midnight = datetime.combine(start.date() + timedelta(days=1), time(), INDIA)
        stop = min(end, midnight)
        yield start.date(), Decimal(int((stop - start).total_seconds())) / 3600
        start = stop


def test_people_totals_of_locums_are_walked_from_midnight_to_midnight(hospital: Hospital) -> None:
    """Hours assigned and offered of each doctor and day agree with spans cut one by one; overlaps count once."""
    late = {"start": pl.col("starts_at").is_null(), "end": pl.col("ends_at").str.starts_with("2024"), "status":
            pl.col("status") == "maybe"}  # fmt: skip
    shifts = good_lines(hospital.planted["locum_shifts"], late, ["shift_id"]).filter(pl.col("status") == "assigned")
    text = {"locum": pl.col("locum_id").is_null(), "end": pl.col("ends_at") == "late"}
    offers = good_lines(hospital.planted["locum_availability"], text, ["offer_id"]).filter(
        pl.col("is_withdrawn").fill_null("false") == "false"
    )
    assigned = spread(shifts)
    minutes: dict[tuple[str, str], set[datetime]] = {}
    for ward, doctor, start, end in spans(offers):
        quarters = range(int((end - start).total_seconds()) // 900)
        minutes.setdefault((ward, doctor), set()).update(start + timedelta(minutes=15 * n) for n in quarters)
    offered: dict[tuple[date, str, str], Decimal] = {}
    for (ward, doctor), quarters in minutes.items():
        for quarter in quarters:
            cell = (quarter.date(), ward, doctor)
            offered[cell] = offered.get(cell, Decimal(0)) + Decimal("0.25")
    found = hospital.ask(
        "select worked_on, department_id, locum_id, assigned_hours, available_hours, utilisation_ratio"
        " from marts.locum_summary"
    )
    assert hospital.ask("select sum(shift_count)::int from marts.locum_summary") == [(len(shifts),)]
    for *_, hours, offer, ratio in found:
        assert ratio == (None if offer == 0 else (hours / offer).quantize(Decimal("0.000001"), ROUND_HALF_UP))  # type: ignore[operator]  # decimals
    assert {row[:3]: row[3] for row in found} == {
        cell: assigned.get(cell, Decimal(0)) for cell in {*assigned, *offered}
    }
    assert {row[:3]: row[4] for row in found} == {cell: offered.get(cell, Decimal(0)) for cell in {*assigned, *offered}}


def spans(lines: pl.DataFrame) -> Iterator[tuple[str, str, datetime, datetime]]:
    for ward, doctor, start, end in lines.select("department_id", "locum_id", "starts_at", "ends_at").iter_rows():
        yield (
            ward,
            doctor,
            datetime.fromisoformat(start).astimezone(INDIA),
            datetime.fromisoformat(end).astimezone(INDIA),
        )


def spread(lines: pl.DataFrame) -> dict[tuple[date, str, str], Decimal]:
    hours: dict[tuple[date, str, str], Decimal] = {}
    for ward, doctor, start, end in spans(lines):
        for day, share in hours_by_day(start, end):
            hours[day, ward, doctor] = hours.get((day, ward, doctor), Decimal(0)) + share
    return hours


@pytest.mark.parametrize("page", PAGES)
def test_people_totals_are_on_the_pages(hospital: Hospital, page: str) -> None:
    """Each page is kept, its figures were reconciled with the marts by a check, and its mail has no script."""
    assert (hospital.project / f"lake/data/pages/{page}.html").stat().st_size > 1_000_000
    assert "<script" not in (hospital.project / f"lake/data/pages/{page}.mail.html").read_text()
    check = f"the figures of the page ''{page}'' are those of the marts"
    assert hospital.ask(f"select outcome from ops.validation_results where check_name = '{check}'") == [("pass",)]


def test_people_totals_show_nothing_restricted(hospital: Hospital) -> None:
    """No name, address, reason, narrative or account number is on a page, in an event or in a readable table."""
    planted = ["Visit to the dentist", "by the sister of patient", "@example.com"]
    pages = [path.read_text() for path in sorted((hospital.project / "lake/data/pages").iterdir())]
    events = [str(row) for row in hospital.ask("select * from ops.audit_log")]
    rows = [str(row) for name in ("staff", "leave_applications") for row in hospital.ask(f"from raw.{name}")]
    for words in planted:
        assert not any(words in text for text in [*pages, *events, *rows])


def test_people_totals_of_one_mart_draw_its_page_alone(hospital: Hospital) -> None:
    """A run asked for one mart draws the pages and judges the alerts of what it makes, and of nothing else."""
    plan = make_plan(open_project(hospital.project), ["locum_summary"], ())
    assert [page.name for page in plan.pages] == ["locums"]
    assert set(plan.alerts) == {"ingestion_errors_daily"}
    assert {contract.source for contract in plan.contracts} == {"departments", "locum_shifts", "locum_availability"}


LATE = {
    "expenses": "expense_id,department_id,category,spent_on,amount_inr,currency,receipt_number,claimed_by,"
    "account_number\nLATE-1,CAR,travel,2025-03-31,1234.56,INR,,EMP-00001,\n",
    "leave_applications": "application_id,staff_id,leave_type,status,first_on,last_on,is_first_half_day,"
    "is_last_half_day,reason,applied_at\nLV-00000001,EMP-00002,casual,cancelled,2025-05-12,2025-05-13,false,false,,"
    "2025-01-11T00:13:26+05:30\n",
    "locum_shifts": "shift_id,department_id,locum_id,status,starts_at,ends_at\n"
    "LATE-1,EMR,LOC-0002,assigned,2025-04-30T20:00:00+05:30,2025-05-01T08:00:00+05:30\n",
}


def test_people_totals_after_late_rows_rebuild_the_months_they_reach(hospital: Hospital, tmp_path: Path) -> None:
    """A late expense rebuilds its month, a shift over a month's end both; what no row came for is left alone."""
    project = shutil.copytree(hospital.project, tmp_path / "late")
    for part in ("checks", "reports/pages"):  # tried by the run before
        shutil.rmtree(project / part)
    for source, text in LATE.items():
        (project / f"lake/data/inbox/{source}/late.csv").write_text(text)
    outcome = run(project, at=NOW + timedelta(days=1))
    assert outcome.failure is None
    late = Hospital(project, hospital.planted, outcome)
    built = late.ask(
        "select subject, details ->> 'decision', details ->> 'partitions' from ops.audit_log"
        f" where event = 'model-built' and run_id = '{outcome.run_id}'"
    )
    decisions = {name: (decision, json.loads(str(partitions or "[]"))) for name, decision, partitions in built}
    assert decisions["marts.expense_summary"] == ("partitions", ["2025-03-01"])
    assert decisions["marts.locum_summary"] == ("partitions", ["2025-04-01", "2025-05-01"])
    # the application moved from January to May
    assert decisions["staging.stg_leave_applications"] == ("partitions", ["2025-01-01", "2025-05-01"])
    assert decisions["staging.stg_budgets"][0] == "unchanged"
