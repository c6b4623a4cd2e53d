"""A build makes candidates that gates can read and nobody else sees, and only of what has changed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lake.engine import EngineLimits, Session
from lake.errors import ModelError
from lake.tables import read_version
from sql.commits import released_inputs
from sql.inputs import prepare_inputs
from sql.models import find_models, upstream
from tests.model_parts import MONTHLY, RAW_COLUMNS, STAGING, Lab, make_lab, sales


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return make_lab(tmp_path)


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(EngineLimits()) as opened:
        yield opened


JANUARY = ("a", "2026-01-10 10:00:00+05:30", "north", 10.0)
FEBRUARY = ("b", "2026-02-10 10:00:00+05:30", "south", 20.0)


def test_build_shows_candidates_before_anything_is_committed(lab: Lab, session: Session) -> None:
    """Gates read the candidate in the session while the lake has no such table yet."""
    lab.land(sales(JANUARY, FEBRUARY))
    candidates = lab.build(session)
    assert session.rows("select region, order_count from marts.sales_monthly order by all") == [
        ("north", 1),
        ("south", 1),
    ]
    assert candidates["marts.sales_monthly"].row_count == 2
    assert read_version(lab.store, "marts.sales_monthly") is None


def test_build_keeps_what_has_not_changed(lab: Lab) -> None:
    """A second run with nothing new stages and commits nothing."""
    lab.land(sales(JANUARY, FEBRUARY))
    assert lab.run() == {"marts.sales_monthly": "whole"}
    before = lab.released["marts.sales_monthly"]
    assert lab.run() == {"marts.sales_monthly": "unchanged"}
    assert lab.released["marts.sales_monthly"] == before


def test_build_rebuilds_only_the_partition_a_new_row_is_in(lab: Lab, session: Session) -> None:
    """A late row rebuilds its month and leaves the files of the others where they are."""
    lab.land(sales(JANUARY, FEBRUARY))
    lab.run()
    lab.land(sales(("c", "2026-01-31 20:00:00+00:00", "east", 5.0)))  # February in Kolkata
    candidate = lab.build(session)["marts.sales_monthly"]
    assert (candidate.decision, candidate.partitions) == ("partitions", ("2026-02-01",))
    assert [file.partition_values for file in candidate.replaced_files] == [{"sold_month": "2026-02-01"}]
    months = session.rows(
        "select sold_month::varchar, sum(revenue)::int from marts.sales_monthly group by all order by all"
    )
    assert months == [("2026-01-01", 10), ("2026-02-01", 25)]
    lab.publish({"marts.sales_monthly": candidate})
    assert len(lab.rows("marts.sales_monthly")) == 3


def test_build_takes_null_for_a_partition(lab: Lab) -> None:
    """Rows whose partition is null are rebuilt when such a row comes, and only then."""
    lab.land(sales(JANUARY, ("n", None, "north", 1.0)))
    lab.run()
    lab.land(sales(("m", None, "north", 2.0)))
    with Session(EngineLimits()) as session:
        candidate = lab.build(session)["marts.sales_monthly"]
        lab.publish({"marts.sales_monthly": candidate})
    assert (candidate.decision, candidate.partitions) == ("partitions", (None,))
    assert [row[2:] for row in lab.rows("marts.sales_monthly") if row[0] is None] == [(2, 3)]


def test_build_rebuilds_whole_when_a_view_upstream_changes(lab: Lab) -> None:
    """A changed text of an upstream view rebuilds the table; a changed comment does not."""
    lab.land(sales(JANUARY))
    lab.run()
    lab.write("staging.stg_sales", "-- a remark\n" + STAGING)
    assert lab.run() == {"marts.sales_monthly": "unchanged"}
    lab.write("staging.stg_sales", STAGING.replace("    revenue,", "    revenue * 2 as revenue,"))
    assert lab.run() == {"marts.sales_monthly": "whole"}
    assert lab.rows("marts.sales_monthly")[0][3] == 20


def test_build_rebuilds_whole_when_the_partition_cannot_be_traced(lab: Lab) -> None:
    """A window over months makes every month depend on others, so all are rebuilt."""
    windowed = "select sold_month, sum(revenue) as revenue, lag(sum(revenue)) over (order by sold_month) as previous"
    lab.write("marts.growth", f"{windowed}\nfrom staging.stg_sales group by sold_month", "partition: sold_month\n")
    lab.land(sales(JANUARY, FEBRUARY))
    lab.run()
    lab.land(sales(("c", "2026-01-11 00:00:00+00:00", "east", 5.0)))
    assert lab.run()["marts.growth"] == "whole"
    assert [row[1:] for row in lab.rows("marts.growth")] == [(15, None), (20, 15)]


def test_build_rebuilds_whole_when_a_dimension_changes(lab: Lab) -> None:
    """A changed reference row reaches every partition; an untouched file is not written again."""
    reference = lab.project / "sql" / "reference"
    reference.mkdir(parents=True)
    (reference / "zones.csv").write_text("region,zone\nnorth,hills\nsouth,coast\n")
    joined = (
        "select sold_month, zone, count(*) as n from staging.stg_sales join reference.zones using (region) group by all"
    )
    lab.write("marts.zones_monthly", joined, "partition: sold_month\n")
    lab.land(sales(JANUARY, FEBRUARY))
    assert lab.run()["marts.zones_monthly"] == "whole"
    lab.land(sales(("c", "2026-01-11 00:00:00+00:00", "north", 5.0)))
    assert lab.run()["marts.zones_monthly"] == "partitions"
    assert lab.run()["marts.zones_monthly"] == "unchanged"
    (reference / "zones.csv").write_text("region,zone\nnorth,plains\nsouth,coast\n")
    assert lab.run()["marts.zones_monthly"] == "whole"
    assert {row[1] for row in lab.rows("marts.zones_monthly")} == {"plains", "coast"}


def test_build_asks_the_header_where_lineage_does_not_carry(lab: Lab) -> None:
    """The header's `affected` says which months a row that replaces another reaches."""
    latest = (
        "select * from staging.stg_sales\nqualify row_number() over (partition by order_id order by revenue desc) = 1"
    )
    affected = (
        "partition: sold_month\n"
        "affected: |\n"
        "    select sold_month from staging.stg_sales where order_id in (select order_id from changed.sales)\n"
    )
    lab.write("staging.latest_sales", latest, "materialise: table\n" + affected)
    lab.write("marts.sales_monthly", MONTHLY.replace("stg_sales", "latest_sales"), "partition: sold_month\n")
    lab.land(sales(JANUARY, FEBRUARY, ("z", "2026-03-10 00:00:00+00:00", "east", 1.0)))
    lab.run()
    lab.land(sales(("a", "2026-02-11 00:00:00+00:00", "north", 11.0)))  # order a moves from January to February
    assert lab.run() == {"staging.latest_sales": "partitions", "marts.sales_monthly": "partitions"}
    assert [str(row[0]) for row in lab.rows("marts.sales_monthly")] == ["2026-02-01", "2026-02-01", "2026-03-01"]


