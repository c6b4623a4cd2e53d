"""The checks and alerts of the shop: each one is seen to notice the damage it is there for, and none on good tables."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from checks.suites import find_suites
from lake.demo.commerce import commerce_tables
from lake.engine import Session
from tests.commerce_parts import ROOT, BodyRun, deliver, make_project, run_marts
from tests.damage_parts import OPERATIONS, breaches, common_damages, copied, expect_noticed, failing_on_nothing, mend

MODELS = {
    "staging": ("stg_customers", "stg_products", "stg_orders", "stg_transactions"),
    "intermediate": ("int_customer_orders", "int_product_sales", "int_daily_aggregates"),
    "marts": (
        *("dim_customers", "dim_products", "fct_orders"),
        *("mart_customer_analytics", "mart_product_analytics", "mart_daily_summary"),
    ),
    "raw": ("customers", "products", "orders", "transactions"),
    "reference": ("indian_states", "product_categories", "customer_segments"),
}
TABLES = [f"{schema}.{name}" for schema, names in MODELS.items() for name in names]
PIPELINE = "pipeline.commerce_reconciliation"
SUITES = {
    suite.table_name: suite
    for suite in find_suites(ROOT / "checks")
    if suite.table_name == PIPELINE or (suite.stage != "raw" and suite.table_name in TABLES)
}
NOW = datetime.now(UTC)
ONE = "where rowid = 0"
CUSTOMERS, PRODUCTS = "staging.stg_customers", "staging.stg_products"
LINES, MOVES = "staging.stg_orders", "staging.stg_transactions"
PER_ORDER, PER_MONTH = "intermediate.int_customer_orders", "intermediate.int_product_sales"
PER_DAY, DIM_C, DIM_P = "intermediate.int_daily_aggregates", "marts.dim_customers", "marts.dim_products"
FACTS, CUSTOMER, PRODUCT = "marts.fct_orders", "marts.mart_customer_analytics", "marts.mart_product_analytics"
DAY = "marts.mart_daily_summary"
STALE = "set _ingested_at = _ingested_at - interval 90 day"
OWN: dict[str, list[tuple[str, str, str]]] = {
    CUSTOMERS: [
        (f"set state = 'Atlantis' {ONE}", "state is in reference.indian_states", "fail"),
        (
            f"set registered_on = registered_on + 2 {ONE}",
            "the day of registration is at most one day after that of its instant in UTC",
            "fail",
        ),
        ("set city = null where rowid % 10 = 0", "most customers have a town", "warn"),
        ("set city = null where rowid % 10 > 0", "most customers have a town", "fail"),
        (STALE, "a delivery came within 7 days", "warn"),
    ],
    PRODUCTS: [
        ("set unit_cost_inr = list_price_inr where rowid < 3", "few products cost more than they bring", "warn"),
        ("set unit_cost_inr = list_price_inr + 1", "few products cost more than they bring", "fail"),
        (
            "set category_code = 'ZZZ' where rowid < 3",
            "few products have a category that is not in reference.product_categories",
            "warn",
        ),
        (
            "set category_code = 'ZZZ'",
            "few products have a category that is not in reference.product_categories",
            "fail",
        ),
        ("set is_active = false where rowid < 12", "most of the range is on sale", "warn"),
        ("set is_active = false", "most of the range is on sale", "fail"),
        (STALE, "a delivery came within 60 days", "warn"),
    ],
    LINES: [
        (f"set status = 'lost' {ONE}", "status is one of the contract's", "fail"),
        (
            f"set line_value_inr = line_value_inr + 0.01 {ONE}",
            "a line is worth quantity times price less discount, and never less than nothing",
            "fail",
        ),
        (
            f"set ordered_on = ordered_on + 2 {ONE}",
            "a line's day is at most one day after that of its instant in UTC",
            "fail",
        ),
        (f"set ordered_month = ordered_month + 1 {ONE}", "a day lies in its month", "fail"),
        ("set customer_id = 'X' where rowid % 10 = 0", "few lines name a customer who is not on record", "warn"),
        ("set customer_id = 'X'", "few lines name a customer who is not on record", "fail"),
        ("set product_id = 'X' where rowid % 10 = 0", "few lines name a product that is not on record", "warn"),
        ("set product_id = 'X'", "few lines name a product that is not on record", "fail"),
        ("set is_cancelled = true where rowid % 5 = 0", "the share of cancelled lines is as usual", "warn"),
        ("set is_cancelled = true", "the share of cancelled lines is as usual", "fail"),
        (
            "set customer_id = 'X' where line_number = 2 and order_id in (select min(order_id) from"
            " staging.stg_orders where line_number = 2)",
            "all lines of an order are of one customer",
            "warn",
        ),
        ("set customer_id = 'X' where line_number = 2", "all lines of an order are of one customer", "fail"),
        (STALE, "a delivery came within 2 days", "warn"),
    ],
    MOVES: [
        (f"set kind = 'gift' {ONE}", "kind is one of the contract's", "fail"),
        (f"set method = 'barter' {ONE}", "method is one of the contract's", "fail"),
        (
            f"set signed_amount_inr = 0 - signed_amount_inr {ONE}",
            "money back is negative where it is signed, and money in positive",
            "fail",
        ),
        (
            "set returned_quantity = 0 where kind = 'return'",
            "pieces come back by a return, and by nothing else",
            "fail",
        ),
        ("set order_id = 'X' where rowid % 10 = 0", "few movements are of an order that is not there", "warn"),
        ("set order_id = 'X'", "few movements are of an order that is not there", "fail"),
        ("set occurred_on = least(occurred_on, '2025-12-20')", "money is not days behind the orders", "warn"),
        ("set occurred_on = '2025-11-20'", "money is not days behind the orders", "fail"),
        (STALE, "a delivery came within 2 days", "warn"),
    ],
    PER_ORDER: [
        (f"set order_id = 'X' {ONE}", "every order of staging is there, and no other", "fail"),
        (f"set net_revenue_inr = net_revenue_inr + 0.01 {ONE}", "net revenue is value less returns", "fail"),
        (f"set balance_inr = balance_inr + 0.01 {ONE}", "the balance is value less payments plus refunds", "fail"),
        ("set unit_count = 1 where is_cancelled", "a wholly cancelled order is worth nothing", "fail"),
    ],
    PER_MONTH: [
        (f"set product_id = 'X' {ONE}", "product_id is in staging.stg_orders", "fail"),
        (f"set returned_unit_count = unit_count + 1 {ONE}", "no more comes back than was sold", "warn"),
        ("set returned_unit_count = unit_count + 1", "no more comes back than was sold", "fail"),
        (f"set line_count = 0 {ONE}", "every row stands for a line", "fail"),
    ],
    PER_DAY: [
        (f"set paid_inr = -0.01 {ONE}", "no count and no amount is negative", "fail"),
        (
            f"set order_count = 0, transaction_count = 0, new_customer_count = 0 {ONE}",
            "something happened on every day that is there",
            "fail",
        ),
        (
            f"set cancelled_order_count = order_count + 1 {ONE}",
            "no more orders are cancelled or unpaid than were placed",
            "fail",
        ),
    ],
    DIM_C: [
        ("set state = 'Atlantis' where is_known", "state is in reference.indian_states", "fail"),
        ("set region = null", "a customer on record has state, region and day of registration", "fail"),
        ("set is_known = false", "few customers are known from orders alone", "warn"),
    ],
    DIM_P: [
        (
            "set category_name = 'Not categorised'",
            "a category that is in reference.product_categories has its name",
            "fail",
        ),
        ("set unit_cost_inr = null", "a product on record has cost and price", "fail"),
        ("set is_known = false", "few products are known from orders alone", "warn"),
    ],
    FACTS: [
        (f"set customer_id = 'X' {ONE}", "customer_id is in marts.dim_customers", "fail"),
        (f"set payment_state = 'lost' {ONE}", "payment_state is one of five", "fail"),
        ("set balance_inr = 0", "payment_state says what the balance says", "fail"),
        (
            f"set returned_unit_count = 99, cancelled_line_count = 0 {ONE}",
            "no more pieces come back than were ordered",
            "warn",
        ),
        (
            "set returned_unit_count = 99, cancelled_line_count = 0",
            "no more pieces come back than were ordered",
            "fail",
        ),
        (f"set ordered_month = ordered_month + 1 {ONE}", "a day lies in its month", "fail"),
        ("set payment_state = 'no transaction'", "most orders have money moving", "warn"),
        (
            "set payment_state = 'refund due', balance_inr = -1 where rowid % 10 = 0",
            "refunds are not left lying",
            "warn",
        ),
        ("set payment_state = 'refund due', balance_inr = -1", "refunds are not left lying", "fail"),
    ],
    CUSTOMER: [
        (f"set customer_id = 'X' {ONE}", "customer_id is in marts.dim_customers", "fail"),
        (f"set segment = 'Friends' {ONE}", "segment is in reference.customer_segments", "fail"),
        (
            "set recency_days = null",
            "a customer with orders has first day, last day and recency, and one without has none",
            "fail",
        ),
        ("set is_repeat = not is_repeat", "a repeat customer ordered at least twice", "fail"),
        ("set recency_days = -1", "days stand in their order", "fail"),
        ("set is_repeat = rowid % 10 = 0", "enough customers come back", "warn"),
        ("set is_repeat = false", "enough customers come back", "fail"),
    ],
    PRODUCT: [
        (f"set product_id = 'X' {ONE}", "product_id is in marts.dim_products", "fail"),
        (f"set net_revenue_inr = net_revenue_inr + 0.01 {ONE}", "net revenue is revenue less returns", "fail"),
        (f"set margin_inr = null {ONE}", "margin is net revenue less cost, and none without a cost", "fail"),
        (f"set return_ratio = null {ONE}", "a ratio is there exactly where it can be worked out", "fail"),
        (
            "set revenue_rank = revenue_rank + 1",
            "a rank is one more than the products with more net revenue",
            "fail",
        ),
        ("set returned_unit_count = unit_count // 4", "returns are as usual", "warn"),
        ("set returned_unit_count = unit_count", "returns are as usual", "fail"),
        ("set margin_inr = -1 where rowid % 2 = 0", "few products lose money", "warn"),
        ("set margin_inr = -1", "few products lose money", "fail"),
    ],
    DAY: [
        (
            "set summary_on = '2026-02-01', summary_month = '2026-02-01' where summary_on = '2025-12-31'",
            "no day between the first and the last is left out",
            "fail",
        ),
        (f"set net_cash_inr = net_cash_inr + 0.01 {ONE}", "net cash is money in less money back", "fail"),
        (f"set summary_month = summary_month + 1 {ONE}", "a day lies in its month", "fail"),
        (
            "set average_order_value_inr = null",
            "an average is there exactly on days with an order that was kept",
            "fail",
        ),
        (f"set paid_inr = -0.01 {ONE}", "no count and no amount is negative", "fail"),
        ("set previous_week_value_inr = 1", "the week before is the same weekday of that week", "fail"),
        ("set order_count = 0 where rowid % 4 > 0", "few days pass without an order", "warn"),
        ("set order_count = 0", "few days pass without an order", "fail"),
    ],
}
RECONCILED = "clean and marts - the order value of every mart is that of the accepted lines, to the paisa"
MONEY = "clean and marts - money in and money back of every day are those of the transactions, to the paisa"
STAGED = "clean and staging - every key that was accepted is in staging once, and no other"
STATEMENTS: dict[str, list[tuple[str, str, str]]] = {
    CUSTOMER: [(f"delete from {CUSTOMER} {ONE}", "every customer is there", "fail")],
    PRODUCT: [(f"delete from {PRODUCT} {ONE}", "every product is there", "fail")],
    PIPELINE: [
        (
            "update ops.ingestion_log set duplicate_count = duplicate_count - 1 where source = 'orders'",
            "source and clean - each batch's records are accepted, quarantined or duplicate",
            "fail",
        ),
        *((f"delete from {table} {ONE}", STAGED, "fail") for table in (CUSTOMERS, PRODUCTS, LINES, MOVES)),
        *(
            (f"update {table} set {column} = {column} + 0.01 {ONE}", RECONCILED, "fail")
            for table, column in (
                *((FACTS, "order_value_inr"), (CUSTOMER, "order_value_inr")),
                *((PRODUCT, "revenue_inr"), (DAY, "order_value_inr")),
            )
        ),
        (f"update {DAY} set paid_inr = paid_inr + 0.01 {ONE}", MONEY, "fail"),
        (f"update {DAY} set given_back_inr = given_back_inr + 0.01 {ONE}", MONEY, "fail"),
        (
            f"update {CUSTOMER} set lifetime_value_inr = lifetime_value_inr + 0.01 {ONE}",
            "marts - lifetime values add up to the net revenue of all orders",
            "fail",
        ),
        (
            "delete from ops.quarantine where source = 'transactions'",
            "exceptions - each batch's refused records are all in quarantine",
            "fail",
        ),
        (
            "update ops.ingestion_log set ended_at = ended_at - interval 3 day where source = 'orders'",
            "freshness - feeds from which nothing came for two days",
            "warn",
        ),
    ],
}
DAMAGES = [
    *(
        (name, statement, check, outcome)
        for name, suite in SUITES.items()
        for statement, check, outcome in (*common_damages(suite), *STATEMENTS.get(name, ()))
    ),
    *(
        (name, f"update {name} {change}", check, outcome)
        for name, damages in OWN.items()
        for change, check, outcome in damages
    ),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> BodyRun:
    project = make_project(tmp_path_factory.mktemp("shop"), ["daily_operations"])
    planted = deliver(project, commerce_tables(2_100))
    outcome = run_marts(project, MODELS["marts"], ("daily_operations",))
    assert outcome.failure is None
    return BodyRun(project, planted, outcome)


@pytest.fixture(scope="module")
def lake(shop: BodyRun) -> Iterator[Session]:
    with copied(shop.project, TABLES) as opened:
        yield opened


@pytest.fixture
def session(lake: Session) -> Iterator[Session]:
    """Gives plain tables of the shop; whatever a test does to them is mended after it."""
    yield lake
    mend(lake, (*TABLES, *OPERATIONS))


@pytest.mark.parametrize("table", SUITES)
def test_commerce_checks_notice_damage(session: Session, table: str) -> None:
    """Good tables pass every check, and each kind of damage is noticed by the check that is there for it."""
    tried = [(damage, check, outcome) for name, damage, check, outcome in DAMAGES if name == table]
    expect_noticed(session, SUITES[table], tried, NOW)


@pytest.mark.parametrize("table", SUITES)
def test_commerce_checks_pass_or_warn_on_nothing(session: Session, table: str) -> None:
    """A shop that has not delivered yet stops nothing."""
    assert failing_on_nothing(session, SUITES[table], TABLES, NOW) == set()


def test_commerce_checks_stand_in_files_of_their_tables() -> None:
    """Every model of the shop has its file, and so has the reconciliation."""
    models = {f"{schema}.{name}" for schema in ("staging", "intermediate", "marts") for name in MODELS[schema]}
    assert set(SUITES) == {*models, PIPELINE}


def test_commerce_alerts_tell_refunds_left_lying(session: Session) -> None:
    """Refunds due for more than 14 days are one alert with number and sum; one of 14 days is none."""
    session.execute(f"update {FACTS} set payment_state = 'settled', balance_inr = 0")
    assert breaches(session, "commerce_refunds_overdue") == []
    [(newest,)] = session.rows(f"select max(summary_on) from {DAY}")
    late = f"update {FACTS} set payment_state = 'refund due', balance_inr = -10.05, ordered_on = date '{newest}'"
    session.execute(f"{late} - 14 where rowid = 0")
    assert breaches(session, "commerce_refunds_overdue") == []
    session.execute(f"{late} - 15 where rowid < 2")
    [alert] = breaches(session, "commerce_refunds_overdue")
    assert (alert["measured"], alert["breach_key"]) == (2.0, "refunds")
    assert alert["message"] == "2 orders wait for a refund for more than 14 days; the shop owes INR 20.10."
