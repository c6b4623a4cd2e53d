"""The checks of the sales project: all pass on what the pipeline makes, and each one notices its own damage."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from checks.gate import run_gate
from checks.suites import Stage, Suite, find_suites
from checks.verdict import CheckResult
from lake.demo.sales import PlantedFaults, write_sales
from lake.engine import EngineLimits, Session
from tests.sales_parts import ROOT, build_models, fill_raw, good_lines

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SUITES = [  # the figures of pages are checked where pages are drawn: test_sales_job
    suite
    for suite in find_suites(ROOT / "checks")
    if any(part in suite.table_name for part in (".sales_", "stg_sales")) and "page_figures" not in suite.sodacl
]
STAGES: tuple[Stage, ...] = ("staging", "marts", "pipeline")
MARTS = ("sales_daily", "sales_regional", "sales_product", "sales_monthly")


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> PlantedFaults:
    with Session(EngineLimits("512MB", 2)) as session:
        return write_sales(session, tmp_path_factory.mktemp("sales"), rows=2000, seed=3, days=70)


@pytest.fixture
def session(delivery: PlantedFaults) -> Iterator[Session]:
    """Gives a session as a run has it before its pipeline gate, with tables in the place of views."""
    with Session(EngineLimits("512MB", 2)) as opened:
        fill_raw(opened, good_lines(delivery.files))
        build_models(opened)
        opened.execute("create table staging.copied as from staging.stg_sales; drop view staging.stg_sales")
        opened.execute("alter table staging.copied rename to stg_sales")
        fill_operations(opened, delivery)
        yield opened


def fill_operations(session: Session, delivery: PlantedFaults) -> None:
    """Makes the operator's tables as a landing of the delivery leaves them."""
    refused = delivery.line_count - delivery.good_count
    repeats = delivery.by_fault["repeat"]
    session.execute(
        f"""
        create table ops.ingestion_log as
        select
            'run-1' as run_id, 'batch-1' as batch_id, 'sales' as source, 'landed' as status,
            {delivery.line_count} as read_count, {delivery.good_count} as accepted_count,
            {refused - repeats} as quarantined_count, {repeats} as duplicate_count, 1 as table_version,
            timestamptz '{NOW}' - interval 1 day as ended_at;
        create table ops.quarantine as
        select
            'batch-1' as batch_id, 'sales' as source, line, 'batch-1:' || line as record_id, 'required' as rule,
            'MISSING_REQUIRED_FIELD' as category, ['required:sold_at'] as reasons, 'ORD-1,,' as raw_data,
        from range({refused}) as lines(line);
        create table ops.audit_log as
        select
            'run-1' as run_id, 'batch-landed' as event, 'sales' as subject, {delivery.good_count} as record_count,
            '{{"batch_id": "batch-1"}}'::json as details;
        """
    )


def check(session: Session, only: str = "") -> dict[str, CheckResult]:
    """Gives the results of all suites, or of one table's only, by table and check name."""
    results = [
        result
        for stage in STAGES
        for result in run_gate(
            session, stage, [suite for suite in SUITES if is_wanted(suite, stage, only)], {}, now=NOW
        ).results
    ]
    named = {f"{result.table_name}: {result.check_name}": result for result in results}
    assert len(named) == len(results), "two checks of one table have the same name"
    return named


def is_wanted(suite: Suite, stage: str, only: str) -> bool:
    return suite.stage == stage and only in ("", suite.table_name)


def test_sales_checks_pass_on_what_the_pipeline_makes(session: Session) -> None:
    """Good tables pass every check, without a warning."""
    results = check(session)
    assert len(results) > 60
    assert {name: str(result) for name, result in results.items() if result.outcome != "pass"} == {}


def test_sales_checks_pass_or_warn_on_nothing(session: Session) -> None:
    """A source that has not delivered yet stops nothing; that there are no rows is a warning."""
    for table in ("raw.sales", "staging.stg_sales", *(f"marts.{name}" for name in MARTS)):
        session.execute(f"delete from {table}")
    for table in ("ingestion_log", "quarantine", "audit_log"):
        session.execute(f"delete from ops.{table}")
    results = check(session)
    warned = {name for name, result in results.items() if result.outcome == "warn"}
    assert {name for name, result in results.items() if result.outcome not in ("pass", "warn")} == set()
    assert warned == {"staging.stg_sales: has order lines", *(f"marts.{name}: has rows" for name in MARTS)}


