"""Lineage says which column comes from which, and which partitions a changed row can reach."""

from pathlib import Path

import pytest

from sql.lineage import ColumnEdge, column_lineage
from sql.models import Model, read_model
from sql.partitions import partition_expression

SALES = (
    ("order_id", "VARCHAR"),
    ("sold_at", "TIMESTAMP WITH TIME ZONE"),
    ("region", "VARCHAR"),
    ("revenue", "DECIMAL"),
)
ZONES = (("region", "VARCHAR"), ("zone", "VARCHAR"))
STAGED = (*SALES, ("sold_month", "DATE"))
SCHEMAS = {"raw.sales": SALES, "raw.zones": ZONES, "staging.stg_sales": STAGED}
STAGING = (
    "with sales as (select * from raw.sales)\n"
    "select *, cast(date_trunc('month', sold_at at time zone 'Asia/Kolkata') as date) as sold_month\n"
    "from sales where revenue > 0"
)
MONTH = "CAST(DATE_TRUNC('MONTH', \"sold_at\" AT TIME ZONE 'Asia/Kolkata') AS DATE)"


def make(folder: Path, name: str, sql: str, header: str = "") -> Model:
    layer, _, table = name.partition(".")
    path = folder / f"{table}.sql"
    path.write_text(f"/*\ndescription: d\ngrain: g\nowner: o\n{header}*/\n{sql}")
    return read_model(path, layer)


@pytest.mark.parametrize(
    ("sql", "edges"),
    [
        pytest.param(
            "select s.order_id, z.zone from staging.stg_sales as s join raw.zones as z on s.region = z.region",
            {("staging.stg_sales.order_id", "order_id"), ("raw.zones.zone", "zone")},
            id="join",
        ),
        pytest.param(
            "with a as (select revenue * 2 as r, region from staging.stg_sales),"
            " b as (select r + 1 as q, region from a) select q, upper(region) as region from b",
            {("staging.stg_sales.revenue", "q"), ("staging.stg_sales.region", "region")},
            id="ctes",
        ),
        pytest.param(
            "select order_id as id, region from staging.stg_sales union all select zone, region from raw.zones",
            {
                ("staging.stg_sales.order_id", "id"),
                ("raw.zones.zone", "id"),
                ("staging.stg_sales.region", "region"),
                ("raw.zones.region", "region"),
            },
            id="union",
        ),
        pytest.param(
            "select sum(revenue) over (partition by region order by sold_at) as running from staging.stg_sales",
            {(f"staging.stg_sales.{column}", "running") for column in ("revenue", "region", "sold_at")},
            id="window",
        ),
        pytest.param(
            "select * from raw.zones", {("raw.zones.region", "region"), ("raw.zones.zone", "zone")}, id="star"
        ),
        pytest.param(
            "select * exclude (zone) replace (lower(region) as region) from raw.zones",
            {("raw.zones.region", "region")},
            id="star-exclude-replace",
        ),
        pytest.param(
            "select (select max(revenue) from staging.stg_sales) as best, zone from raw.zones",
            {("staging.stg_sales.revenue", "best"), ("raw.zones.zone", "zone")},
            id="scalar-subquery",
        ),
        pytest.param(
            "select zone, 1 as one from raw.zones where region = 'x'", {("raw.zones.zone", "zone")}, id="constant"
        ),
        pytest.param(
            "select columns('z.*') from raw.zones",
            {("raw.zones.region", "z"), ("raw.zones.zone", "z")},
            id="untraceable-is-every-column",
        ),
    ],
)
def test_lineage_of_columns(tmp_path: Path, sql: str, edges: set[tuple[str, str]]) -> None:
    """Each output column comes from the columns it is computed from, and from no other."""
    model = make(tmp_path, "marts.m", sql)
    own = {"marts.m": (("z", "VARCHAR"),)} if "columns(" in sql else {}
    found = column_lineage(model, {**SCHEMAS, **own})
    assert {(f"{edge.from_table}.{edge.from_column}", edge.to_column) for edge in found} == edges
    assert all(edge.to_table == "marts.m" for edge in found)


def test_lineage_by_name_gives_every_column_read(tmp_path: Path) -> None:
    """Columns united by name stand in other places on each side: too much is said of them, never too little."""
    sql = (
        "with both_of as (select zone, region from raw.zones union all by name select region from raw.sales)\n"
        "select region from both_of"
    )
    edges = {
        (f"{edge.from_table}.{edge.from_column}", edge.to_column)
        for edge in column_lineage(make(tmp_path, "marts.m", sql), SCHEMAS)
    }
    assert {("raw.zones.region", "*"), ("raw.sales.region", "*")} <= edges


