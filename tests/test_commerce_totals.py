"""The shop, whole: demo files through the real pipeline, every total told by polars, which never saw the models."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

import polars as pl
import pytest

from lake.demo.commerce import CUSTOMERS_PER_SILENT_ONE, GUEST_ORDERS, STRAY_PAYMENTS, commerce_tables
from tests.commerce_parts import ROOT, BodyRun, deliver, indian_day, instants, make_project, money, run_marts

MARTS = ("mart_customer_analytics", "mart_product_analytics", "mart_daily_summary", "fct_orders")
PAGES = ("customer_insights", "product_performance", "daily_operations")
ROWS = 5_600
NAMES = r"cust-\d+@|(Asha|Ravi|Meera|Arjun|Lakshmi|Imran|Kavya|Joseph) (Rao|Sharma|Iyer|Khan|Patel|Das|Nair|Singh)"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BodyRun]:
    project = make_project(tmp_path_factory.mktemp("shop"), PAGES)
    planted = deliver(project, commerce_tables(ROWS))
    yield BodyRun(project, planted, run_marts(project, MARTS, PAGES))


@pytest.fixture(scope="module")
def lines(shop: BodyRun) -> pl.DataFrame:
    """Gives the good order lines with their day and value, judged by polars alone."""
    text = shop.delivered("orders")
    typed = text.with_columns(
        *instants("ordered_at"),
        pl.col("line_number", "quantity").cast(pl.Int64, strict=False),
        pl.col("unit_price_inr", "discount_inr").cast(pl.Decimal(14, 2), strict=False),
    )
    good = typed.drop_nulls(["ordered_at", "unit_price_inr"]).filter(pl.col("quantity") > 0)
    valued = good.with_columns(
        ordered_on=indian_day("ordered_at"),
        value=(pl.col("quantity").cast(pl.Decimal(14, 0)) * pl.col("unit_price_inr") - pl.col("discount_inr")),
        kept=pl.col("status") != "cancelled",
    )
    return valued.filter(pl.col("value") >= 0)


@pytest.fixture(scope="module")
def moves(shop: BodyRun) -> pl.DataFrame:
    """Gives the good transactions with their day."""
    typed = shop.delivered("transactions").with_columns(
        *instants("occurred_at"),
        pl.col("amount_inr").cast(pl.Decimal(14, 2), strict=False),
        pl.col("returned_quantity", "line_number").cast(pl.Int64, strict=False),
    )
    good = typed.drop_nulls("amount_inr").filter(
        pl.col("amount_inr") > 0, pl.col("kind").is_in(["payment", "refund", "return"])
    )
    return good.with_columns(occurred_on=indian_day("occurred_at"))


def value_of(lines: pl.DataFrame, key: str) -> dict[str, Decimal]:
    kept = lines.filter("kept").group_by(key).agg(pl.col("value").sum())
    return {name: money(value) for name, value in kept.rows()}


def sums(moves: pl.DataFrame, key: str, *kinds: str) -> dict[object, Decimal]:
    found = moves.filter(pl.col("kind").is_in(kinds)).group_by(key).agg(pl.col("amount_inr").sum())
    return {name: money(value) for name, value in found.rows()}


def test_commerce_totals_account_for_every_record(shop: BodyRun) -> None:
    """Every source's ledger and its exceptions by category are exactly what was planted, and every gate was passed."""
    assert shop.outcome.failure is None
    for source, planted in shop.planted.items():
        [counts] = shop.ask(
            f"select read_count, accepted_count, duplicate_count from ops.ingestion_log where source = '{source}'"
        )
        assert counts == (planted.line_count, planted.good_count, planted.by_fault.get("repeat", 0))
        found = dict(shop.ask(f"select category, count(*) from ops.exceptions where source = '{source}' group by all"))
        assert found == {name: count for name, count in planted.by_category.items() if count}


def test_commerce_totals_pass_every_check_without_a_warning(shop: BodyRun) -> None:
    """The demo is a healthy shop: no check warns, in any stage."""
    assert shop.ask("select table_name, check_name, details from ops.validation_results where outcome <> 'pass'") == []
    assert shop.ask("select count(*) > 150 from ops.validation_results") == [(True,)]


