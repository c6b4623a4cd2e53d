"""A project of one body of work alone, with its demo data delivered, run through the real pipeline."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl

from flows.outcome import Outcome
from flows.pipeline import run_pipeline
from flows.steps import plain_step
from lake.demo.planting import DemoTable, Planted, plant_all
from lake.engine import EngineLimits, Session
from lake.project import open_project
from lake.run import begin_run
from lake.settings import Settings

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class BodyRun:
    """A project with its deliveries through it: what was planted, and what the run came to."""

    project: Path
    planted: dict[str, Planted]
    outcome: Outcome

    def ask(self, query: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(self.project / "lake/data/lake.duckdb"), read_only=True) as client:
            return client.sql(query).fetchall()

    def delivered(self, source: str) -> pl.DataFrame:
        """Gives a delivery as text, each record once, as polars reads it."""
        path = self.planted[source].path
        read = pl.read_ndjson if path.suffix == ".jsonl" else pl.read_parquet if path.suffix == ".parquet" else None
        frame = pl.read_csv(path, infer_schema=False) if read is None else read(path)
        return frame.cast(pl.String).unique(maintain_order=True)


def make_project(folder: Path, pages: Sequence[str]) -> Path:
    """Copies the project with some of its pages, without a delivery; runs for some marts land only what these need."""
    project = folder / "project"
    for part in ("sql", "checks", "lake/contracts"):
        shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (project / "reports/pages").mkdir(parents=True)
    for page in pages:
        shutil.copy(ROOT / f"reports/pages/{page}.html.j2", project / "reports/pages")
    return project


def deliver(project: Path, tables: Sequence[DemoTable], *, seed: int = 7) -> dict[str, Planted]:
    """Writes the demo data of a body into the project's inbox."""
    with Session(EngineLimits("512MB", 2)) as session:
        planted = plant_all(session, tables, project / "lake/data/inbox", seed=seed)
    return {each.source: each for each in planted}


def run_marts(project: Path, marts: Sequence[str], pages: Sequence[str]) -> Outcome:
    """Runs the pipeline, plainly, for some marts and pages."""
    place = open_project(project)
    return run_pipeline(place, Settings.read(place.root), begin_run("tester"), marts, pages, plain_step)


def instants(*columns: str) -> list[pl.Expr]:
    """Gives columns of ISO instants with an offset as UTC, null where they are none."""
    return [pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_unit="us", strict=False) for name in columns]


def indian_day(column: str) -> pl.Expr:
    return pl.col(column).dt.convert_time_zone("Asia/Kolkata").dt.date()


def money(value: object) -> Decimal:
    return Decimal(str(value or 0)).quantize(Decimal("0.01"))
