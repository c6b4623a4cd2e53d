"""`sluice demo`."""

import click

from flows.workplace import Workplace, in_project

ROWS, SEED = 200_000, 7


@click.command(short_help="Make demo data and run the pipeline on it.")
@click.option("--rows", type=click.IntRange(0), default=ROWS, show_default=True, help="About how many lines to make.")
@click.option("--seed", type=int, default=SEED, show_default=True, help="The same seed gives the same bytes.")
@in_project
def demo(workplace: Workplace, rows: int, seed: int) -> None:
    """Make demo data with planted faults for every source that has some, run the whole pipeline, and say what happened.

    \b
    sluice demo
    sluice demo --rows 1000000
    """
    from flows.launching import run_plainly
    from lake.demo.bodies import deliver_demo
    from lake.engine import Session

    sources = workplace.place.contracts().keys()
    with Session(workplace.settings.limits) as session:
        given = deliver_demo(session, workplace.place.root, sources, rows=rows, seed=seed)
    click.echo(f"Demo data: {sum(delivery.line_count for delivery in given):,} lines for {len(given)} sources.")
    for delivery in given:
        faults = ", ".join(f"{count:,} {fault}" for fault, count in delivery.by_fault.items())
        click.echo(f"  {delivery.source}: {delivery.line_count:,} lines, of them {faults or 'none with a fault'}")
    outcome = run_plainly(workplace, (), ())
    click.echo("\n".join(outcome.as_lines()))
    click.echo(f'Next: sluice sql "from marts.sales_daily", or open {outcome.lake_file} in any DuckDB client.')
    if outcome.failure is not None:
        raise outcome.failure
