"""A small project and its lake, for the tests of models that are built."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lake.contract import Contract
from lake.engine import EngineLimits, Session, scan_sql
from lake.releases import ReleasedTable
from lake.staged_files import stage_files
from lake.table_versions import Store
from lake.tables import commit_files, read_version
from sql.build import Bench, Candidate, build_models
from sql.commits import commit_candidate, released_table
from sql.inputs import Columns, prepare_inputs, reference_tables
from sql.models import find_models, upstream

RAW_COLUMNS = {
    "raw.sales": (
        ("order_id", "VARCHAR"),
        ("sold_at", "TIMESTAMP WITH TIME ZONE"),
        ("region", "VARCHAR"),
        ("revenue", "DECIMAL(14,2)"),
    )
}
RUN = {"run_started_at": "timestamptz '2026-03-01 00:00:00+00:00'", "run_id": "'run-1'"}
STAGING = """select
    order_id,
    sold_at,
    cast(date_trunc('month', sold_at at time zone 'Asia/Kolkata') as date) as sold_month,
    region,
    revenue,
from raw.sales
"""
MONTHLY = """with sales as (select * from staging.stg_sales)

select
    sold_month,
    region,
    count(*) as order_count,
    sum(revenue) as revenue,
from sales
group by all
"""


@dataclass
class Lab:
    """A project and a lake, and what is released of it."""

    project: Path
    store: Store
    released: dict[str, ReleasedTable]
    parameters: dict[str, str] = field(default_factory=lambda: dict(RUN))
    raw_columns: Mapping[str, Columns] = field(default_factory=lambda: RAW_COLUMNS)

    def write(self, name: str, sql: str, header: str = "") -> None:
        path = self.project / "sql" / f"{name.replace('.', '/')}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"/*\ndescription: d\ngrain: one row per g\nowner: o\n{header}*/\n{sql}")

    def land(self, rows: str, name: str = "raw.sales", *, replace: bool = False) -> int:
        """Appends the rows of a select to a raw table."""
        with Session(EngineLimits()) as session:
            staged = stage_files(session, self.store, name, rows)
        head = read_version(self.store, name)
        return commit_files(
            self.store,
            name,
            staged,
            expected_version=None if head is None else head.version,
            replace="everything" if replace else "nothing",
        )

    def build(self, session: Session, *wanted: str, held: frozenset[str] = frozenset()) -> dict[str, Candidate]:
        models = find_models(self.project / "sql")
        reference = self.project / "sql" / "reference"
        order = upstream(models, wanted or models, {*self.raw_columns, *reference_tables(reference)})
        tables = prepare_inputs(
            session, self.store, order, raw_columns=self.raw_columns, reference_dir=reference, run_id="run-1"
        )
        return build_models(Bench(session, self.store, models, self.released, self.parameters, tables, held), order)

    def publish(self, candidates: Mapping[str, Candidate]) -> None:
        versions: dict[str, int] = {}
        for name, candidate in candidates.items():
            version = commit_candidate(self.store, candidate, versions, run_id="run-1")
            if version is not None:
                versions[name] = version
            self.released[name] = released_table(candidate, versions)

    def run(self, *wanted: str) -> dict[str, str]:
        """Builds and publishes everything, and gives how each table was made."""
        with Session(EngineLimits()) as session:
            candidates = self.build(session, *wanted)
        self.publish(candidates)
        return {name: candidate.decision for name, candidate in candidates.items() if candidate.kind == "table"}

    def rows(self, name: str) -> list[tuple[object, ...]]:
        """Gives the released rows of a table in order."""
        found = read_version(self.store, name, self.released[name].version)
        assert found is not None
        with Session(EngineLimits()) as session:
            scan = scan_sql([file.path for file in found.files], found.columns)
            return session.rows(f"select * from ({scan}) order by all")


def make_lab(folder: Path) -> Lab:
    """Gives a project with one staging view and one monthly mart over an empty lake."""
    lab = Lab(folder / "project", Store(str(folder / "lake"), {}), {})
    lab.write("staging.stg_sales", STAGING)
    lab.write("marts.sales_monthly", MONTHLY, "partition: sold_month\n")
    return lab


def sales(*rows: tuple[str, str | None, str, float]) -> str:
    """Gives a select of raw sales rows."""
    instants = ["null" if at is None else f"'{at}'" for _, at, _, _ in rows]
    values = ", ".join(
        f"('{key}', {instant}, '{region}', {amount})"
        for (key, _, region, amount), instant in zip(rows, instants, strict=True)
    )
    return (
        "select order_id, cast(sold_at as timestamptz) as sold_at, region, cast(revenue as decimal(14,2)) as revenue"
        f" from (values {values}) as rows (order_id, sold_at, region, revenue)"
    )


def raw_of_demo(session: Session, contract: Contract) -> None:
    """Makes the raw table of a source from the good rows of `demo_<source>`, as if they had landed in one batch."""
    source = contract.source
    typed = ", ".join(
        f"cast(coalesce(cast({column.name} as varchar), {column.default or 'null'}::varchar) as {column.sql_type})"
        f" as {column.name}"
        for column in contract.columns
    )
    session.execute(
        f"""
        create or replace table raw.{source} as
        select {typed}, 'run-1' as _run_id, '{source}-1' as _batch_id,
            timestamptz '2026-01-02 00:00:00+00' as _ingested_at, '{source}' as _source, _line + 2 as _line,
            '{source}:' || _line as _record_id,
        from demo_{source} where _fault in ('none', 'repeat')
        """
    )
