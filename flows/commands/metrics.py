"""`sluice metrics`."""

import click

from flows.workplace import Workplace, in_project


@click.command(short_help="Write METRICS.md from the headers of the models.")
@click.option("--check", "is_check", is_flag=True, help="Write nothing; fail when METRICS.md is not current.")
@in_project
def metrics(workplace: Workplace, is_check: bool) -> None:
    """Write METRICS.md: every metric of the models with definition, formula, unit, grain and owner.

    \b
    sluice metrics
    sluice metrics --check
    """
    from flows.metrics import expect_current_metrics, write_metrics

    if is_check:
        expect_current_metrics(workplace.place)
        click.echo("METRICS.md is current.")
        return
    click.echo(f"Wrote {write_metrics(workplace.place)}.")
