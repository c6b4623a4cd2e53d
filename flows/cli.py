"""The command line: `sluice`. Only wires; each command is a file in `flows/commands/`, and loads what it needs."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from flows.commands.batch import batch
from flows.commands.contract import contract
from flows.commands.demo import demo
from flows.commands.draft import draft
from flows.commands.export import export
from flows.commands.health import health
from flows.commands.key import key
from flows.commands.land import land, watch
from flows.commands.maintain import maintain
from flows.commands.metrics import metrics
from flows.commands.quarantine import quarantine
from flows.commands.release import release
from flows.commands.run import run
from flows.commands.serve import serve
from flows.commands.sql import sql
from flows.commands.sync import sync
from flows.commands.up import up
from flows.interrupts import is_interrupt
from lake.errors import SluiceError

FAILED, INTERRUPTED = 1, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sluice", prog_name="sluice")
@click.option(
    "--project",
    envvar="SLUICE_PROJECT",
    type=click.Path(path_type=Path),
    help="The project folder, for whatever command follows; also SLUICE_PROJECT.",
)
@click.pass_context
def sluice(context: click.Context, project: Path | None) -> None:
    """Gated Prefect flows over a DuckDB lakehouse.

    Land what sources deliver, build marts with plain SQL, check every stage, publish one consistent release, send
    reports. Nothing lost, nothing half-published, every number explainable.

    \b
    sluice demo                               # demo data, the whole pipeline, and where everything is
    sluice run sales_daily                    # a mart and all it needs
    sluice sql "from marts.sales_daily"       # ask the current release
    sluice up                                 # Prefect server, schedules and a worker

    Commands work in this folder; --project DIR or SLUICE_PROJECT names another. The exit code is 0 when all went
    well, 1 when something failed, 2 for a wrong argument, 130 when interrupted.
    """
    context.obj = project


for command in (up, run, land, watch, sql, quarantine, batch, release, contract, draft, maintain, demo):
    sluice.add_command(command)

for command in (health, sync, export, metrics, serve, key):
    sluice.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code; what a person can mend is one line on standard error."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        code = sluice.main(arguments, prog_name="sluice", standalone_mode=False)
        sys.stdout.flush()
    except SluiceError as error:
        click.echo(f"sluice: {error}", err=True)
        return FAILED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, RuntimeError) as error:  # Abort is click's own word for Ctrl-C, and a RuntimeError
        if not isinstance(error, click.Abort) and not is_interrupt(error):
            raise
        click.echo("sluice: interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as in `sluice sql ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code if isinstance(code, int) else 0
