"""Every model on a few rows worked out by hand: `tests/cases/<model>/given_<table>.csv` gives `expected.csv`.

A given table has the types it really has: a raw table those of its contract, a model those of its select over empty
tables. Columns that a case does not name are null. `run_started_at.txt` holds the run's instant where a model asks.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.engine import EngineLimits, Session, literal, quote
from lake.landing.judging import METADATA_COLUMNS
from lake.project import open_project
from sql.models import Model, find_models, upstream
from sql.parameters import bind_parameters

ROOT = Path(__file__).parents[1]
CASES = ROOT / "tests" / "cases"
PROJECT = open_project(ROOT)
MODELS = find_models(PROJECT.sql_dir)
CASE_NAMES = sorted(path.parent.name for path in CASES.glob("*/expected.csv"))
SOME_INSTANT = "2026-01-15 00:00:00+00"


def model_of(case: str) -> Model:
    return next(model for name, model in MODELS.items() if name.partition(".")[2] == case)


def select_of(model: Model, case: str) -> str:
    told = CASES / case / "run_started_at.txt"
    instant = told.read_text().strip() if told.exists() else SOME_INSTANT
    return bind_parameters(model.sql, {"run_started_at": f"timestamptz {literal(instant)}"})


def make_inputs(session: Session, case: str) -> None:
    """Makes empty tables of everything upstream of a model, then fills those that the case gives."""
    for contract in PROJECT.contracts().values():
        columns = [*((column.name, column.sql_type) for column in contract.columns), *METADATA_COLUMNS]
        fields = ", ".join(f"{quote(name)} {kind}" for name, kind in columns)
        session.execute(f"create table raw.{quote(contract.source)} ({fields})")
    for path in sorted(PROJECT.reference_dir.glob("*.csv")):
        session.execute(f"create table reference.{quote(path.stem)} as from read_csv({literal(str(path))})")
    model = model_of(case)
    for above in upstream(MODELS, [model.name])[:-1]:
        session.execute(f"create table {above.name} as select * from ({select_of(above, case)}) limit 0")
    for path in sorted((CASES / case).glob("given_*.csv")):
        fill(session, path)


def fill(session: Session, path: Path) -> None:
    table = path.stem.removeprefix("given_")
    found = session.rows(f"select table_schema from information_schema.tables where table_name = {literal(table)}")
    assert found, f"{path.name}: nothing upstream is called {table}"
    name = f"{found[0][0]}.{quote(table)}"
    types = {row[0]: row[1] for row in session.rows(f"describe {name}")}
    with path.open(newline="") as file:
        header = next(csv.reader(file))
    columns = ", ".join(f"cast({quote(column)} as {types[column]}) as {quote(column)}" for column in header)
    session.execute(f"delete from {name}")
    session.execute(
        f"insert into {name} by name select {columns} from "
        f"read_csv({literal(str(path))}, header = true, all_varchar = true)"
    )


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(EngineLimits("256MB", 1)) as opened:
        yield opened


def test_model_cases_leave_no_model_out() -> None:
    """Every model of the project has a case, and every case is of a model."""
    assert sorted(name.partition(".")[2] for name in MODELS) == CASE_NAMES


@pytest.mark.parametrize("case", CASE_NAMES)
def test_model_cases_give_what_was_worked_out_by_hand(session: Session, case: str) -> None:
    """The model makes exactly the expected rows of the given ones, to the last digit; money is never a float."""
    make_inputs(session, case)
    query = select_of(model_of(case), case)
    described = session.rows(f"describe {query}")
    with (CASES / case / "expected.csv").open(newline="") as file:
        header, *expected = csv.reader(file)
    assert [row[0] for row in described] == header
    assert [row[0] for row in described if row[1] in ("DOUBLE", "FLOAT")] == []
    texts = ", ".join(f"coalesce(cast({quote(name)} as varchar), '')" for name in header)
    assert sorted(session.rows(f"select {texts} from ({query})")) == sorted(tuple(row) for row in expected)


@pytest.mark.parametrize("case", CASE_NAMES)
def test_model_cases_of_nothing_are_empty(session: Session, case: str) -> None:
    """A model of tables without rows has its columns and no row."""
    make_inputs(session, case)
    for path in (CASES / case).glob("given_*.csv"):
        for (name,) in session.rows(
            f"select table_schema || '.' || table_name from information_schema.tables "
            f"where table_name = {literal(path.stem.removeprefix('given_'))}"
        ):
            session.execute(f"delete from {name}")
    assert session.rows(select_of(model_of(case), case)) == []
