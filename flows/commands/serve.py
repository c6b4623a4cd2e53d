"""`sluice serve`."""

from pathlib import Path

import click

from flows.workplace import Workplace, in_project

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Start the ingestion service: rows and files are posted to it.")
@click.option("--host", help="Where to listen; beyond this machine only with TLS.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes any free one.  [default: 8080]")
@click.option("--cert", type=FILE, help="A TLS certificate with its chain (PEM).")
@click.option("--key", type=FILE, help="The private key of that certificate (PEM).")
@click.option("--open", "is_open", is_flag=True, help="Let everybody in without a key; on this machine only.")
@in_project
def serve(
    workplace: Workplace, host: str | None, port: int | None, cert: Path | None, key: Path | None, is_open: bool
) -> None:
    """Take rows and files that are posted, for every contract with a server of 'intake: push'.

    What is answered with 202 is on disk, and survives a crash. It waits in the spool (SLUICE_SPOOL_DIR) until a landing
    takes it: `sluice land`, `sluice watch`, `sluice run`, or the flow `land` every minute.

    Who posts needs a key (`sluice key new`). Everything that is wrong, live, is at /; the API is told at /docs, and
    /metrics is for Prometheus.

    \b
    sluice serve
    sluice serve --open
    sluice serve --port 8443 --cert sluice.pem --key sluice.key
    curl -H "Authorization: Bearer $KEY" -d '{"expense_id": "E-1"}' http://127.0.0.1:8080/v1/expenses
    """
    from flows.service.running import Place
    from flows.service.running import serve as run_service

    settings = workplace.settings
    place = Place(
        host or settings.serve_host,
        settings.serve_port if port is None else port,
        cert or settings.serve_cert,
        key or settings.serve_key,
        is_open,
    )
    run_service(workplace.place, settings, place, click.echo)