def test_commerce_totals_of_orders_are_those_of_polars(shop: BodyRun, lines: pl.DataFrame, moves: pl.DataFrame) -> None:
    """Each order has polars' day, units, value, payments, refunds and returns, to the paisa, and no order is lost."""
    value, paid = value_of(lines, "order_id"), sums(moves, "order_id", "payment")
    refunded, returned = sums(moves, "order_id", "refund"), sums(moves, "order_id", "return")
    units = dict(lines.filter("kept").group_by("order_id").agg(pl.col("quantity").sum()).rows())
    days = dict(lines.group_by("order_id").agg(pl.col("ordered_on").min()).rows())
    zero = Decimal("0.00")
    expected = {
        (
            key, day, units.get(key, 0), value.get(key, zero), paid.get(key, zero), refunded.get(key, zero),
            returned.get(key, zero), value.get(key, zero) - returned.get(key, zero),
            value.get(key, zero) - paid.get(key, zero) + refunded.get(key, zero),
        )
        for key, day in days.items()
    }  # fmt: skip
    columns = "order_id, ordered_on, unit_count, order_value_inr, paid_inr, refunded_inr, returned_inr"
    assert set(shop.ask(f"select {columns}, net_revenue_inr, balance_inr from marts.fct_orders")) == expected


def test_commerce_totals_of_customers_are_those_of_polars(
    shop: BodyRun, lines: pl.DataFrame, moves: pl.DataFrame
) -> None:
    """Each customer has polars' orders, lifetime value, last order and recency; nobody is left out."""
    returned = sums(moves, "order_id", "return")
    orders = (
        lines.filter("kept").group_by("customer_id", "order_id").agg(pl.col("value").sum(), pl.col("ordered_on").min())
    )
    newest = orders["ordered_on"].max()
    assert isinstance(newest, date)
    cancelled = lines.filter(~pl.col("kept"))["order_id"].to_list()
    wholly = set(cancelled) - set(orders["order_id"])
    worth: dict[str, Decimal] = {}
    for customer, order, value, _ in orders.rows():
        worth[customer] = worth.get(customer, Decimal(0)) + money(value) - returned.get(order, Decimal(0))
    for customer, order in lines.select("customer_id", "order_id").unique().rows():
        if order in wholly:
            worth[customer] = worth.get(customer, Decimal(0)) - returned.get(order, Decimal(0))
    counted = orders.group_by("customer_id").agg(pl.len(), pl.col("ordered_on").max())
    expected = {
        (name, count, money(worth[name]), last, (newest - last).days, count >= 2)
        for name, count, last in counted.rows()
    }
    found = shop.ask(
        "select customer_id, order_count, lifetime_value_inr, last_order_on, recency_days, is_repeat"
        " from marts.mart_customer_analytics where order_count > 0"
    )
    assert set(found) == expected
    all_customers = (
        shop.planted["customers"].good_count
        + shop.ask("select count(*) from marts.dim_customers where not is_known")[0][0]
    )
    [(customers,)] = shop.ask("select count(*) from marts.mart_customer_analytics")
    assert customers == all_customers
    spent = dict(orders.group_by("customer_id").agg(pl.col("value").sum()).rows())
    for name, count, worth_inr, recency, average, segment in shop.ask(
        "select customer_id, order_count, lifetime_value_inr, recency_days, average_order_value_inr, segment"
        " from marts.mart_customer_analytics"
    ):
        exact = (money(spent[name]) / count).quantize(Decimal("0.01"), ROUND_HALF_UP) if count else None
        assert average == exact
        assert segment == segment_of(count, worth_inr, recency)


def segment_of(orders: int, worth: Decimal, recency: int | None) -> str:
    """Gives the first segment whose bounds hold a customer, by the reference file alone."""
    for rule in pl.read_csv(ROOT / "sql/reference/customer_segments.csv").sort("priority").to_dicts():
        fewest, most, least, latest = (
            rule[name] for name in ("min_order_count", "max_order_count", "min_lifetime_value_inr", "max_recency_days")
        )
        if (
            (fewest is None or orders >= fewest)
            and (most is None or orders <= most)
            and (least is None or worth >= least)
            and (latest is None or (recency is not None and recency <= latest))
        ):
            return str(rule["segment"])
    raise AssertionError(f"no segment holds {orders} orders worth {worth}")


