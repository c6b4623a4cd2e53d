"""`sluice demo`."""

import click

from flows.workplace import Workplace, in_project

ROWS, SEED = 4_000, 7


@click.command(short_help="Make demo sales data and run the pipeline on it.")
@click.option("--rows", type=click.IntRange(0), default=ROWS, show_default=True, help="How many sales lines to make.")
@click.option("--seed", type=int, default=SEED, show_default=True, help="The same seed gives the same bytes.")
@in_project
def demo(workplace: Workplace, rows: int, seed: int) -> None:
    """Make demo sales data with planted faults, run the pipeline on it, and say what happened and where it is.

    \b
    sluice demo
    sluice demo --rows 1000000
    """
    from flows.launching import run_plainly
    from lake.demo.sales import write_sales
    from lake.engine import Session

    inbox = workplace.place.contracts()["sales"].server.path
    with Session(workplace.settings.limits) as session:
        planted = write_sales(session, (workplace.place.root / inbox).parent, rows=rows, seed=seed)
    faults = ", ".join(f"{count:,} {fault}" for fault, count in planted.by_fault.items())
    click.echo(f"Demo data: {planted.line_count:,} lines in {planted.files[0]}, of them {faults}.")
    outcome = run_plainly(workplace, (), ())
    click.echo("\n".join(outcome.as_lines()))
    click.echo(f'Next: sluice sql "from marts.sales_daily", or open {outcome.lake_file} in any DuckDB client.')
    if outcome.failure is not None:
        raise outcome.failure
