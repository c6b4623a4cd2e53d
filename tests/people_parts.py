"""The body of people and spend: a project with its content alone, and the demo hospital delivered into it."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl

from flows.outcome import Outcome
from flows.pipeline import run_pipeline
from flows.steps import plain_step
from lake.demo.people import people_tables
from lake.demo.planting import Planted, plant_all
from lake.engine import EngineLimits, Session, literal
from lake.project import open_project
from lake.run import begin_run
from lake.settings import Settings
from sql.models import find_models, upstream
from sql.parameters import bind_parameters
from tests.model_parts import raw_of_demo

ROOT = Path(__file__).parents[1]
MARTS = ("leave_summary", "incident_summary", "incidents_open", "expense_summary", "monthly_spend", "locum_summary")
SUBJECTS = ("leave", "incident", "spend", "locum")
PAGES = ("leave", "incidents", "expenses", "locums")
ALERTS = {"budget_breach": "expense_summary", "incident_past_sla": "incidents_open", "ingestion_errors_daily": None}
ORDER = tuple(model.name for model in upstream(find_models(ROOT / "sql"), MARTS))
SOURCES = tuple(table.source for table in people_tables(0))
ROWS, SEED = 4000, 7
NOW = datetime(2026, 3, 1, 3, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Hospital:
    """A project the demo was run through: where it is, what was planted, what the run came to."""

    project: Path
    planted: Mapping[str, Planted]
    outcome: Outcome

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """Gives the rows of a query on what readers see."""
        with duckdb.connect(str(self.project / "lake/data/lake.duckdb"), read_only=True) as client:
            client.execute("set TimeZone = 'UTC'")
            return client.sql(query).fetchall()


def make_project(folder: Path, marts: Sequence[str] = MARTS, pages: Sequence[str] = PAGES) -> Path:
    """Gives a project with what some marts and pages of people and spend need, their alerts, and nothing else.

    Checks are there with all marts only.
    """
    order = upstream(find_models(ROOT / "sql"), marts)
    models = [model.name.replace(".", "/") for model in order]
    raw = {name.partition(".")[2] for model in order for name in model.inputs if name.startswith("raw.")}
    whole = set(MARTS) <= set(marts)
    files = [
        *(f"sql/{name}.sql" for name in models),
        *(f"checks/{name}.yml" for name in models if whole),
        *(f"sql/alerts/{name}.sql" for name, mart in ALERTS.items() if mart is None or mart in marts),
        *(f"lake/contracts/{source}.yaml" for source in SOURCES if source in raw),
        *(f"reports/pages/{name}.html.j2" for name in pages),
        *(f"checks/pipeline/{subject}_reconciliation.yml" for subject in SUBJECTS if whole),
        *(f"checks/pages/{name}.yml" for name in PAGES if whole),
        "sql/reference/holidays.csv",
    ]
    for name in files:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def deliver(project: Path, rows: int = ROWS) -> dict[str, Planted]:
    """Puts the demo deliveries into the project's inbox and gives what was planted, by source."""
    with Session(EngineLimits("512MB", 2)) as session:
        made = plant_all(session, people_tables(rows), project / "lake/data/inbox", seed=SEED)
    return {planted.source: planted for planted in made}


def run(project: Path, marts: Sequence[str] = (), pages: Sequence[str] = (), *, at: datetime | None = None) -> Outcome:
    """Runs the pipeline, as if it were `at`."""
    place = open_project(project)
    begun = begin_run("tester") if at is None else begin_run("tester", clock=lambda: at)
    return run_pipeline(place, Settings.read(place.root), begun, marts, pages, plain_step)


def open_hospital(folder: Path) -> Hospital:
    """Gives the demo hospital after one run of everything."""
    project = make_project(folder)
    planted = deliver(project)
    return Hospital(project, planted, run(project, at=NOW))


def good_lines(planted: Planted, faults: Mapping[str, pl.Expr], key: Sequence[str]) -> pl.DataFrame:
    """Gives the lines a contract accepts, as text, judged by polars alone: each key's last."""
    path = planted.path
    lines = (
        pl.read_csv(path, infer_schema=False)
        if path.suffix == ".csv"
        else pl.read_parquet(path)
        if path.suffix == ".parquet"
        else pl.read_ndjson(path, infer_schema_length=None)
    )
    for expression in faults.values():
        lines = lines.filter(~expression)
    return lines.unique(list(key), keep="last", maintain_order=True)


def fill_raw(session: Session, rows: int = ROWS) -> dict[str, Planted]:
    """Makes the raw tables of the session from the demo's good rows, without landing; gives what was planted."""
    made = plant_all(session, people_tables(rows), session.scratch / "inbox", seed=SEED)
    contracts = open_project(ROOT).contracts()
    for source in SOURCES:
        raw_of_demo(session, contracts[source])
    holidays = literal(str(ROOT / "sql/reference/holidays.csv"))
    session.execute(f"create or replace table reference.holidays as from read_csv({holidays})")
    return {planted.source: planted for planted in made}


def build_models(session: Session, at: datetime = NOW) -> None:
    """Makes every model of people and spend in the session, as a table."""
    for model in upstream(find_models(ROOT / "sql"), MARTS):
        sql = bind_parameters(model.sql, {"run_started_at": f"timestamptz {literal(at.isoformat())}"})
        session.execute(f"create or replace table {model.name} as {sql}")
