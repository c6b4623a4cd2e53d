"""Demo sales of an Indian retailer: any size, the same bytes for the same seed, with faults counted in advance.

A line has at most one planted fault. Which lines get one follows from a permutation of the line numbers, so the counts
are exact shares of the lines, rounded down, and not the outcome of a draw.
"""

import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal

from lake.contract import Category
from lake.engine import Session, literal

Files = Literal["one", "month"]

FAULT_SHARES_PER_THOUSAND = {
    "repeat": 20,
    "missing-sold-at": 50,
    "negative-revenue": 15,
    "unknown-region": 5,
    "text-in-units": 5,
}
CATEGORIES: Mapping[str, Category] = {
    "repeat": "DUPLICATE_RECORD",
    "missing-sold-at": "MISSING_REQUIRED_FIELD",
    "negative-revenue": "BUSINESS_RULE_VIOLATION",
    "unknown-region": "DATA_QUALITY_ISSUE",
    "text-in-units": "DATA_FORMAT_ERROR",
}
DAYS_OF_A_YEAR = 365
LINES_PER_CUSTOMER = 20
LONGEST_LAG = 40  # lines between a line and its repetition
STATEMENTS = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True)
class PlantedFaults:
    """What a delivery holds, known from how it was made.

    `line_count` counts the lines below the headers, `by_fault` those with each fault, `good_count` those without;
    `good_unit_count` and `good_revenue_inr` are the sums over the good lines, each order once.
    """

    files: tuple[Path, ...]
    line_count: int
    by_fault: Mapping[str, int]
    good_count: int
    good_unit_count: int
    good_revenue_inr: Decimal

    @property
    def by_category(self) -> Mapping[Category, int]:
        """How many lines end in quarantine under each category (of their first reason)."""
        return {CATEGORIES[fault]: count for fault, count in self.by_fault.items()}


@dataclass(frozen=True)
class _Plan:
    """The permutation `spot = (line * multiplier + first_spot) % line_count` and the ranges of spots with a fault.

    A line whose spot lies in the first range is the line `lag` lines above it again.
    """

    line_count: int
    multiplier: int
    first_spot: int
    lag: int
    range_ends: Mapping[str, int]


def write_sales(
    session: Session,
    folder: Path,
    *,
    rows: int,
    seed: int,
    start: date = date(2025, 1, 1),
    days: int = DAYS_OF_A_YEAR,
    files: Files = "one",
    first_order: int = 1,
) -> PlantedFaults:
    """Writes sales as CSV, in the order they were made, and says exactly which faults they hold.

    Takes: `rows`, the lines to write, from 0; `start` and `days`, the Indian calendar days they fall on; `files`, one
    file `sales.csv` or one per month, `sales_2025-01.csv`; `first_order`, the number of the first order, so that a
    later delivery gets new ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plan = _plan(rows, seed)
    _prepare(session, plan, seed, start, days, first_order)
    written = _write_one(session, folder) if files == "one" else _write_months(session, folder)
    good_count, good_unit_count, good_paise = session.rows(
        "select count(*), coalesce(sum(units), 0), coalesce(sum(revenue_paise), 0) from demo_sale where fault = 'none'"
    )[0]
    counts = _fault_counts(rows)
    return PlantedFaults(written, rows, counts, good_count, int(good_unit_count), Decimal(int(good_paise)).scaleb(-2))


def _fault_counts(rows: int) -> dict[str, int]:
    return {fault: rows * share // 1000 for fault, share in FAULT_SHARES_PER_THOUSAND.items()}


def _plan(rows: int, seed: int) -> _Plan:
    """Draws permutations by the seed until every repeated line stands below the good line it repeats."""
    counts = _fault_counts(rows)
    ends = dict(zip(counts, itertools.accumulate(counts.values()), strict=True))
    chance = random.Random(seed)
    while True:
        plan = _Plan(
            rows,
            multiplier=chance.randrange(rows // 5 + 1, rows // 5 * 4 + 2),
            first_spot=chance.randrange(max(rows, 1)),
            lag=chance.randrange(1, LONGEST_LAG),
            range_ends=ends,
        )
        if rows == 0 or (math.gcd(plan.multiplier, rows) == 1 and _repeats_good_lines(plan)):
            return plan


def _repeats_good_lines(plan: _Plan) -> bool:
    """Whether the lines repeated are good ones, and none would stand above the first line."""
    repeated, faulty = plan.range_ends["repeat"], max(plan.range_ends.values())
    first_source = -plan.multiplier * plan.lag % plan.line_count
    head = range(min(plan.lag, plan.line_count))
    return repeated == 0 or (
        faulty <= first_source <= plan.line_count - repeated
        and all((line * plan.multiplier + plan.first_spot) % plan.line_count >= repeated for line in head)
    )


def _prepare(session: Session, plan: _Plan, seed: int, start: date, days: int, first_order: int) -> None:
    """Makes the tables and views of `sales.sql` in the session."""
    numbers = {
        "seed": seed,
        "day_count": days,
        "first_order": first_order,
        "row_count": plan.line_count,
        "customer_count": max(plan.line_count // LINES_PER_CUSTOMER, LINES_PER_CUSTOMER),
        "multiplier": plan.multiplier,
        "first_spot": plan.first_spot,
        "lag": plan.lag,
        **{f"{fault.replace('-', '_')}_end": end for fault, end in plan.range_ends.items()},
    }
    settings = [f"set variable demo_{name} = {value}::bigint" for name, value in numbers.items()]
    session.execute(";\n".join([*settings, f"set variable demo_first_day = date '{start}'", STATEMENTS.read_text()]))


def _write_one(session: Session, folder: Path) -> tuple[Path, ...]:
    path = folder / "sales.csv"
    _copy(session, path, "true")
    return (path,)


def _write_months(session: Session, folder: Path) -> tuple[Path, ...]:
    months = [month for (month,) in session.rows("select distinct sold_month from demo_delivery order by sold_month")]
    paths = tuple(folder / f"sales_{month:%Y-%m}.csv" for month in months)
    for month, path in zip(months, paths, strict=True):
        _copy(session, path, f"sold_month = date '{month}'")
    return paths


def _copy(session: Session, path: Path, condition: str) -> None:
    query = f"select * exclude (sold_month) from demo_delivery where {condition}"
    session.execute(f"copy ({query}) to {literal(str(path))} (format csv, header)")
