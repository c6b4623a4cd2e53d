"""The sales marts against polars, which computes every total from the delivered files and has never seen the models."""

from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from lake.demo.sales import PlantedFaults, write_sales
from lake.engine import EngineLimits, Session
from tests.sales_parts import build_models, fill_raw, good_lines

ROWS = 30_000
INDIA = ZoneInfo("Asia/Kolkata")
START = date(2024, 12, 1)  # so that a year ends inside, and the first month has none before it


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(EngineLimits("512MB", 2)) as opened:
        yield opened


@pytest.fixture(scope="module")
def planted(session: Session, tmp_path_factory: pytest.TempPathFactory) -> PlantedFaults:
    folder = tmp_path_factory.mktemp("sales")
    made = write_sales(session, folder, rows=ROWS, seed=11, start=START, days=200, files="month")
    fill_raw(session, good_lines(made.files))
    build_models(session)
    return made


@pytest.fixture(scope="module")
def lines(planted: PlantedFaults) -> pl.DataFrame:
    """Gives the good lines with their Indian day and month."""
    day = pl.col("sold_at").dt.convert_time_zone(str(INDIA)).dt.date()
    return good_lines(planted.files).with_columns(sold_on=day, sold_month=day.dt.truncate("1mo"))


def mart(session: Session, name: str, columns: list[str]) -> set[tuple[object, ...]]:
    return set(session.rows(f"select {', '.join(columns)} from marts.{name}"))


def totals(lines: pl.DataFrame, grain: list[str]) -> set[tuple[object, ...]]:
    """Gives orders, units and revenue by the grain, as polars adds them up."""
    summed = lines.group_by(grain).agg(
        pl.len().cast(pl.Int64),
        pl.col("units").cast(pl.Int64).sum(),
        pl.col("revenue_inr").cast(pl.Decimal(18, 2)).sum(),
    )
    return set(summed.rows())


GRAINS = {
    "sales_daily": ["sold_month", "sold_on", "region", "product_group"],
    "sales_regional": ["sold_month", "region"],
    "sales_product": ["sold_month", "product_group", "product"],
    "sales_monthly": ["sold_month"],
}


@pytest.mark.parametrize("name", GRAINS)
def test_sales_totals_of_a_mart_are_those_of_polars(session: Session, lines: pl.DataFrame, name: str) -> None:
    """Every row of a mart, and no other, with polars' orders, units and revenue, to the paisa."""
    measures = ["order_count", "unit_count", "revenue_inr"]
    assert mart(session, name, [*GRAINS[name], *measures]) == totals(lines, GRAINS[name])


@pytest.mark.parametrize("name", GRAINS)
def test_sales_totals_are_those_the_generator_announced(session: Session, planted: PlantedFaults, name: str) -> None:
    """Each mart adds up to the orders, units and revenue known from how the data were made."""
    query = f"select sum(order_count), sum(unit_count), sum(revenue_inr) from marts.{name}"
    assert session.rows(query) == [(planted.good_count, planted.good_unit_count, planted.good_revenue_inr)]


@pytest.mark.parametrize("name", GRAINS)
def test_sales_totals_revenue_per_unit_is_exact(session: Session, planted: PlantedFaults, name: str) -> None:
    """Revenue per unit is the exact quotient, rounded to four places, halves up, and none without units."""
    assert planted.good_count
    rows = session.rows(f"select revenue_inr, unit_count, revenue_per_unit_inr from marts.{name}")
    assert rows
    for revenue, units, per_unit in rows:
        if units == 0:
            assert per_unit is None
        else:
            assert per_unit == (revenue / Decimal(units)).quantize(Decimal("0.0001"), ROUND_HALF_UP)


def test_sales_totals_shares_are_of_the_month(session: Session, lines: pl.DataFrame) -> None:
    """A region's share is its revenue by that of its month."""
    by_month = {month: revenue for month, _, _, revenue in totals(lines, ["sold_month"])}
    rows = session.rows("select sold_month, revenue_inr, revenue_share_ratio from marts.sales_regional")
    assert len(rows) == 8 * len(by_month)
    for month, revenue, share in rows:
        assert abs(share - revenue / by_month[month]) <= Decimal("0.0000005")


def test_sales_totals_growth_is_over_the_month_before(session: Session, lines: pl.DataFrame) -> None:
    """Growth compares with the month before, across the year's end; the first month has none."""
    by_month = sorted((month, revenue) for month, _, _, revenue in totals(lines, ["sold_month"]))
    rows = session.rows(
        "select sold_month, previous_revenue_inr, revenue_growth_ratio from marts.sales_monthly order by sold_month"
    )
    assert rows[0] == (START, None, None)
    for (_, previous), (month, revenue), row in zip(by_month[:-1], by_month[1:], rows[1:], strict=True):
        assert row[:2] == (month, previous)
        assert abs(row[2] - (revenue / previous - 1)) <= Decimal("0.0000005")
