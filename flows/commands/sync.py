"""`sluice sync`."""

import click

from flows.workplace import Workplace, in_project


@click.command(short_help="Write down what the project says of itself; draw the catalogue.")
@in_project
def sync(workplace: Workplace) -> None:
    """Write descriptions of tables, columns, metrics, sources, pages, schedules and alert rules into the lake.

    Also measures rows and share of nulls of every table not measured yet. Every run of the pipeline writes down
    what changed; the deployment metadata-sync does all of it every six hours.

    \b
    sluice sync
    """
    from flows.chores import metadata_chore, run_chore
    from flows.steps import plain_step

    with workplace.begun() as run:
        for line in run_chore(workplace.place, workplace.settings, run, metadata_chore(), plain_step):
            click.echo(line)
