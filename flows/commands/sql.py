"""`sluice sql`."""

import click

from flows.workplace import Workplace, in_project, json_option


@click.command(short_help="Ask the current release in SQL.")
@click.argument("query")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header.")
@click.option(
    "--as-of",
    metavar="RELEASE|INSTANT",
    help="Ask an older release: its number, or an instant (ISO 8601) at which it was current.",
)
@in_project
def sql(workplace: Workplace, query: str, as_json: bool, as_csv: bool, as_of: str | None) -> None:
    """Ask the current release, and the newest ops tables, in DuckDB SQL.

    A table on a terminal, tab-separated text in a pipe. In JSON a decimal is a number with all its digits, an instant
    is ISO 8601 in UTC, NaN is null.

    \b
    sluice sql "from marts.sales_daily order by sold_on limit 7"
    sluice sql "select category, count(*) as records from ops.exceptions group by all" --json
    sluice sql "from raw.sales" --csv > sales.csv
    sluice sql "from marts.sales_daily" --as-of 41
    sluice sql "from marts.sales_daily" --as-of 2026-01-31T18:00+05:30

    With --as-of every table is shown as it was then, all of one release; ops tables are the newest all the same. An
    instant without offset is in the project's zone (SLUICE_TIMEZONE), a date is its first moment.
    """
    from flows.reading import open_lake
    from flows.tabular import print_query

    if as_json and as_csv:
        raise click.UsageError("Give --json or --csv, not both.")
    with open_lake(workplace, as_of) as lake:
        print_query(lake.session, query, "json" if as_json else "csv" if as_csv else "table")