def test_commerce_totals_of_products_are_those_of_polars(
    shop: BodyRun, lines: pl.DataFrame, moves: pl.DataFrame
) -> None:
    """Each product has polars' units, revenue, returns and margin; ranks follow the net revenue."""
    costs = {row["product_id"]: Decimal(row["unit_cost_inr"]) for row in shop.delivered("products").to_dicts()}
    returns = moves.filter(pl.col("kind") == "return").join(lines.filter("kept"), on=["order_id", "line_number"])
    back = {
        name: (count, money(amount))
        for name, count, amount in returns.group_by("product_id")
        .agg(pl.col("returned_quantity").sum(), pl.col("amount_inr").sum())
        .rows()
    }
    sold = lines.filter("kept").group_by("product_id").agg(pl.col("quantity").sum(), pl.col("value").sum())
    expected = set()
    for name, units, value in sold.rows():
        units_back, money_back = back.get(name, (0, Decimal("0.00")))
        net = money(value) - money_back
        expected.add((name, units, money(value), units_back, money_back, net, net - (units - units_back) * costs[name]))
    found = shop.ask(
        "select product_id, unit_count, revenue_inr, returned_unit_count, returned_inr, net_revenue_inr, margin_inr"
        " from marts.mart_product_analytics where unit_count > 0"
    )
    assert set(found) == expected
    ranked = shop.ask("select net_revenue_inr, revenue_rank from marts.mart_product_analytics order by revenue_rank")
    assert [value for value, _ in ranked] == sorted((value for value, _ in ranked), reverse=True)


def test_commerce_totals_of_days_are_those_of_polars(shop: BodyRun, lines: pl.DataFrame, moves: pl.DataFrame) -> None:
    """Every Indian day from the first order to the last money is there once, with polars' orders, value and money."""
    orders = lines.group_by("order_id").agg(pl.col("ordered_on").min(), pl.col("value").filter(pl.col("kept")).sum())
    value = {day: money(total) for day, total in orders.group_by("ordered_on").agg(pl.col("value").sum()).rows()}
    counts = dict(orders.group_by("ordered_on").len().rows())
    paid, back = sums(moves, "occurred_on", "payment"), sums(moves, "occurred_on", "refund", "return")
    first, last = min(counts), max(max(counts), *paid, *back)
    zero = Decimal("0.00")
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    joined = shop.delivered("customers").with_columns(*instants("registered_at")).drop_nulls("registered_at")
    known = {name for (name,) in shop.ask("select customer_id from raw.customers")}
    new = dict(joined.filter(pl.col("customer_id").is_in(known)).group_by(indian_day("registered_at")).len().rows())
    expected = []
    for place, day in enumerate(days):
        week = sum((value.get(each, zero) for each in days[place - 6 : place + 1]), zero) if place >= 6 else None
        average = None if week is None else (week / 7).quantize(Decimal("0.01"), ROUND_HALF_UP)
        before = value.get(days[place - 7], zero) if place >= 7 else None
        row = (day, new.get(day, 0), counts.get(day, 0), value.get(day, zero), paid.get(day, zero), back.get(day, zero))
        expected.append((*row, before, average))
    found = shop.ask(
        "select summary_on, new_customer_count, order_count, order_value_inr, paid_inr, given_back_inr,"
        " previous_week_value_inr, week_average_value_inr from marts.mart_daily_summary order by summary_on"
    )
    assert found == expected