def test_build_compares_rows_of_an_input_that_was_rewritten(lab: Lab, session: Session) -> None:
    """Where all files were replaced, only the months whose rows differ are rebuilt, the old month of a row too."""
    march = ("z", "2026-03-10 00:00:00+00:00", "east", 1.0)
    lab.land(sales(JANUARY, FEBRUARY, march))
    lab.run()
    lab.land(sales(("a", "2026-02-10 00:00:00+00:00", "north", 10.0), FEBRUARY, march), replace=True)
    candidate = lab.build(session)["marts.sales_monthly"]
    assert candidate.partitions == ("2026-01-01", "2026-02-01")
    assert session.rows("select distinct sold_month::varchar from marts.sales_monthly order by all") == [
        ("2026-02-01",),
        ("2026-03-01",),
    ]


def test_build_reads_an_absent_raw_table_as_empty(lab: Lab) -> None:
    """Before the first landing the marts are empty and typed, and the first rows then rebuild them."""
    assert lab.run() == {"marts.sales_monthly": "whole"}
    assert lab.rows("marts.sales_monthly") == []
    lab.land(sales(JANUARY))
    assert lab.run() == {"marts.sales_monthly": "whole"}
    assert len(lab.rows("marts.sales_monthly")) == 1


def test_build_starts_at_the_released_version(lab: Lab) -> None:
    """What a crashed run had committed and not released is taken back before the next commit."""
    lab.land(sales(JANUARY))
    lab.run()
    released = dict(lab.released)
    lab.land(sales(FEBRUARY))
    lab.run()
    lab.released.clear()
    lab.released.update(released)  # the release never moved
    assert lab.run() == {"marts.sales_monthly": "partitions"}
    assert [row[1] for row in lab.rows("marts.sales_monthly")] == ["north", "south"]


