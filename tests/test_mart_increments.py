"""Every model that has partitions, built in parts after records vanished, moved and came again, and built whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from lake.contract import Contract
from lake.demo.bodies import BODIES, SALES
from lake.demo.planting import plant_all
from lake.demo.sales import write_sales
from lake.engine import EngineLimits, Session, quote
from lake.landing.judging import METADATA_COLUMNS
from lake.project import open_project
from lake.staged_files import stage_files
from lake.table_versions import DataFile, Store
from lake.tables import commit_files, read_version
from sql.build import Candidate
from sql.models import find_models
from tests.model_parts import Lab, raw_of_demo
from tests.sales_parts import fill_raw as fill_sales
from tests.sales_parts import good_lines as good_sales

ROOT = Path(__file__).parents[1]
CONTRACTS = open_project(ROOT).contracts()
MODELS = find_models(ROOT / "sql")
PARTITIONED = sorted(name for name, model in MODELS.items() if model.is_table and model.header.partition)
RAW_COLUMNS = {
    f"raw.{contract.source}": (*((column.name, column.sql_type) for column in contract.columns), *METADATA_COLUMNS)
    for contract in CONTRACTS.values()
}
ROWS, SEED = {"people": 120, "commerce": 280, "footprint": 150, "events": 300, SALES: 400}, 7
STILL = ("departments", "staff")  # names and places in all partitions: a change of them rebuilds whole


def fill_raw(session: Session) -> None:
    """Makes the raw tables of the session from the good records of a small demo of everything."""
    for name, body in BODIES.items():
        tables = (*body.tables(ROWS[name]), *body.served(ROWS[name]))
        plant_all(session, tables, session.scratch / "inbox", seed=SEED)
        for table in tables:
            raw_of_demo(session, CONTRACTS[table.source])
    sales = write_sales(session, session.scratch / SALES, rows=ROWS[SALES], seed=SEED)
    fill_sales(session, good_sales(sales.files))


def place_records(session: Session, contract: Contract) -> None:
    """Gives each record of a raw table its place in time: 1, 2 and 3 are the first, the middle and the last one."""
    key = ", ".join(map(quote, contract.key))
    times = times_of(contract)
    first_time = f"min({times[0]}) over (partition by {key})" if times else "null"
    session.execute(
        f"""
        create or replace temp table placed_{contract.source} as
        with timed as (select *, {first_time} as _first from raw.{contract.source}),
        ranked as (select *, dense_rank() over (order by _first, {key}) as _rank from timed)
        select * exclude (_first, _rank),
            case _rank when 1 then 1 when max(_rank) over () // 2 then 2 when max(_rank) over () then 3 end as _place,
        from ranked
        """
    )


def times_of(contract: Contract) -> list[str]:
    return [column.name for column in contract.columns if column.sql_type.startswith(("date", "timestamp"))]


def changed(contract: Contract) -> str:
    """Gives what becomes of the three records: the first is refused, the middle one is moved, the last comes again.

    They lie in months of their own, in which nothing else changes.
    """
    types = {column.name: column.sql_type for column in contract.columns}
    free = [name for name in times_of(contract) if name not in contract.key]
    moves = [f"cast({name} + interval 40 day as {types[name]}) as {name}" for name in free]
    again = [*moves, "_ingested_at + interval 1 day as _ingested_at"]
    versions = [(2, moves), (3, []), *([(3, again)] if contract.duplicates == "latest-wins" else [])]
    return " union all by name ".join(
        f"select * exclude (_place) {replacing(new)} from placed_{contract.source} where _place = {place}"
        for place, new in versions
    )


def replacing(expressions: Sequence[str]) -> str:
    return f"replace ({', '.join(expressions)})" if expressions else ""


def land(session: Session, store: Store, source: str, rows: str, replaced: Sequence[DataFile] = ()) -> None:
    """Commits rows as files of a raw table, in the place of others where these are named."""
    name = f"raw.{source}"
    staged = stage_files(session, store, name, f"select * from ({rows})")
    head = read_version(store, name)
    version = None if head is None else head.version
    commit_files(store, name, staged, expected_version=version, replace=replaced or "nothing")


def digests(session: Session, candidates: Mapping[str, Candidate]) -> dict[str, tuple[object, ...]]:
    tables = [name for name, candidate in candidates.items() if candidate.kind == "table"]
    return {name: session.rows(f"select count(*), sum(hash(t)) from {name} as t")[0] for name in tables}


@dataclass(frozen=True)
class Built:
    """What two builds of the same rows came to, by table: how the first was made, and the digests of both."""

    decisions: Mapping[str, str]
    in_parts: Mapping[str, tuple[object, ...]]
    whole: Mapping[str, tuple[object, ...]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    lab = Lab(ROOT, Store(str(tmp_path_factory.mktemp("lake")), {}), {}, raw_columns=RAW_COLUMNS)
    three: dict[str, tuple[DataFile, ...]] = {}
    with Session(EngineLimits("512MB", 2)) as session:
        fill_raw(session)
        for source, contract in CONTRACTS.items():
            place_records(session, contract)
            land(session, lab.store, source, f"select * exclude (_place) from placed_{source} where _place > 0")
            three[source] = standing(lab.store, source)
            land(session, lab.store, source, f"select * exclude (_place) from placed_{source} where _place is null")
        lab.run(*PARTITIONED)
        for source in sorted(set(CONTRACTS) - set(STILL)):
            land(session, lab.store, source, changed(CONTRACTS[source]), three[source])
    with Session(EngineLimits("512MB", 2)) as session:
        candidates = lab.build(session, *PARTITIONED)
        in_parts = digests(session, candidates)
    lab.released = {}
    with Session(EngineLimits("512MB", 2)) as session:
        whole = digests(session, lab.build(session, *PARTITIONED))
    return Built({name: candidate.decision for name, candidate in candidates.items()}, in_parts, whole)


def standing(store: Store, source: str) -> tuple[DataFile, ...]:
    found = read_version(store, f"raw.{source}")
    return () if found is None else found.files


def test_mart_increments_equal_a_whole_build(built: Built) -> None:
    """After records vanished, moved to another month and came again, every one has the rows of a whole build."""
    assert {name: built.in_parts[name] for name in built.whole if built.in_parts[name] != built.whole[name]} == {}
    assert {count for count, _ in built.whole.values()}.isdisjoint({0})


def test_mart_increments_rebuild_partitions(built: Built) -> None:
    """The equality is not reached by rebuilding whole: whatever has partitions is rebuilt by them."""
    assert {name: built.decisions[name] for name in PARTITIONED} == dict.fromkeys(PARTITIONED, "partitions")
