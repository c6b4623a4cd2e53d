"""The yardstick of the benchmark does the same work: its ledger and marts are those of the data."""

import json
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

from deltalake import DeltaTable

from lake.demo.sales import PlantedFaults, write_sales
from lake.engine import EngineLimits, Session

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "bare_sales.py"
MARTS = ("sales_daily", "sales_regional", "sales_product", "sales_monthly")


def run(*arguments: Path | str) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    printed: dict[str, int] = json.loads(done.stdout)
    return {name: printed[name] for name in ("read", "accepted", "quarantined", "duplicate")}


def counts(planted: PlantedFaults) -> dict[str, int]:
    repeats = planted.by_fault["repeat"]
    return {
        "read": planted.line_count,
        "accepted": planted.good_count,
        "quarantined": sum(planted.by_fault.values()) - repeats,
        "duplicate": repeats,
    }


def totals(session: Session, lake: Path, name: str) -> tuple[int, int, Decimal]:
    files = [uri.removeprefix("file://") for uri in DeltaTable(str(lake / "marts" / name)).file_uris()]
    query = "select sum(order_count), sum(unit_count), sum(revenue_inr) from read_parquet(?, hive_partitioning = false)"
    found: tuple[int, int, Decimal] = session.rows(query, [files])[0]
    return found


def test_bare_sales_lands_builds_and_adds(tmp_path: Path) -> None:
    """A first delivery, a later one and a repeated one: ledger and marts are what the generator announced."""
    lake = tmp_path / "lake"
    with Session(EngineLimits("256MB", 1)) as session:
        first = write_sales(session, tmp_path / "first", rows=2000, seed=1, days=90)
        later = write_sales(
            session, tmp_path / "later", rows=500, seed=2, start=date(2025, 3, 30), days=4, first_order=2001
        )
        assert run(*first.files, lake) == counts(first)
        assert run(*later.files, lake, "--increment") == counts(later)
        repeated = run(*later.files, lake, "--increment")
        assert (repeated["accepted"], repeated["duplicate"]) == (0, later.good_count + later.by_fault["repeat"])
        expected = (
            first.good_count + later.good_count,
            first.good_unit_count + later.good_unit_count,
            first.good_revenue_inr + later.good_revenue_inr,
        )
        assert {name: totals(session, lake, name) for name in MARTS} == dict.fromkeys(MARTS, expected)
