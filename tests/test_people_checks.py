"""The checks of people and spend: all pass on good tables, and every one of them notices its own damage."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from checks.gate import run_gate
from checks.page_figures import read_figures
from checks.suites import Suite, find_suites
from checks.verdict import CheckResult
from lake.engine import EngineLimits, Session
from lake.marked_yaml import read_yaml
from tests.people_parts import ORDER, PAGES, ROOT, SOURCES, SUBJECTS, build_models, fill_raw

NOW, MUCH_LATER = datetime(2026, 1, 5, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
SUITES = {
    suite.table_name: suite
    for suite in find_suites(ROOT / "checks")
    if suite.table_name in ORDER or re.fullmatch(rf"pipeline\.({'|'.join((*SUBJECTS, *PAGES))})_\w+", suite.table_name)
}
EMPTY = "has rows"  # tried with empty tables
FIRST, SECOND, THIRD, FOURTH = (f"where rowid = {100 + number}" for number in range(4))
# What is damaged by hand, by table; `{table}` is its name. Rows up to 99 are damaged by what the file itself says.
DAMAGES = {
    "staging.stg_departments": ["update {table} set cost_centre = 'CC-1000' where rowid > 8"],
    "staging.stg_staff": [
        f"update {{table}} set department_id = 'ZZZ' {FIRST}",
        f"update {{table}} set manager_id = staff_id {SECOND}",
        "update {table} set is_active = false where rowid > 60",
    ],
    "staging.stg_leave_applications": [
        f"update {{table}} set first_month = first_month + 1 {FIRST}",
        f"update {{table}} set last_on = first_on - 1 {SECOND}",
        "update {table} set staff_id = 'EMP-99999' where rowid > 50",
    ],
    "staging.stg_leave_balances": [f"update {{table}} set granted_days = granted_days + 1 {FIRST}"],
    "staging.stg_incidents": [
        "update {table} set resolution_seconds = 5 where is_open",
        "update {table} set is_open = true, reopened_at = opened_at, resolution_seconds = null"
        " where resolved_at > opened_at and rowid > 100",
        f"update {{table}} set due_at = opened_at {THIRD}",
        f"update {{table}} set opened_week_on = opened_week_on + 1 {FOURTH}",
        f"update {{table}} set department_id = 'ZZZ' {FIRST}",
    ],
    "staging.stg_expenses": [
        f"update {{table}} set department_id = 'ZZZ' {FIRST}",
        f"update {{table}} set spend_month = spend_month + 1 {SECOND}",
        f"update {{table}} set amount_inr = 0 {THIRD}",
        "update {table} set amount_inr = -1 where rowid > 200",
    ],
    "staging.stg_budgets": [
        f"update {{table}} set department_id = 'ZZZ' {FIRST}",
        f"update {{table}} set budget_inr = -1 {SECOND}",
        f"update {{table}} set revision_number = 0 {THIRD}",
    ],
    "staging.stg_locum_shifts": [
        f"update {{table}} set ends_at = starts_at {FIRST}",
        f"update {{table}} set department_id = 'ZZZ' {SECOND}",
        "update {table} set locum_id = null where status = 'assigned' and rowid > 150",
        "insert into {table} by name select * replace ('SH-X' as shift_id) from {table}"
        " where status = 'assigned' and locum_id is not null limit 1",
    ],
    "staging.stg_locum_availability": [
        f"update {{table}} set ends_at = starts_at {FIRST}",
        f"update {{table}} set department_id = 'ZZZ' {SECOND}",
        "update {table} set is_withdrawn = true where rowid > 10",
    ],
    "intermediate.int_leave_days": [
        f"update {{table}} set day_share = 0.7 {FIRST}",
        f"update {{table}} set leave_on = date '2025-08-15' {SECOND}",
        f"update {{table}} set leave_on = date '2031-08-14' {THIRD}",
        "insert into {table} by name select * replace ('LV-X' as application_id) from {table}"
        " where status = 'approved' and day_share = 1 limit 1",
    ],
    "intermediate.int_locum_days": [f"update {{table}} set part_microseconds = -1 {FIRST}"],
    "marts.leave_summary": [
        f"update {{table}} set submitted_count = submitted_count + 1 {FIRST}",
        f"update {{table}} set rejected_count = -1 {SECOND}",
        "update {table} set average_days = null where approved_count > 0",
        "update {table} set balance_days = -1",
        f"delete from {{table}} {THIRD}",
    ],
    "marts.incidents_open": [
        "update {table} set sla_hours = sla_hours + 1 where rowid > 3",
        "update {table} set manager_id = null",
    ],
    "marts.incident_summary": [
        f"update {{table}} set resolved_count = resolved_count + 1 {FIRST}",
        f"update {{table}} set open_past_sla_count = open_count + 1 {SECOND}",
        "update {table} set median_resolution_hours = null",
        "delete from {table} where period = 'week' and rowid between 151 and 380",
        "update {table} set resolved_late_count = incident_count where rowid > 20",
    ],
    "marts.expense_summary": [
        f"update {{table}} set variance_inr = variance_inr + 0.01 {FIRST}",
        "update {table} set variance_ratio = variance_ratio + 0.1 where rowid > 200",
        f"update {{table}} set budget_revision = null, expense_count = 0 {SECOND}",
        f"update {{table}} set spend_month = spend_month + 1 {THIRD}",
        "update {table} set actual_inr = actual_inr * 10 where rowid > 200",
        f"update {{table}} set budget_inr = 4e11, actual_inr = 8e11, variance_inr = 4e11, variance_ratio = 1 {FOURTH}",
    ],
    "marts.monthly_spend": [
        f"update {{table}} set variance_inr = variance_inr + 0.01 {FIRST}",
        f"update {{table}} set variance_ratio = null {SECOND}",
        f"update {{table}} set financial_year_on = financial_year_on - 1 {THIRD}",
        "update {table} set year_actual_inr = year_actual_inr + 0.01 where month(spend_month) = 12",
    ],
    "marts.locum_summary": [
        f"update {{table}} set worked_month = worked_month + 40 {FIRST}",
        f"update {{table}} set available_hours = 25 {SECOND}",
        f"update {{table}} set available_hours = 0, assigned_hours = 0 {THIRD}",
        f"update {{table}} set utilisation_ratio = null {FOURTH}",
        "update {table} set assigned_hours = 23 where rowid > 110",
    ],
    "pipeline.leave_reconciliation": [
        "update ops.ingestion_log set read_count = read_count + 1",
        "delete from raw.leave_balances where rowid < 3",
        "update staging.stg_leave_applications set status = 'rejected' where status = 'approved'",
        "update marts.leave_summary set taken_days = taken_days + 0.5 where rowid = 3",
    ],
    "pipeline.incident_reconciliation": [
        "update ops.ingestion_log set read_count = read_count + 1",
        "delete from raw.incidents where rowid < 3",
        "update marts.incidents_open set is_past_sla = not is_past_sla where rowid = 1",
    ],
    "pipeline.spend_reconciliation": [
        "update ops.ingestion_log set read_count = read_count + 1",
        "delete from raw.expenses where rowid < 3",
        "update marts.monthly_spend set actual_inr = actual_inr + 0.01 where rowid = 3",
    ],
    "pipeline.locum_reconciliation": [
        "update ops.ingestion_log set read_count = read_count + 1",
        "delete from raw.locum_shifts where rowid < 3",
        "update marts.locum_summary set available_hours = available_hours + 2 where rowid = 3",
    ],
    **{f"pipeline.{page}_page_figures": ["update ops.page_figures set value = '1'"] for page in PAGES},
}


@pytest.fixture(scope="module")
def good() -> Iterator[Session]:
    """A session as a run has it before its last gate, every table of it kept a second time under `kept_<table>`."""
    with Session(EngineLimits("512MB", 2)) as session:
        planted = fill_raw(session)
        build_models(session)
        session.execute(
            "create table ops.ingestion_log (source varchar, batch_id varchar, status varchar, read_count bigint,"
            " accepted_count bigint, quarantined_count bigint, duplicate_count bigint, table_version bigint)"
        )
        for source, made in planted.items():
            repeats = made.by_fault.get("repeat", 0)
            refused = made.line_count - made.good_count - repeats
            values = f"{made.line_count}, {made.good_count}, {refused}, {repeats}, 1"
            session.execute(f"insert into ops.ingestion_log values ('{source}', '{source}-1', 'landed', {values})")
        show_figures(session)
        session.execute("create schema kept")
        for name in tables():  # in one order always: what is damaged is told by its place
            session.execute(f"create table kept.{name.replace('.', '_')} as from {name} order by all")
            restore(session, name)
        yield session


@pytest.fixture
def session(good: Session) -> Iterator[Session]:
    """The good session, made good again afterwards."""
    yield good
    for name in tables():
        restore(good, name)


def restore(session: Session, name: str) -> None:
    """Makes a table as it was kept."""
    session.execute(f"drop table {name}; create table {name} as from kept.{name.replace('.', '_')}")


def show_figures(session: Session) -> None:
    """Makes the figures of pages that show what the marts say."""
    session.execute("create table ops.page_figures (page varchar, figure varchar, value varchar)")
    for page in PAGES:
        path = ROOT / f"checks/pages/{page}.yml"
        for figure, select in read_figures(path, path.read_text(encoding="utf-8")).items():
            session.execute(f"insert into ops.page_figures select '{page}', '{figure}', ({select})")


def tables() -> list[str]:
    return [*ORDER, *(f"raw.{source}" for source in SOURCES), "ops.ingestion_log", "ops.page_figures"]


def check(session: Session, suite: Suite, now: datetime = NOW) -> dict[str, CheckResult]:
    results = run_gate(session, suite.stage, [suite], {}, now=now).results
    named = {result.check_name: result for result in results}
    assert len(named) == len(results), "two checks of one table have the same name"
    return named


def told_damages(suite: Suite) -> Iterator[str]:
    """Gives damage to what the file itself names: a value missing, repeated, of another type, outside its list."""
    checks = read_yaml(suite.sodacl).value
    table = suite.table_name
    number = 0
    for entry in (each for section in checks.values() for each in section):
        text = entry if isinstance(entry, str) else next(iter(entry))
        found = re.match(r"(missing|invalid|duplicate)_count\((.*)\)", text)
        if found is None:
            continue
        number += 1
        if found[1] == "missing":
            yield f"update {table} set {found[2]} = null where rowid = {number}"
        elif found[1] == "invalid":
            yield f"update {table} set {found[2]} = 'boats' where rowid = {number + 10}"
        else:
            yield f"insert into {table} from {table} where rowid = 0"


@pytest.mark.parametrize("name", SUITES)
def test_people_checks_pass_on_good_tables(good: Session, name: str) -> None:
    """Good tables pass every check of their file, without a warning."""
    outcomes = {check: str(result) for check, result in check(good, SUITES[name]).items() if result.outcome != "pass"}
    assert outcomes == {}


@pytest.mark.parametrize("name", SUITES)
def test_people_checks_each_notice_their_damage(session: Session, name: str) -> None:
    """Of a table damaged in every way that its file speaks of, each check fails or warns; none is an error."""
    suite = SUITES[name]
    grown = list(told_damages(suite))
    for damage in [*grown, *DAMAGES.get(name, [])]:
        session.execute(damage.format(table=name))
    results = check(session, suite, MUCH_LATER)
    quiet = {each for each, result in results.items() if result.outcome == "pass"}
    assert quiet <= {EMPTY, "has the promised columns", "carries nothing restricted"}
    assert {each for each, result in results.items() if result.outcome == "error"} == set()


@pytest.mark.parametrize("name", [name for name in SUITES if not name.startswith("pipeline.")])
def test_people_checks_of_shape_notice_other_columns(session: Session, name: str) -> None:
    """A column of another type fails the check of columns; an empty table warns, and stops nothing."""
    suite = SUITES[name]
    session.execute(f"delete from {name}; delete from raw.budgets")
    empty = check(session, suite)
    assert empty[EMPTY].outcome == "warn"
    assert {each.outcome for each in empty.values()} <= {"pass", "warn"}
    column = session.rows(f"describe {name}")[0][0]
    session.execute(f"alter table {name} alter {column} type blob using null")
    assert check(session, suite)["has the promised columns"].outcome == "fail"


@pytest.mark.parametrize(
    ("table", "column"),
    [("stg_staff", "email"), ("stg_leave_applications", "reason"), ("stg_incidents", "narrative"),
     ("stg_expenses", "account_number")],
)  # fmt: skip
def test_people_checks_let_nothing_restricted_into_staging(session: Session, table: str, column: str) -> None:
    """A restricted column that reached staging closes the gate."""
    session.execute(f"alter table staging.{table} add column {column} varchar")
    assert check(session, SUITES[f"staging.{table}"])["carries nothing restricted"].outcome == "fail"


def test_people_checks_stand_in_files_of_their_tables() -> None:
    """Every staging table, every mart and every subject has its file."""
    wanted = {name for name in ORDER if not name.startswith("intermediate.")}
    wanted |= {f"pipeline.{subject}_reconciliation" for subject in SUBJECTS}
    wanted |= {f"pipeline.{page}_page_figures" for page in PAGES}
    assert wanted <= set(SUITES)