def test_commerce_totals_hold_the_planted_facts(shop: BodyRun) -> None:
    """Guests, silent customers, stray payments and orders without money are there in the numbers planted."""
    good = {
        name: int(name.removeprefix("CUST-")) for (name,) in shop.ask("select customer_id from staging.stg_customers")
    }
    silent = sum(number % CUSTOMERS_PER_SILENT_ONE == CUSTOMERS_PER_SILENT_ONE - 1 for number in good.values())
    assert shop.ask("select count(*) from marts.dim_customers where not is_known") == [(GUEST_ORDERS,)]
    assert shop.ask(
        "select count(*) from marts.mart_customer_analytics"
        " where is_known and order_count + cancelled_order_count = 0 and right(customer_id, 1) = '9'"
    ) == [(silent,)]
    assert shop.ask("select count(*) from staging.stg_transactions anti join marts.fct_orders using (order_id)") == [
        (STRAY_PAYMENTS,)
    ]
    unpaid = shop.ask("select distinct substr(order_id, 5)::int % 50 from marts.fct_orders where transaction_count = 0")
    assert (11,) in unpaid


def test_commerce_totals_keep_names_and_addresses_out(shop: BodyRun) -> None:
    """No model has a column of names or addresses, no page shows one, and the raw table shows them masked."""
    leaks = shop.ask(
        "select table_schema, table_name from information_schema.columns"
        " where column_name in ('email', 'full_name') and table_schema not in ('raw', 'ops')"
    )
    assert leaks == []
    for page in PAGES:
        html = (shop.project / f"lake/data/pages/{page}.html").read_text("utf-8")
        assert re.search(NAMES, html) is None
    assert shop.ask("select count(*) from raw.customers where email like '%@%' or full_name like 'Asha%'") == [(0,)]


def test_commerce_totals_pages_stand_with_reconciled_figures(shop: BodyRun) -> None:
    """The three pages are kept, and the check of their figures against the marts was passed."""
    for page in PAGES:
        assert (shop.project / f"lake/data/pages/{page}.html").stat().st_size > 1_000_000
        assert (shop.project / f"lake/data/pages/{page}.mail.html").is_file()
    reconciled = shop.ask(
        "select table_name, outcome from ops.validation_results where table_name like '%_page_figures' order by all"
    )
    assert reconciled == [(f"pipeline.{page}_page_figures", "pass") for page in sorted(PAGES)]


LATE = """order_id,line_number,customer_id,product_id,ordered_at,status,quantity,unit_price_inr,discount_inr,updated_at
{order},1,{customer},{product},{at},cancelled,1,10.00,0.00,2026-01-05T10:00:00+05:30
ORD-LATE,1,{customer},{product},2025-03-15T00:10:00+05:30,delivered,2,10.05,0.10,2026-01-05T10:00:00+05:30
"""


def test_commerce_totals_late_lines_rebuild_their_months_only(shop: BodyRun) -> None:
    """A new state of a March line and a late March order rebuild March alone, and every reconciliation holds again."""
    order, customer, product, at = shop.ask(
        "select order_id, customer_id, product_id, strftime(ordered_at, '%Y-%m-%dT%H:%M:%SZ') from staging.stg_orders"
        " where ordered_month = '2025-03-01' and line_number = 1 and not is_cancelled order by order_id limit 1"
    )[0]
    before = shop.ask("select ordered_month, sum(order_value_inr) from marts.fct_orders group by all")
    [(worth,)] = shop.ask(
        f"select line_value_inr from staging.stg_orders where order_id = '{order}' and line_number = 1"
    )
    late = shop.project / "lake/data/inbox/orders/orders_late.csv"
    late.write_text(LATE.format(order=order, customer=customer, product=product, at=at), encoding="utf-8")
    outcome = run_marts(shop.project, MARTS, PAGES)
    assert outcome.failure is None
    built = dict(
        shop.ask(
            "select subject, coalesce(details ->> 'partitions', details ->> 'decision') from ops.audit_log"
            f" where event = 'model-built' and run_id = '{outcome.run_id}'"
        )
    )
    assert built["staging.stg_orders"] == built["marts.fct_orders"] == '["2025-03-01"]'
    after = dict(shop.ask("select ordered_month, sum(order_value_inr) from marts.fct_orders group by all"))
    change = {month: after[month] - value for month, value in before if after[month] != value}
    assert change == {date(2025, 3, 1): Decimal("20.00") - worth}
    again = run_marts(shop.project, MARTS, PAGES)
    assert (again.failure, again.is_new_release) == (None, False)