def test_lineage_is_sorted_and_repeatable(tmp_path: Path) -> None:
    """Two readings of one model give the same edges in the same order."""
    model = make(tmp_path, "marts.m", "select zone || region as both from raw.zones")
    edges = [ColumnEdge("raw.zones", column, "marts.m", "both") for column in ("region", "zone")]
    assert column_lineage(model, SCHEMAS) == column_lineage(model, SCHEMAS) == edges


MONTHLY = "with a as (select sold_month, region, sum(revenue) as r from staging.stg_sales group by all)"
CARRIED = [
    "select sold_month, count(*) as n from staging.stg_sales group by sold_month",
    "select sold_month, region, count(*) as n from staging.stg_sales group by all having count(*) > 1",
    "select sold_month, zone, count(*) as n from staging.stg_sales left join raw.zones using (region) group by 1, 2",
    "select sold_month, zone from raw.zones join staging.stg_sales using (region)",
    "select sold_month from staging.stg_sales where region in (select region from raw.zones)",
    "select distinct sold_month, region from staging.stg_sales",
    f"{MONTHLY} select *, r / sum(r) over (partition by sold_month) as share from a",
    f"{MONTHLY}, t as (select sold_month, sum(r) as total from a group by sold_month)"
    " select sold_month, region, r / total as share from a join t using (sold_month)",
    "select sold_month, region from staging.stg_sales union all select null, region from raw.zones",
    "select sold_month, region from staging.stg_sales union select sold_month, 'x' from staging.stg_sales",
    "select * from staging.stg_sales qualify row_number() over (partition by sold_month, region order by sold_at) = 1",
    "select sold_month, u from staging.stg_sales, unnest([1, 2]) as t(u)",
]
NOT_CARRIED = [
    "select max(sold_month) as sold_month, region from staging.stg_sales group by region",
    "select sold_month, lag(sum(revenue)) over (order by sold_month) as p from staging.stg_sales group by sold_month",
    "select * from staging.stg_sales qualify row_number() over (partition by order_id order by sold_at) = 1",
    "select sold_month from staging.stg_sales order by revenue limit 10",
    "select sold_month from staging.stg_sales where revenue > (select avg(revenue) from staging.stg_sales)",
    "select a.sold_month from staging.stg_sales as a join staging.stg_sales as b on a.order_id = b.order_id",
    "select sold_month, zone from raw.zones left join staging.stg_sales using (region)",
    "select sold_month from staging.stg_sales full join raw.zones using (region)",
    "select distinct on (region) sold_month, region from staging.stg_sales",
    "select sold_month, count(*) as n from staging.stg_sales group by rollup (sold_month)",
    "select sold_month from staging.stg_sales union all select sold_at::date from staging.stg_sales",
    f"{MONTHLY}, t as (select sum(r) as total from a) select sold_month, r / total as share from a cross join t",
    f"{MONTHLY} select a.sold_month, b.r from a join a as b on b.sold_month = a.sold_month - interval 1 month",
    "with recursive w as (select sold_month from staging.stg_sales union all select sold_month from w where false)"
    " select * from w",
    "with a as (select * from staging.stg_sales) select * from a pivot (sum(revenue) for region in ('x', 'y'))",
    "select sold_month from staging.stg_sales using sample 10",
    "with a as (select * from staging.stg_sales) select sold_month from a tablesample 10%",
    "select mode_of_months(sold_month) as sold_month from staging.stg_sales",
]


def expression(folder: Path, sql: str) -> str | None:
    staging = make(folder, "staging.stg_sales", STAGING)
    model = make(folder, "marts.m", sql, "partition: sold_month\n")
    models = {staging.name: staging, model.name: model}
    found = partition_expression(model, models, "raw.sales", {"raw.sales": SALES, "raw.zones": ZONES})
    return None if found is None else found.sql(dialect="duckdb")


@pytest.mark.parametrize("sql", CARRIED)
def test_lineage_carries_the_partition_to_the_raw_table(tmp_path: Path, sql: str) -> None:
    """Through projections, filters, joins, groups and windows by month, a raw row says which month it reaches."""
    assert expression(tmp_path, sql) == MONTH


@pytest.mark.parametrize("sql", NOT_CARRIED)
def test_lineage_does_not_carry_what_other_rows_decide(tmp_path: Path, sql: str) -> None:
    """Where a month depends on rows of other months, or that cannot be ruled out, nothing is claimed."""
    assert expression(tmp_path, sql) is None


def test_lineage_of_a_table_the_model_does_not_read(tmp_path: Path) -> None:
    """A table that is not below the model reaches none of its partitions."""
    model = make(tmp_path, "marts.m", "select zone as sold_month from raw.zones", "partition: sold_month\n")
    assert partition_expression(model, {model.name: model}, "raw.sales", SCHEMAS) is None
