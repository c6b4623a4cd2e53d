"""Sales without the lake: delivered files cleaned by polars (not by contract and landing) and the models."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from lake.engine import Session
from sql.models import Model, find_models, upstream

ROOT = Path(__file__).parents[1]
REGIONS = (
    *("Assam", "Delhi", "Gujarat", "Karnataka"),
    *("Maharashtra", "Tamil Nadu", "Uttar Pradesh", "West Bengal"),
)


def good_lines(files: Iterable[Path]) -> pl.DataFrame:
    """Gives the lines that the contract accepts, typed, judged by polars alone; the first of an order wins."""
    text = pl.concat(pl.read_csv(path, infer_schema=False).with_row_index("_line", 2) for path in files)
    typed = text.with_columns(
        pl.col("sold_at").str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_unit="us").dt.convert_time_zone("UTC"),
        pl.col("units").cast(pl.Int32, strict=False),
        pl.col("unit_price_inr").cast(pl.Decimal(12, 2)),
        pl.col("revenue_inr").cast(pl.Decimal(14, 2)),
    )
    sound = typed.drop_nulls(["order_id", "sold_at", "region", "units", "revenue_inr"]).filter(
        pl.col("region").is_in(REGIONS), pl.col("revenue_inr") >= 0, pl.col("units") >= 0
    )
    return sound.unique("order_id", keep="first", maintain_order=True)


def sales_models() -> list[Model]:
    """Gives the models of the sales domain in build order."""
    models = find_models(ROOT / "sql")
    wanted = [name for name in models if name.startswith(("marts.sales_", "staging.stg_sales"))]
    return upstream(models, wanted)


def fill_raw(session: Session, lines: pl.DataFrame, batch_id: str = "batch-1") -> None:
    """Makes `raw.sales` of the session from good lines."""
    session.register("good_lines", lines.to_arrow())
    session.execute(
        f"""
        create or replace table raw.sales as
        select
            order_id, sold_at, region, product_group, product, units, cast(unit_price_inr as decimal(12, 2)) as
            unit_price_inr, cast(revenue_inr as decimal(14, 2)) as revenue_inr, customer_id, customer_email,
            'run-1' as _run_id, '{batch_id}' as _batch_id, timestamptz '2026-01-02 00:00:00+00' as _ingested_at,
            'sales' as _source, cast(_line as bigint) as _line, '{batch_id}:' || _line as _record_id,
        from good_lines
        """
    )


def build_models(session: Session) -> None:
    """Makes every sales model in the session, as their headers say."""
    for model in sales_models():
        kind = "table" if model.is_table else "view"
        session.execute(f"create or replace {kind} {model.name} as {model.sql}")
