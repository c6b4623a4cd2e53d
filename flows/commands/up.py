"""`sluice up`."""

import click

from flows.workplace import Workplace, in_project


@click.command(short_help="Start Prefect: server, deployments, worker.")
@click.option("--port", type=click.IntRange(0, 65535), help="The server's port; 0 takes any free one.  [default: 4200]")
@in_project
def up(workplace: Workplace, port: int | None) -> None:
    """Start the Prefect server, the deployments of prefect.yaml and a worker.

    Everything listens on 127.0.0.1 only, keeps its state in PROJECT/.prefect and reports to nobody. Ctrl-C stops
    all that was started; runs that were interrupted are marked Crashed at the next start.

    \b
    sluice up
    sluice up --port 4201
    prefect deployment run 'pipeline/sales-daily' --watch      # in another terminal
    """
    from flows.serving import find_place, served, stoppable, watch

    place = find_place(workplace.project, port)
    with stoppable(), served(place, workplace.tell) as children:
        click.echo(f"Sluice is up: {place.ui} (logs in {place.home}; Ctrl-C stops it)")
        watch(place, children)
