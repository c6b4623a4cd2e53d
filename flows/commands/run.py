"""`sluice run`."""

import json

import click

from flows.workplace import Workplace, in_project


@click.command(short_help="Run the pipeline: all of it, or some marts and what they need.")
@click.argument("marts", metavar="[MART]...", nargs=-1)
@click.option("--page", "pages", multiple=True, metavar="PAGE", help="Draw and send this page only; may repeat.")
@click.option("--plain", "is_plain", is_flag=True, help="Run without Prefect, even where a server is at hand.")
@click.option("--await-server", "is_awaited", is_flag=True, hidden=True)  # one that is starting: `sluice demo` asks
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@in_project
def run(
    workplace: Workplace,
    marts: tuple[str, ...],
    pages: tuple[str, ...],
    is_plain: bool,
    is_awaited: bool,
    as_json: bool,
) -> None:
    """Run the pipeline for some marts and all they need; without MART for the whole project.

    Lands what the sources have delivered, builds and gates, publishes one release, draws and sends pages, tells
    alerts. Nothing new means nothing to do: the release stays. With a Prefect server at hand (sluice up) the run is
    in its history; without one it runs plain and says so.

    \b
    sluice run
    sluice run sales_daily sales_regional
    sluice run sales_daily --page sales_controls
    sluice run --project ~/shop --json
    """
    from flows.launching import await_api, launch

    if is_awaited:
        await_api(workplace.project)
    outcome = launch(workplace, marts, pages, workplace.tell, is_plain=is_plain)
    if as_json:
        click.echo(json.dumps(outcome.as_json(), ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(outcome.as_lines()))
    if outcome.failure is not None:
        raise outcome.failure
