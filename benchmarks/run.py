"""The sales job, by the product and by a bare script that does the same work, in turn on the same files.

    python benchmarks/run.py [--rows 100000 1000000 10000000] [--repeats 3]

For each size: an empty lake, an unchanged rerun, and 10 000 new rows over two days on top. Machines are noisy, so what
counts are the ratios of pairs run one after the other; medians of the repeats are printed, imports taken out.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from lake.demo.sales import write_sales
from lake.engine import EngineLimits, Session

ROOT = Path(__file__).resolve().parent.parent
SIZES = (100_000, 1_000_000, 10_000_000)
LATE_ROWS, LATE_DAYS = 10_000, 2
FIRST_DAY, LAST_DAY = date(2025, 1, 1), date(2025, 12, 31)
TOTAL = "total without imports"


@dataclass(frozen=True)
class Pair:
    """The product's and the bare script's figures of one job, run one after the other."""

    product: dict[str, Any]
    bare: dict[str, Any] | None

    def ratio(self, what: str) -> float | None:
        """Gives product over bare, of `seconds` or `cpu_seconds`, imports taken out."""
        return None if self.bare is None else self.product[what][TOTAL] / self.bare[what][TOTAL]


def main() -> None:
    """Runs every size and prints a table, then seconds per step of the largest."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", default="1GB", help="what DuckDB may use, for both")
    asked = parser.parse_args()
    print(
        f"{'rows':>12} {'job':<12} {'product s':>10} {'bare s':>8} {'wall':>6} {'cpu':>6} {'product MB':>11} "
        f"{'bare MB':>8}"
    )
    for rows in asked.rows:
        with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
            jobs = measure(Path(folder), rows, asked.repeats, asked.memory)
        for name, pairs in jobs.items():
            print(line_of(rows, name, pairs), flush=True)
    print(json.dumps({name: pairs[-1].product["seconds"] for name, pairs in jobs.items()}, indent=2))


def measure(folder: Path, rows: int, repeats: int, memory: str) -> dict[str, list[Pair]]:
    """Gives the pairs of each job at one size, by the job's name."""
    first, late = make_data(folder, rows)
    jobs: dict[str, list[Pair]] = {"empty lake": [], "unchanged": [], "10 k late": []}
    for _ in range(repeats):
        project, lake = make_project(folder / "project"), folder / "bare"
        shutil.rmtree(lake, ignore_errors=True)
        deliver(first, project)
        jobs["empty lake"].append(Pair(by_product(project, memory), by_hand(first, lake, memory)))
        jobs["unchanged"].append(Pair(by_product(project, memory), None))
        deliver(late, project)
        jobs["10 k late"].append(Pair(by_product(project, memory), by_hand(late, lake, memory, "--increment")))
    return jobs


def make_data(folder: Path, rows: int) -> tuple[Path, Path]:
    """Writes a year of sales, and the late rows of its last two days."""
    with Session(EngineLimits("4GB")) as session:
        first = write_sales(session, folder / "first", rows=rows, seed=1, start=FIRST_DAY)
        day = LAST_DAY - timedelta(days=LATE_DAYS - 1)
        late = write_sales(
            session, folder / "late", rows=LATE_ROWS, seed=2, start=day, days=LATE_DAYS, first_order=rows + 1
        )
    return first.files[0], late.files[0]


def make_project(project: Path) -> Path:
    """Makes an empty lake for this repository's own project; its pages stay out, since the bare script has none."""
    shutil.rmtree(project, ignore_errors=True)
    for part in ("sql", "checks", "lake/contracts"):
        shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (project / "reports" / "pages").mkdir(parents=True)
    (project / "lake" / "data" / "inbox" / "sales").mkdir(parents=True)
    return project


def deliver(source: Path, project: Path) -> None:
    """Puts a file into the project's inbox, under a name of its own."""
    (project / "lake" / "data" / "inbox" / "sales" / f"{source.parent.name}.csv").hardlink_to(source)


def by_product(project: Path, memory: str) -> dict[str, Any]:
    """Runs the pipeline in a process of its own."""
    environment = {"SLUICE_MEMORY_LIMIT": memory, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return figures([sys.executable, str(ROOT / "benchmarks/product_sales.py"), str(project)], environment)


def by_hand(source: Path, lake: Path, memory: str, *more: str) -> dict[str, Any]:
    """Runs the bare script in a process of its own."""
    script = str(ROOT / "benchmarks/bare_sales.py")
    return figures(
        [sys.executable, script, str(source), str(lake), "--memory", memory, *more], {"PATH": "/usr/bin:/bin"}
    )


def figures(command: Sequence[str], environment: dict[str, str]) -> dict[str, Any]:
    """Runs a command and gives the JSON it prints."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def line_of(rows: int, name: str, pairs: Sequence[Pair]) -> str:
    """Gives one job's medians as a line."""
    median = statistics.median
    ours = median(pair.product["seconds"][TOTAL] for pair in pairs)
    memory = max(pair.product["peak_mb"] for pair in pairs)
    if pairs[0].bare is None:
        return f"{rows:>12,} {name:<12} {ours:>10.2f} {'':>8} {'':>6} {'':>6} {memory:>11,}"
    bare = [pair.bare for pair in pairs if pair.bare is not None]
    hand = median(each["seconds"][TOTAL] for each in bare)
    wall, cpu = (median(pair.ratio(what) or 0 for pair in pairs) for what in ("seconds", "cpu_seconds"))
    hand_memory = max(each["peak_mb"] for each in bare)
    return f"{rows:>12,} {name:<12} {ours:>10.2f} {hand:>8.2f} {wall:>6.2f} {cpu:>6.2f} {memory:>11,} {hand_memory:>8,}"


if __name__ == "__main__":
    main()
