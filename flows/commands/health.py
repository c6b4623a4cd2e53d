"""`sluice health`."""

import click

from flows.workplace import Workplace, in_project


@click.command(short_help="Measure disk, lake, sources and schedules; tell what is amiss.")
@in_project
def health(workplace: Workplace) -> None:
    """Measure the platform into ops.platform_health_metrics, tell alerts about it, and draw its pages.

    The deployment platform-health does so every 15 minutes. Run by cron of the machine, it also tells when the
    Prefect server and its schedules stand still.

    \b
    sluice health
    """
    from flows.chores import health_chore, run_chore
    from flows.steps import plain_step

    with workplace.begun() as run:
        for line in run_chore(workplace.place, workplace.settings, run, health_chore(is_deployed=False), plain_step):
            click.echo(line)