def test_build_commits_over_an_unreleased_first_version(lab: Lab) -> None:
    """A table that was committed once and never released is overwritten, not appended to."""
    lab.land(sales(JANUARY))
    lab.run()
    lab.released.clear()
    assert lab.run() == {"marts.sales_monthly": "whole"}
    assert len(lab.rows("marts.sales_monthly")) == 1


def test_build_leaves_a_held_table_as_released(lab: Lab, session: Session) -> None:
    """A table held by a rollback is neither rebuilt nor said to have read anything newer."""
    lab.land(sales(JANUARY))
    lab.run()
    before = lab.released["marts.sales_monthly"]
    lab.land(sales(FEBRUARY))
    candidate = lab.build(session, held=frozenset({"marts.sales_monthly"}))["marts.sales_monthly"]
    assert (candidate.decision, dict(candidate.inputs)) == ("unchanged", dict(before.inputs))
    assert session.value("select count(*) from marts.sales_monthly") == 1


def test_build_binds_the_run_and_rebuilds_what_reads_it(lab: Lab) -> None:
    """A model that reads the run is written in every run that gives it other rows, and in no other."""
    lab.write("marts.sales_monthly", "select order_id, getvariable('run_id') as made_by from staging.stg_sales")
    lab.land(sales(JANUARY))
    assert lab.run() == {"marts.sales_monthly": "whole"}
    assert lab.run() == {"marts.sales_monthly": "unchanged"}
    lab.parameters["run_id"] = "'run-2'"
    assert lab.run() == {"marts.sales_monthly": "whole"}
    assert lab.rows("marts.sales_monthly") == [("a", "run-2")]
    lab.land(sales(JANUARY))
    assert lab.run() == {"marts.sales_monthly": "whole"}
    assert lab.rows("marts.sales_monthly") == [("a", "run-2")] * 2


def test_build_rebuilds_whole_when_an_input_gets_other_columns(lab: Lab) -> None:
    """New columns of a raw table that a star lets through do not end in a partition of another shape."""
    lab.write("marts.wide", f"select * from ({STAGING.replace('order_id,', '*,')})", "partition: sold_month\n")
    lab.land(sales(JANUARY, FEBRUARY))
    lab.run()
    lab.land(f"select *, 'x' as channel from ({sales(('c', '2026-01-11 00:00:00+00:00', 'east', 5.0))})")
    assert lab.run()["marts.wide"] == "whole"
    assert len(lab.rows("marts.wide")) == 3


def test_build_of_two_runs_keeps_the_rows_of_each(lab: Lab) -> None:
    """Two runs that start at one release commit one after the other: each version holds its own run's rows only."""
    lab.land(sales(JANUARY))
    lab.run()
    start = dict(lab.released)
    lab.land(sales(FEBRUARY))
    with Session(EngineLimits()) as first, Session(EngineLimits()) as second:
        earlier = lab.build(first)
        lab.land(sales(("c", "2026-02-11 00:00:00+00:00", "east", 5.0)))
        later = lab.build(second)
    versions = []
    for candidates in (earlier, later):
        lab.released = dict(start)
        lab.publish(candidates)
        versions.append((lab.released["marts.sales_monthly"].version, len(lab.rows("marts.sales_monthly"))))
    assert versions[0][1] == 2
    assert versions[1][1] == 3
    assert versions[1][0] > versions[0][0]
    lab.released["marts.sales_monthly"] = replace(lab.released["marts.sales_monthly"], version=versions[0][0])
    assert len(lab.rows("marts.sales_monthly")) == 2