def damage_of_mart(name: str, grain: str, key: str) -> list[tuple[str, str, str]]:
    """Gives what can be wrong with any of the marts; `key` is the grain as the check's name has it."""
    table = f"marts.{name}"
    first = f"where rowid = (select min(rowid) from {table})"
    missing = [
        (f"update {table} set {column} = null {first}", f"{table}: {column} is never missing", "fail")
        for column in (*grain.split(", "), "order_count", "unit_count", "revenue_inr")
    ]
    return [
        *missing,
        (f"insert into {table} from {table} limit 1", f"{table}: one row per {key}", "fail"),
        (f"alter table {table} alter unit_count type integer", f"{table}: has the promised columns", "fail"),
        (f"update {table} set order_count = 0 {first}", f"{table}: every row stands for an order", "fail"),
        (f"update {table} set unit_count = -1 {first}", f"{table}: no negative units", "fail"),
        (f"update {table} set revenue_inr = -0.01 {first}", f"{table}: no negative revenue", "fail"),
        (
            f"update {table} set revenue_per_unit_inr = revenue_per_unit_inr + 0.0002 {first}",
            f"{table}: revenue per unit is revenue by units, and none without units",
            "fail",
        ),
    ]


RECONCILED = "analytics and raw - orders, units and revenue of every mart are those of raw.sales, to the paisa"
STAGING, PIPELINE = "staging.stg_sales: ", "pipeline.sales_reconciliation: "
FIRST_LINE = "where rowid = 0"
DAMAGES = [
    ("alter table staging.stg_sales add column customer_email varchar", STAGING + "carries no e-mail address", "fail"),
    (f"update staging.stg_sales set sold_on = null {FIRST_LINE}", STAGING + "every line has its Indian day", "fail"),
    (
        f"update staging.stg_sales set sold_month = null {FIRST_LINE}",
        STAGING + "every line has its Indian month",
        "fail",
    ),
    (
        f"update staging.stg_sales set sold_on = sold_on + 2 {FIRST_LINE}",
        STAGING + "a line's day is at most one day after that of its instant in UTC",
        "fail",
    ),
    (
        f"update staging.stg_sales set sold_month = sold_month + 1 {FIRST_LINE}",
        STAGING + "a line's month is the first day of its day's month",
        "fail",
    ),
    (
        "alter table staging.stg_sales alter units type bigint",
        STAGING + "has the promised columns",
        "fail",
    ),
    (
        "update ops.ingestion_log set ended_at = ended_at - interval 3 day",
        PIPELINE + "freshness - a feed from which nothing came for three days",
        "warn",
    ),
    (f"update staging.stg_sales set units = -1 {FIRST_LINE}", STAGING + "no negative units", "fail"),
    (f"update staging.stg_sales set revenue_inr = -1 {FIRST_LINE}", STAGING + "no negative revenue", "fail"),
    (
        "update staging.stg_sales set units = 0 where rowid % 10 = 0",
        STAGING + "the share of cancelled lines is as usual",
        "warn",
    ),
    (
        "update staging.stg_sales set units = 0 where rowid % 3 = 0",
        STAGING + "the share of cancelled lines is as usual",
        "fail",
    ),
    *damage_of_mart("sales_daily", "sold_on, region, product_group", "sold_on, region, product_group"),
    ("update marts.sales_daily set sold_month = null", "marts.sales_daily: sold_month is never missing", "fail"),
    (
        "update marts.sales_daily set region = 'Atlantis'",
        "marts.sales_daily: region is one of the contract's",
        "fail",
    ),
    (
        "update marts.sales_daily set product_group = 'Boats'",
        "marts.sales_daily: product_group is one of the contract's",
        "fail",
    ),
    ("update marts.sales_daily set sold_on = sold_on + 40", "marts.sales_daily: a day lies in its month", "fail"),
    (
        "update marts.sales_daily set revenue_per_unit_inr = null where rowid % 10 = 0",
        "marts.sales_daily: most rows have a revenue per unit",
        "warn",
    ),
    (
        "update marts.sales_daily set revenue_per_unit_inr = null where rowid % 3 <> 0",
        "marts.sales_daily: most rows have a revenue per unit",
        "fail",
    ),
    *damage_of_mart("sales_regional", "sold_month, region", "sold_month, region"),
    (
        "update marts.sales_regional set region = 'Atlantis' where region = 'Delhi'",
        "marts.sales_regional: region is one of the contract's",
        "fail",
    ),
    (
        "update marts.sales_regional set revenue_share_ratio = revenue_share_ratio + 0.00001 where region = 'Delhi'",
        "marts.sales_regional: the shares of a month add up to 1",
        "fail",
    ),
    (
        "update marts.sales_regional set revenue_share_ratio = null",
        "marts.sales_regional: a share is missing only in a month without revenue",
        "fail",
    ),
    *damage_of_mart("sales_product", "sold_month, product_group, product", "sold_month, product_group, product"),
    (
        "update marts.sales_product set product_group = 'Boats'",
        "marts.sales_product: product_group is one of the contract's",
        "fail",
    ),
    (
        "update marts.sales_product set product_group = 'Home' where product = 'Perfume' and sold_month = '2025-01-01'",
        "marts.sales_product: a product belongs to one group",
        "fail",
    ),
    *damage_of_mart("sales_monthly", "sold_month", "sold_month"),
    (
        "update marts.sales_monthly set previous_revenue_inr = 5 where previous_revenue_inr is not null",
        "marts.sales_monthly: the revenue of the month before is that month's own",
        "fail",
    ),
    (
        "update marts.sales_monthly set revenue_growth_ratio = null",
        "marts.sales_monthly: growth is there exactly where the month before had revenue",
        "fail",
    ),
    (
        "update marts.sales_monthly set revenue_growth_ratio = 6 where revenue_growth_ratio is not null",
        "marts.sales_monthly: no month grows beyond belief",
        "warn",
    ),
    (
        "update marts.sales_monthly set revenue_growth_ratio = 2000 where revenue_growth_ratio is not null",
        "marts.sales_monthly: no month grows beyond belief",
        "fail",
    ),
    (
        "update ops.ingestion_log set quarantined_count = quarantined_count - 1",
        PIPELINE + "source and clean - each batch's lines are accepted, quarantined or duplicate",
        "fail",
    ),
    (
        f"delete from raw.sales {FIRST_LINE}",
        PIPELINE + "source and clean - each batch's accepted lines are in raw.sales",
        "fail",
    ),
    (
        f"update raw.sales set _batch_id = 'nowhere' {FIRST_LINE}",
        PIPELINE + "source and clean - each batch's accepted lines are in raw.sales",
        "fail",
    ),
    (
        "insert into ops.ingestion_log (run_id, batch_id, source, status, accepted_count, table_version)"
        " values ('run-1', 'batch-0', 'sales', 'landed', 5, 0)",
        PIPELINE + "source and clean - each batch's accepted lines are in raw.sales",
        "fail",
    ),
    (
        f"delete from staging.stg_sales {FIRST_LINE}",
        PIPELINE + "clean and staging - no line is added or dropped",
        "fail",
    ),
    *(
        (f"update marts.{name} set {change} where rowid = 0", PIPELINE + RECONCILED, "fail")
        for name in MARTS
        for change in (
            "revenue_inr = revenue_inr + 0.01",
            "unit_count = unit_count + 1",
            "order_count = order_count + 1",
        )
    ),
    *((f"delete from marts.{name}", PIPELINE + RECONCILED, "fail") for name in MARTS),
    (
        "delete from ops.quarantine where line = 5",
        PIPELINE + "exceptions - each batch's refused lines are all in quarantine",
        "fail",
    ),
    ("delete from ops.quarantine", PIPELINE + "exceptions - each batch's refused lines are all in quarantine", "fail"),
    *(
        (
            f"update ops.quarantine set {column} = null where rowid = 5",
            PIPELINE + "exceptions - each refused line says why, where and what it was",
            "fail",
        )
        for column in ("category", "rule", "reasons", "line")
    ),
    *(
        (
            f"update ops.audit_log set {change}",
            PIPELINE + "audit - each batch of a run that wrote its journal has its landing there, with its count",
            "fail",
        )
        for change in ("event = 'batch-judged'", "record_count = 1", "subject = 'other'")
    ),
    (
        "delete from ops.audit_log",
        PIPELINE + "audit - batches of runs that were killed before they could write their journal",
        "warn",
    ),
]


