"""The sales models: the columns they promise, and the Indian day of every hour. Their cases are in test_model_cases."""

import csv
import re
from pathlib import Path

import pytest

from lake.engine import EngineLimits, Session, literal, quote

ROOT = Path(__file__).parents[1]
CASES = ROOT / "tests" / "cases"
TYPES = {
    "sold_at": "timestamptz",
    "sold_on": "date",
    "sold_month": "date",
    "units": "integer",
    "unit_price_inr": "decimal(12,2)",
    "order_count": "bigint",
    "unit_count": "bigint",
    "revenue_per_unit_inr": "decimal(18,4)",
    "_ingested_at": "timestamptz",
    "_line": "bigint",
}
REVENUE_TYPES = {"sales": "decimal(14,2)", "stg_sales": "decimal(14,2)", "sales_daily": "decimal(18,2)"}
SCHEMAS = {"sales": "raw", "stg_sales": "staging", "sales_daily": "marts"}
MODELS = {
    "stg_sales": "staging",
    "sales_daily": "marts",
    "sales_regional": "marts",
    "sales_product": "marts",
    "sales_monthly": "marts",
}
MEASURES = [
    ("order_count", "BIGINT"),
    ("unit_count", "BIGINT"),
    ("revenue_inr", "DECIMAL(18,2)"),
    ("revenue_per_unit_inr", "DECIMAL(18,4)"),
]
COLUMNS = {
    "stg_sales": [
        ("order_id", "VARCHAR"),
        ("sold_at", "TIMESTAMP WITH TIME ZONE"),
        ("sold_on", "DATE"),
        ("sold_month", "DATE"),
        ("region", "VARCHAR"),
        ("product_group", "VARCHAR"),
        ("product", "VARCHAR"),
        ("units", "INTEGER"),
        ("unit_price_inr", "DECIMAL(12,2)"),
        ("revenue_inr", "DECIMAL(14,2)"),
        *((name, "VARCHAR") for name in ("customer_id", "_batch_id", "_run_id", "_record_id")),
    ],
    "sales_daily": [
        ("sold_month", "DATE"),
        ("sold_on", "DATE"),
        ("region", "VARCHAR"),
        ("product_group", "VARCHAR"),
        *MEASURES,
    ],
    "sales_regional": [
        ("sold_month", "DATE"),
        ("region", "VARCHAR"),
        *MEASURES,
        ("revenue_share_ratio", "DECIMAL(9,6)"),
    ],
    "sales_product": [("sold_month", "DATE"), ("product_group", "VARCHAR"), ("product", "VARCHAR"), *MEASURES],
    "sales_monthly": [
        ("sold_month", "DATE"),
        *MEASURES,
        ("previous_revenue_inr", "DECIMAL(18,2)"),
        ("revenue_growth_ratio", "DECIMAL(18,6)"),
    ],
}


def model_sql(model: str) -> str:
    """Gives a model's select, without the header comment."""
    text = (ROOT / "sql" / MODELS[model] / f"{model}.sql").read_text()
    return re.sub(r"\A\s*/\*.*?\*/", "", text, count=1, flags=re.DOTALL)


def load_given(session: Session, path: Path) -> None:
    """Makes a table of the session from a `given_<table>.csv`, with the types the table really has."""
    table = path.stem.removeprefix("given_")
    types = {**TYPES, "revenue_inr": REVENUE_TYPES[table]}
    with path.open(newline="") as file:
        names = next(csv.reader(file))
    columns = ", ".join(f"cast({quote(name)} as {types.get(name, 'varchar')}) as {quote(name)}" for name in names)
    source = f"read_csv({literal(str(path))}, header = true, all_varchar = true)"
    session.execute(f"create table {SCHEMAS[table]}.{table} as select {columns} from {source}")


def columns_made(model: str) -> list[tuple[str, str]]:
    """Gives the columns (name, type) that a model makes of its case."""
    with Session(EngineLimits("256MB", 1)) as session:
        for path in sorted((CASES / model).glob("given_*.csv")):
            load_given(session, path)
        described = session.rows(f"describe {model_sql(model)}")
        return [(str(row[0]), str(row[1])) for row in described]


@pytest.mark.parametrize("model", MODELS)
def test_sales_models_have_the_promised_columns(model: str) -> None:
    """Each model has exactly the promised columns and types; money is decimal, and no e-mail address leaves raw."""
    assert columns_made(model) == COLUMNS[model]


def test_sales_models_know_the_indian_day_of_every_hour() -> None:
    """For every half hour of the half century that the contract admits, staging's day is that of the time zone."""
    with Session(EngineLimits("512MB", 2)) as session:
        session.execute(
            """
            create table raw.sales as
            select
                'ORD' as order_id, sold_at, 'Delhi' as region, 'Home' as product_group, 'Fan' as product, 1 as units,
                1.00 as unit_price_inr, 1.00 as revenue_inr, 'C' as customer_id, 'b' as _batch_id, 'r' as _run_id,
                'b:2' as _record_id,
            from range(
                timestamptz '2000-01-01 00:00:00+05:30', timestamptz '2050-01-01 00:00:00+05:30', interval 30 minute
            ) as hours(sold_at)
            """
        )
        session.execute(f"create view staging.stg_sales as {model_sql('stg_sales')}")
        count, wrong = session.rows(
            """
            select count(*), count(*) filter (where sold_on <> cast(timezone('Asia/Kolkata', sold_at) as date))
            from staging.stg_sales
            """
        )[0]
        assert (count > 800_000, wrong) == (True, 0)
