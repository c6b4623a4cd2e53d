"""`sluice export`."""

from datetime import datetime

import click

from flows.workplace import Workplace, in_project


@click.command(short_help="Write ingestion_logs.csv and alerts.csv of a day.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Which day.  [default: the last whole one]")
@click.option(
    "--to", "place", metavar="PLACE", help="A folder or s3://bucket/prefix.  [default: SLUICE_EXPORTS_TO, or exports/]"
)
@in_project
def export(workplace: Workplace, day: datetime | None, place: str | None) -> None:
    """Write ingestion_logs.csv and alerts.csv of one day to DAY/ of a folder or bucket, and mail the daily pages.

    A day goes from midnight to midnight in the project's zone. Doing it again replaces the files; the daily pages
    are mailed for the last whole day only.

    \b
    sluice export
    sluice export --day 2026-11-20 --to s3://company-reports/sluice
    """
    from flows.chores import export_chore, run_chore
    from flows.steps import plain_step

    chore = export_chore(None if day is None else day.date(), place)
    with workplace.begun() as run:
        for line in run_chore(workplace.place, workplace.settings, run, chore, plain_step):
            click.echo(line)
