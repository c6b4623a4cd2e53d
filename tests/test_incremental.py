"""Whatever arrives in whatever order, building what changed gives the rows that building everything gives."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.engine import EngineLimits, Session
from sql.build import Candidate
from sql.narrowing import narrowing_filter
from tests.model_parts import MONTHLY, Lab, make_lab, sales

Row = tuple[str, str | None, str, float]

PARTITION = "partition: sold_month\n"
LATEST = """select * from staging.stg_sales
qualify row_number() over (partition by order_id order by revenue desc, sold_at, region) = 1
"""
AFFECTED = """materialise: table
partition: sold_month
affected: |
    select sold_month from staging.stg_sales where order_id in (select order_id from changed.sales)
    union all
    select cast(date_trunc('month', sold_at at time zone 'Asia/Kolkata') as date) from changed.sales
"""
SHARE = """with regions as (
    select sold_month, region, sum(revenue) as revenue from staging.latest_sales group by all
),

months as (
    select sold_month, sum(revenue) as revenue, count(*) as region_count from regions group by sold_month
)

select
    sold_month,
    region,
    zone,
    region_count,
    regions.revenue,
    sum(regions.revenue) over (partition by sold_month) as month_revenue,
from regions
join months using (sold_month)
left join reference.zones using (region)
"""
GROWTH = """select sold_month, sum(revenue) as revenue, lag(sum(revenue)) over (order by sold_month) as previous
from staging.latest_sales group by sold_month
"""
FIRST_SEEN = """select region as first_region, sold_month, min(sold_at) as first_sold_at, count(*) as order_count
from staging.stg_sales group by all having count(*) > 1
"""
MARTS = {"sales_share": SHARE, "growth": GROWTH, "first_seen": FIRST_SEEN}

instants = st.none() | st.builds(
    "2026-{:02}-{:02} {:02}:00:00+00:00".format,
    st.integers(1, 5),
    st.sampled_from([1, 15, 31]),
    st.sampled_from([3, 20]),
).map(lambda at: at.replace("02-31", "02-28").replace("04-31", "04-30"))
rows: st.SearchStrategy[Row] = st.tuples(
    st.sampled_from("abcdef"), instants, st.sampled_from(["north", "south", ""]), st.sampled_from([1.0, 2.5, 7.25])
)
batches = st.lists(st.tuples(st.booleans(), st.lists(rows, min_size=1, max_size=6)), min_size=2, max_size=4)


def project(folder: Path) -> Lab:
    """Gives a project with a deduping staging table, marts below a view and below that table, and a dimension."""
    lab = make_lab(folder)
    lab.write("staging.latest_sales", LATEST, AFFECTED)
    for name, sql in MARTS.items():
        lab.write(f"marts.{name}", sql, PARTITION)
    lab.write("marts.by_region", MONTHLY, "partition: region\n")
    reference = lab.project / "sql" / "reference"
    reference.mkdir()
    (reference / "zones.csv").write_text("region,zone\nnorth,hills\nsouth,coast\n")
    return lab


def digests(session: Session, candidates: Mapping[str, Candidate]) -> dict[str, tuple[object, ...]]:
    """Gives row count and order-free digest of every table of a build."""
    tables = [name for name, candidate in candidates.items() if candidate.kind == "table"]
    return {name: session.rows(f"select count(*), sum(hash(t)) from {name} as t")[0] for name in tables}


def check_sequence(arrivals: list[tuple[bool, list[Row]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lab = project(Path(folder))
        for rewrite, batch in arrivals:
            lab.land(sales(*batch), replace=rewrite)
            with Session(EngineLimits()) as session:
                candidates = lab.build(session)
                incremental = digests(session, candidates)
            released, lab.released = lab.released, {}
            with Session(EngineLimits()) as session:
                assert incremental == digests(session, lab.build(session))
            lab.released = released
            lab.publish(candidates)
            assert set(lab.run().values()) == {"unchanged"}


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches)
def test_incremental_equals_full(arrivals: list[tuple[bool, list[Row]]]) -> None:
    """Late rows, rows without a month, rows that replace others and rewritten tables all give equal digests."""
    check_sequence(arrivals)


@pytest.mark.soak
@pytest.mark.timeout(600)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches)
def test_incremental_equals_full_for_long(arrivals: list[tuple[bool, list[Row]]]) -> None:
    """The same over many more sequences."""
    check_sequence(arrivals)


def test_incremental_builds_do_rebuild_little(tmp_path: Path) -> None:
    """The equality above is not reached by rebuilding whole: each mart is built as its lineage allows."""
    lab = project(tmp_path)
    months = [f"2026-0{month}-10 00:00:00+00:00" for month in (1, 2, 3)]
    lab.land(sales(*((f"o{month}", month, "north", 1.0) for month in months)))
    lab.run()
    lab.land(sales(("o-new", months[1], "south", 2.0)))
    assert lab.run() == {
        "marts.sales_monthly": "partitions",
        "marts.by_region": "partitions",
        "marts.first_seen": "partitions",
        "marts.growth": "whole",
        "staging.latest_sales": "partitions",
        "marts.sales_share": "partitions",
    }


CHAINS = [
    ("cast(date_trunc('month', seen at time zone 'Asia/Kolkata') as date)", "TIMESTAMP WITH TIME ZONE"),
    ("cast(date_trunc('week', seen at time zone 'Pacific/Kiritimati') as date)", "TIMESTAMP WITH TIME ZONE"),
    ("cast(timezone('America/Havana', seen) as date)", "TIMESTAMP WITH TIME ZONE"),
    ("cast(date_trunc('quarter', cast(seen as date)) as date)", "TIMESTAMP"),
    ("cast(date_trunc('year', date_trunc('week', seen)) as date)", "DATE"),
    ("seen", "DATE"),
]


@pytest.mark.parametrize(("chain", "sql_type"), CHAINS)
def test_incremental_narrowing_holds_every_row(chain: str, sql_type: str) -> None:
    """No row of a touched partition is outside the range that stands for it, whatever the unit and zone."""
    partition = sqlglot.parse_one(chain, dialect="duckdb")
    hours = f"cast(timestamp '2024-01-01' + to_hours(cast(i as integer)) as {sql_type}) as seen"
    with Session(EngineLimits()) as session:
        session.execute(f"create table rows as select {hours} from range(20000) as t(i) union all select null")
        found = session.rows(f"select distinct cast({chain} as varchar) from rows order by all")
        values = [value for (value,) in found]
        for touched in (
            frozenset(values[:1]),
            frozenset(values[1::7]),
            frozenset(values[-1:]),
            frozenset(values[:40:20]),
        ):
            condition = narrowing_filter(partition, {"seen": sql_type}, touched)
            assert condition is not None
            listed = ", ".join("null" if value is None else f"'{value}'" for value in touched)
            inside = f"list_contains([{listed}], cast({chain} as varchar)) or ({None in touched} and seen is null)"
            assert session.value(f"select count(*) from rows where ({inside}) and ({condition}) is not true") == 0
        one = narrowing_filter(partition, {"seen": sql_type}, frozenset(values[:1]))
        assert session.value(f"select count(*) from rows where {one}") < 20_000 * 0.8


@pytest.mark.parametrize(
    ("chain", "sql_type", "value"),
    [
        ("strftime(seen, '%Y')", "DATE", "2024"),
        ("cast(seen as date)", "VARCHAR", "2024-01-01"),
        ("cast(seen as date)", "TIMESTAMP", "infinity"),
        ("cast(seen as date)", "TIMESTAMP", "0044-03-15 (BC)"),
        ("date_trunc('decade', seen)", "DATE", "2020-01-01"),
        ("seen + interval 1 day", "DATE", "2020-01-01"),
    ],
)
def test_incremental_narrowing_claims_nothing_else(chain: str, sql_type: str, value: str) -> None:
    """A computation, type or value that is not understood narrows nothing."""
    partition = sqlglot.parse_one(chain, dialect="duckdb")
    assert narrowing_filter(partition, {"seen": sql_type}, frozenset({value})) is None


def test_narrowing_knows_local_days_counted_without_a_zone():
    """A month of instants shifted by a constant is narrowed to a range that holds all its rows; odd shifts are not."""
    shifted = "cast(date_trunc('month', cast(make_timestamp(epoch_us(sold_at) + {}) as date)) as date)"
    types = {"sold_at": "TIMESTAMP WITH TIME ZONE"}
    indian = sqlglot.parse_one(shifted.format(19800000000), dialect="duckdb")
    condition = narrowing_filter(indian, types, frozenset({"2025-02-01"}))
    assert condition is not None
    with Session(EngineLimits()) as session:
        instants = (
            "(values (timestamptz '2025-01-31 18:30:00+00'), (timestamptz '2025-02-28 18:29:59+00')) as t(sold_at)"
        )
        assert session.value(f"select count(*) from {instants} where {condition}") == 2
        assert (
            session.value(f"select count(*) from {instants} where {indian.sql(dialect='duckdb')} = '2025-02-01'") == 2
        )
    far = sqlglot.parse_one(shifted.format(19800000000000), dialect="duckdb")
    assert narrowing_filter(far, types, frozenset({"2025-02-01"})) is None