@pytest.mark.parametrize(("damage", "name", "outcome"), DAMAGES, ids=[damage for damage, _, _ in DAMAGES])
def test_sales_checks_notice_damage(session: Session, damage: str, name: str, outcome: str) -> None:
    """Each kind of damage to a good table is noticed by the check that is there for it."""
    session.execute(damage)
    assert check(session, name.partition(": ")[0])[name].outcome == outcome


def test_sales_checks_are_each_tried_with_damage(session: Session) -> None:
    """No check stands here that was never seen to fail or warn; that there are rows is tried with empty tables."""
    tried = {name for _, name, _ in DAMAGES}
    untried = {name for name in check(session) if name not in tried}
    assert untried == {"staging.stg_sales: has order lines", *(f"marts.{name}: has rows" for name in MARTS)}


def test_sales_checks_wait_for_a_batch_landed_meanwhile(session: Session) -> None:
    """A batch another run has landed since is in the ledger and not yet in this run's raw table: no fault of it."""
    session.execute(
        f"insert into ops.ingestion_log values ('run-2', 'batch-2', 'sales', 'landed', 7, 7, 0, 0, 2, '{NOW}')"
    )
    name = PIPELINE + "source and clean - each batch's accepted lines are in raw.sales"
    assert check(session, "pipeline.sales_reconciliation")[name].outcome == "pass"


def test_sales_checks_stand_in_files_of_their_tables() -> None:
    """Staging, every mart and the whole pipeline have their file."""
    assert {suite.table_name for suite in SUITES} == {
        "staging.stg_sales",
        *(f"marts.{name}" for name in MARTS),
        "pipeline.sales_reconciliation",
    }
    assert all(Path(suite.path).is_relative_to(ROOT) for suite in SUITES)
