"""The sales project, whole: demo files through the real pipeline, compared with polars reading the same files."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from flows.outcome import Outcome
from flows.pipeline import run_pipeline
from flows.steps import plain_step
from lake.demo.sales import PlantedFaults, write_sales
from lake.engine import EngineLimits, Session
from lake.project import open_project
from lake.run import begin_run
from lake.settings import Settings
from tests.sales_parts import ROOT, good_lines

GRAINS = {
    "sales_daily": ["sold_month", "sold_on", "region", "product_group"],
    "sales_regional": ["sold_month", "region"],
    "sales_product": ["sold_month", "product_group", "product"],
    "sales_monthly": ["sold_month"],
}


@dataclass(frozen=True)
class Job:
    """A project with one delivery through it: what was planted, what the run came to."""

    project: Path
    planted: PlantedFaults
    outcome: Outcome

    def ask(self, query: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(self.project / "lake/data/lake.duckdb"), read_only=True) as client:
            return client.sql(query).fetchall()


def run(project: Path) -> Outcome:
    place = open_project(project)
    return run_pipeline(place, Settings.read(place.root), begin_run("tester"), tuple(GRAINS), (), plain_step)


def deliver(project: Path, name: str, **how: object) -> PlantedFaults:
    with Session(EngineLimits()) as session:
        made = write_sales(session, project.parent / f"made-{name}", **how)  # type: ignore[arg-type]
    inbox = project / "lake/data/inbox/sales"
    inbox.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made.files[0], inbox / f"{name}.csv")
    return made


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    project = tmp_path_factory.mktemp("sales-job") / "project"
    for part in ("sql", "checks", "lake/contracts"):
        shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (project / "reports/pages").mkdir(parents=True)
    shutil.copy(ROOT / "reports/pages/sales_controls.html.j2", project / "reports/pages")
    planted = deliver(project, "first", rows=6_000, seed=5, start=date(2025, 1, 1), days=90)
    yield Job(project, planted, run(project))


def expected(files: list[Path], grain: list[str]) -> set[tuple[object, ...]]:
    lines = good_lines(files)
    day = pl.col("sold_at").dt.convert_time_zone("Asia/Kolkata").dt.date()
    dated = lines.with_columns(sold_on=day, sold_month=day.dt.truncate("1mo"))
    summed = dated.group_by(grain).agg(
        pl.len().cast(pl.Int64),
        pl.col("units").cast(pl.Int64).sum(),
        pl.col("revenue_inr").cast(pl.Decimal(18, 2)).sum(),
    )
    return set(summed.rows())


def found(job: Job, name: str) -> set[tuple[object, ...]]:
    grain = ", ".join(GRAINS[name])
    return set(job.ask(f"select {grain}, order_count::bigint, unit_count::bigint, revenue_inr from marts.{name}"))


def test_sales_job_accounts_for_every_line(job: Job) -> None:
    """The run is good, its ledger is what was planted, and every gate was passed."""
    assert job.outcome.failure is None
    [source] = [each for each in job.outcome.sources if each.source == "sales"]
    assert source.read == job.planted.line_count == source.accepted + source.quarantined + source.duplicate
    assert source.accepted == job.planted.good_count
    assert source.duplicate == job.planted.by_fault["repeat"]
    categories = dict(job.ask("select category, count(*) from ops.exceptions group by category"))
    assert categories == {str(name): count for name, count in job.planted.by_category.items() if count}


@pytest.mark.parametrize("name", GRAINS)
def test_sales_job_marts_are_those_of_polars(job: Job, name: str) -> None:
    """Each row of each mart, on its Indian day, is what polars makes of the delivered file."""
    assert found(job, name) == expected(list(job.planted.files), GRAINS[name])


def test_sales_job_revenue_is_the_generators_to_the_paisa(job: Job) -> None:
    """The sum over the mart is the sum that the generator announced."""
    [(revenue,)] = job.ask("select sum(revenue_inr) from marts.sales_daily")
    assert revenue == job.planted.good_revenue_inr
    assert isinstance(revenue, Decimal)


def test_sales_job_page_stands_with_its_figures(job: Job) -> None:
    """The page is kept, and its figures were reconciled by a check that was passed."""
    assert (job.project / "lake/data/pages/sales_controls.html").stat().st_size > 1_000_000
    verdicts = "select outcome from ops.validation_results where table_name = 'pipeline.sales_controls_page_figures'"
    assert job.ask(verdicts) == [("pass",)]


def test_sales_job_late_lines_rebuild_their_month_only(job: Job) -> None:
    """Late lines land once, the months they fall in are rebuilt, and the marts are again polars' of both files."""
    late = deliver(job.project, "late", rows=300, seed=6, start=date(2025, 2, 27), days=2, first_order=6_001)
    outcome = run(job.project)
    assert outcome.failure is None
    assert outcome.is_new_release
    built = "select details ->> 'decision', details ->> 'partitions' from ops.audit_log where event = 'model-built' "
    decisions = job.ask(built + f"and run_id = '{outcome.run_id}' and subject = 'marts.sales_daily'")
    assert [decision for decision, _ in decisions] == ["partitions"]
    for name, grain in GRAINS.items():
        assert found(job, name) == expected([*job.planted.files, *late.files], grain)
    again = run(job.project)
    assert (again.failure, again.is_new_release) == (None, False)
