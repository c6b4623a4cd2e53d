"""Demo sales: the same bytes for the same seed, and faults in exactly the numbers announced."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from lake.demo.people_parts import LEAST_STAFF
from lake.demo.planting import plant_all
from lake.demo.sales import PlantedFaults, write_sales
from lake.demo.spend import PLANTED_BREACHES, PLANTED_UNBUDGETED, spend_tables
from lake.engine import EngineLimits, Session

ROWS = 20_000
SEED = 7
DIGEST_OF_200 = "f79bd5b448618ffb5b591a24af1317e6a7f8f49c0884ece734a0735c3fb0bf68"


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(EngineLimits("512MB", 2)) as opened:
        yield opened


def read_text(planted: PlantedFaults) -> pl.DataFrame:
    """Gives the delivered lines as text, without looking at how they were made."""
    return pl.concat(pl.read_csv(path, infer_schema=False) for path in planted.files)


def digest(planted: PlantedFaults) -> str:
    return sha256(b"".join(path.read_bytes() for path in planted.files)).hexdigest()


def faults_of(lines: pl.DataFrame) -> pl.DataFrame:
    """Gives, for each line, which faults it shows."""
    return lines.select(
        pl.struct(pl.all()).is_first_distinct().not_().alias("repeat"),
        pl.col("sold_at").is_null().alias("missing-sold-at"),
        (pl.col("revenue_inr").cast(pl.Decimal(14, 2)) < 0).alias("negative-revenue"),
        (pl.col("region") == "Atlantis").alias("unknown-region"),
        pl.col("units").cast(pl.Int64, strict=False).is_null().alias("text-in-units"),
    )


def test_demo_same_seed_gives_the_same_bytes(session: Session, tmp_path: Path) -> None:
    """The bytes follow from the seed alone: not from session, folder, threads or day; another seed gives others."""
    first = write_sales(session, tmp_path / "first", rows=ROWS, seed=SEED)
    with Session(EngineLimits("512MB", 1)) as single:
        again = write_sales(single, tmp_path / "again", rows=ROWS, seed=SEED)
    other = write_sales(session, tmp_path / "other", rows=ROWS, seed=SEED + 1)
    assert digest(first) == digest(again)
    assert replace(again, files=first.files) == first
    assert digest(first) != digest(other)


def test_demo_bytes_are_those_of_every_machine(session: Session, tmp_path: Path) -> None:
    """A small delivery has the digest it had when it was first made, whatever machine or DuckDB makes it."""
    assert digest(write_sales(session, tmp_path, rows=200, seed=SEED)) == DIGEST_OF_200


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_demo_faults_are_in_the_numbers_announced(session: Session, tmp_path: Path, seed: int) -> None:
    """Counted by polars in the file: each fault in exactly its number, no line with two, all other lines good."""
    planted = write_sales(session, tmp_path, rows=ROWS, seed=seed)
    shown = faults_of(read_text(planted))
    assert {name: shown[name].sum() for name in shown.columns} == dict(planted.by_fault)
    assert shown.select(pl.sum_horizontal(pl.all()).max()).item() == 1
    assert planted.by_fault == {
        "repeat": 400,
        "missing-sold-at": 1000,
        "negative-revenue": 300,
        "unknown-region": 100,
        "text-in-units": 100,
    }
    assert planted.good_count == ROWS - 1900
    assert planted.by_category["DUPLICATE_RECORD"] == 400


def test_demo_good_sums_are_those_of_the_file(session: Session, tmp_path: Path) -> None:
    """The announced revenue and units are the sums over the good lines of the file, to the paisa."""
    planted = write_sales(session, tmp_path, rows=ROWS, seed=SEED)
    lines = read_text(planted)
    good = lines.filter(~pl.Series(faults_of(lines).select(pl.any_horizontal(pl.all())).to_series()))
    assert good.height == planted.good_count
    assert good["revenue_inr"].cast(pl.Decimal(14, 2)).sum() == planted.good_revenue_inr
    assert good["units"].cast(pl.Int64).sum() == planted.good_unit_count
    exact = (good["units"].cast(pl.Decimal(14, 0)) * good["unit_price_inr"].cast(pl.Decimal(14, 2))) == good[
        "revenue_inr"
    ].cast(pl.Decimal(14, 2))
    assert exact.all()


def test_demo_repeats_stand_below_the_good_line_they_repeat(session: Session, tmp_path: Path) -> None:
    """First wins: whatever is repeated was good where it stood first, so that good lines are counted once."""
    lines = read_text(write_sales(session, tmp_path, rows=ROWS, seed=SEED))
    shown = faults_of(lines)
    repeated = lines.filter(shown["repeat"])
    firsts = lines.with_columns(shown).filter(~shown["repeat"]).join(repeated.select("order_id"), on="order_id")
    assert firsts.height == repeated.height
    assert firsts.select(pl.sum_horizontal(shown.columns).sum()).item() == 0


def test_demo_lines_are_in_the_order_of_the_sales(session: Session, tmp_path: Path) -> None:
    """Good lines come in order of time and number, within the days asked for, as real deliveries do."""
    planted = write_sales(session, tmp_path, rows=ROWS, seed=SEED, start=date(2025, 3, 1), days=31)
    lines = read_text(planted)
    good = lines.filter(~faults_of(lines)["repeat"]).drop_nulls("sold_at")
    assert good["order_id"].is_sorted()
    assert good["sold_at"].is_sorted()
    assert good["sold_at"].min() >= "2025-03-01T00:00:00+05:30"
    assert good["sold_at"].max() < "2025-04-01T00:00:00+05:30"


def test_demo_order_holds_across_threads_and_row_groups(session: Session, tmp_path: Path) -> None:
    """The order of lines survives two threads and several row groups of DuckDB."""
    lines = read_text(write_sales(session, tmp_path, rows=500_000, seed=SEED))
    assert lines.filter(~faults_of(lines)["repeat"])["order_id"].is_sorted()


def test_demo_files_of_months_hold_the_same_lines(session: Session, tmp_path: Path) -> None:
    """Delivered month by month or at once, the lines and the announcement are the same."""
    whole = write_sales(session, tmp_path / "whole", rows=ROWS, seed=SEED)
    months = write_sales(session, tmp_path / "months", rows=ROWS, seed=SEED, files="month")
    assert [path.name for path in months.files] == [f"sales_2025-{month:02}.csv" for month in range(1, 13)]
    assert sorted(read_text(months).rows(), key=str) == sorted(read_text(whole).rows(), key=str)
    assert replace(months, files=whole.files) == whole


def test_demo_later_delivery_brings_new_orders(session: Session, tmp_path: Path) -> None:
    """A delivery with a later first order shares no order with the one before."""
    first = read_text(write_sales(session, tmp_path / "first", rows=1000, seed=SEED))
    later = write_sales(
        session, tmp_path / "later", rows=1000, seed=SEED, start=date(2026, 1, 1), days=2, first_order=1001
    )
    assert set(first["order_id"]).isdisjoint(read_text(later)["order_id"])


def test_demo_sales_look_like_a_year_of_a_shop(session: Session, tmp_path: Path) -> None:
    """A second year sells about a tenth more, October more than February, Saturday more than Monday."""
    planted = write_sales(session, tmp_path, rows=ROWS, seed=SEED, days=730)
    days = read_text(planted).drop_nulls("sold_at")["sold_at"].str.slice(0, 10).str.to_date()
    years = [(days.dt.year() == year).sum() for year in (2025, 2026)]
    assert 1.07 < years[1] / years[0] < 1.13
    assert (days.dt.month() == 10).sum() > 1.3 * (days.dt.month() == 2).sum()
    assert (days.dt.weekday() == 6).sum() > 1.2 * (days.dt.weekday() == 1).sum()


def test_demo_has_all_regions_groups_and_products(session: Session, tmp_path: Path) -> None:
    """Eight regions, five groups of five products each, and the odd cancelled order with 0 units."""
    lines = read_text(write_sales(session, tmp_path, rows=ROWS, seed=SEED))
    assert lines.filter(pl.col("region") != "Atlantis")["region"].n_unique() == 8
    by_group = lines.group_by("product_group").agg(pl.col("product").n_unique())
    assert by_group["product"].to_list() == [5] * 5
    assert 0 < (lines["units"] == "0").sum() < ROWS // 500


@pytest.mark.parametrize("rows", [2_000, 60_000])
def test_demo_budgets_are_exceeded_in_the_numbers_planted(session: Session, tmp_path: Path, rows: int) -> None:
    """However large the demo, as many budgets are too small by a quarter, and as many are missing, as announced."""
    plant_all(session, spend_tables(rows, LEAST_STAFF), tmp_path, seed=SEED)
    cells = session.rows(
        """
        with spent as (
            select department_id, category, date_trunc('month', spent_on) as month, sum(amount_inr) as actual_inr
            from demo_expenses where _fault in ('none', 'repeat') group by all
        ),
        allowed as (
            select department_id, category, budget_month as month, max_by(budget_inr, revision_number) as budget_inr
            from demo_budgets group by all
        )
        select actual_inr, budget_inr from spent left join allowed using (department_id, category, month)
        """
    )
    over = [actual / budget for actual, budget in cells if budget is not None and actual > budget]
    assert len(over) == PLANTED_BREACHES
    assert min(over) > Decimal("1.24")
    assert sum(budget is None for _, budget in cells) == PLANTED_UNBUDGETED


@pytest.mark.parametrize("rows", [0, 1, 2, 49, 50, 51, 99, 200])
def test_demo_of_any_size_keeps_its_word(session: Session, tmp_path: Path, rows: int) -> None:
    """However few the lines, the file has that many and the faults announced."""
    planted = write_sales(session, tmp_path, rows=rows, seed=SEED)
    lines = read_text(planted)
    assert lines.height == rows
    shown = faults_of(lines)
    assert {name: int(shown[name].sum()) for name in shown.columns} == dict(planted.by_fault)
    assert planted.good_count == rows - sum(planted.by_fault.values())
    assert isinstance(planted.good_revenue_inr, Decimal)


def test_demo_times_are_indian(session: Session, tmp_path: Path) -> None:
    """Every time carries the Indian offset, so that it is the same instant anywhere."""
    times = read_text(write_sales(session, tmp_path, rows=200, seed=SEED))["sold_at"].drop_nulls().to_list()
    assert times
    assert {datetime.fromisoformat(time).utcoffset() for time in times} == {timedelta(hours=5, minutes=30)}