def test_build_error_names_the_line_and_the_nearest_column(lab: Lab, session: Session) -> None:
    """An unknown column is told with the model's file, its line in that file, and what DuckDB suggests."""
    lab.write(
        "marts.sales_monthly",
        "select\n    sold_month,\n    sum(revenu) as revenue,\nfrom staging.stg_sales group by all",
    )
    with pytest.raises(ModelError, match=r'sales_monthly\.sql:8: .*"revenu" not found.*"revenue"'):
        lab.build(session)


def test_build_error_of_the_data_names_the_model(lab: Lab, session: Session) -> None:
    """A cast that fails on a row is told with the model that was being built, and no wrong line."""
    lab.write("marts.sales_monthly", "select cast(region as integer) as region from staging.stg_sales")
    lab.land(sales(JANUARY))
    with pytest.raises(ModelError, match=r"sales_monthly\.sql: DuckDB refused marts\.sales_monthly: .*north"):
        lab.build(session)


@pytest.mark.parametrize(("column", "problem"), [("sold_at", "TIMESTAMP WITH TIME ZONE"), ("month", "not among")])
def test_build_refuses_a_partition_that_delta_cannot_name(
    lab: Lab, session: Session, column: str, problem: str
) -> None:
    """A partition column must be there, and be a date, a text or an integer."""
    lab.write("marts.sales_monthly", "select * from staging.stg_sales", f"partition: {column}\n")
    with pytest.raises(ModelError, match=problem):
        lab.build(session)


def test_build_refuses_affected_over_a_stranger(lab: Lab, session: Session) -> None:
    """`affected` may read only tables the model depends on."""
    growth = "select sold_month, lag(revenue) over (order by sold_month) as previous from staging.stg_sales"
    header = "partition: sold_month\naffected: select sold_month from changed.sale\n"
    lab.write("marts.sales_monthly", growth, header.replace("changed.sale", "changed.sales, changed.sale"))
    lab.land(sales(JANUARY))
    lab.run()
    lab.land(sales(FEBRUARY))
    with pytest.raises(ModelError, match=r"changed\.sale,.*Did you mean 'sales'"):
        lab.build(session)


def test_build_tells_the_release_what_it_published(lab: Lab) -> None:
    """The release hears of version, rows, columns, key and the versions read; of a view its SQL."""
    lab.write("marts.by_region", "select region, count(*) as n from marts.sales_monthly group by region")
    raw = lab.land(sales(JANUARY, FEBRUARY))
    lab.run()
    monthly, by_region, view = (
        lab.released[name] for name in ("marts.sales_monthly", "marts.by_region", "staging.stg_sales")
    )
    assert (monthly.version, monthly.row_count, monthly.inputs) == (1, 2, {"raw.sales": raw})
    assert by_region.inputs == {"marts.sales_monthly": monthly.version}
    assert (view.kind, view.version, view.row_count, view.inputs) == ("view", None, None, {"raw.sales": raw})
    assert view.sql is not None and view.sql.startswith("select\n    order_id")
    assert view.columns[2] == ("sold_month", "DATE")


def test_build_knows_the_key_from_the_grain(lab: Lab) -> None:
    """A grain that names columns is the table's key; one in other words is none."""
    path = lab.project / "sql" / "marts" / "sales_monthly.sql"
    lab.land(sales(JANUARY))
    lab.run()
    assert lab.released["marts.sales_monthly"].key == ()
    path.write_text(path.read_text().replace("one row per g", "one row per sold_month and region"))
    lab.run()
    assert lab.released["marts.sales_monthly"].key == ("sold_month", "region")


def test_build_names_the_raw_versions_a_run_has_read(lab: Lab, session: Session) -> None:
    """Raw tables that exist are part of the release at the version that was read; absent ones are not."""
    models = find_models(lab.project / "sql")
    order = upstream(models, models)

    def read() -> list[tuple[str, int | None, int | None]]:
        tables = prepare_inputs(
            session, lab.store, order, raw_columns=RAW_COLUMNS, reference_dir=lab.project, run_id="run-1"
        )
        return [(table.name, table.version, table.row_count) for table in released_inputs(tables)]

    assert read() == []
    version = lab.land(sales(JANUARY, FEBRUARY))
    assert read() == [("raw.sales", version, 2)]
