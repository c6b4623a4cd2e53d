"""`sluice sql`."""

import click

from flows.workplace import Workplace, in_project, json_option


@click.command(short_help="Ask the current release in SQL.")
@click.argument("query")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header.")
@in_project
def sql(workplace: Workplace, query: str, as_json: bool, as_csv: bool) -> None:
    """Ask the current release, and the newest ops tables, in DuckDB SQL.

    A table on a terminal, tab-separated text in a pipe. In JSON a decimal is a number with all its digits, an instant
    is ISO 8601 in UTC, NaN is null.

    \b
    sluice sql "from marts.sales_daily order by sold_on limit 7"
    sluice sql "select category, count(*) as records from ops.exceptions group by all" --json
    sluice sql "from raw.sales" --csv > sales.csv
    """
    from flows.reading import open_lake
    from flows.tabular import print_query

    if as_json and as_csv:
        raise click.UsageError("Give --json or --csv, not both.")
    with open_lake(workplace) as lake:
        print_query(lake.session, query, "json" if as_json else "csv" if as_csv else "table")
