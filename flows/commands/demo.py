"""`sluice demo`."""

import click

from flows.workplace import Workplace, in_project

ROWS, SEED = 200_000, 7
NEXT = """\
Next: sluice sql "from marts.sales_daily"     ask the release; lake/data/lake.duckdb opens in any DuckDB client
      lake/data/pages/index.html             every page, in a browser
      sluice up                              Prefect with this run in its history, and the schedules"""


@click.command(short_help="Make demo data and run the pipeline on it.")
@click.option("--rows", type=click.IntRange(0), default=ROWS, show_default=True, help="About how many lines to make.")
@click.option("--seed", type=int, default=SEED, show_default=True, help="The same seed gives the same bytes.")
@click.option("--plain", "is_plain", is_flag=True, help="Run without Prefect: quicker, and without history.")
@in_project
def demo(workplace: Workplace, rows: int, seed: int, is_plain: bool) -> int:
    """Make demo data with planted faults for every source that has some, run the whole pipeline, and say what happened.

    Files go to the inbox; meter readings are given by a small API that is there for this run only. The run is in
    Prefect's history (sluice up shows it): of the server that is up, else of the project's own, started for this run.

    \b
    sluice demo
    sluice demo --plain
    sluice demo --rows 1000000
    """
    from flows.demonstrating import demonstrate

    code = demonstrate(workplace, rows, seed, is_plain=is_plain)
    if code == 0:
        click.echo(NEXT)
    return code
