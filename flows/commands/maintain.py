"""`sluice maintain`."""

import click

from flows.workplace import Workplace, in_project


@click.command(short_help="Join small files; delete what no kept release names.")
@in_project
def maintain(workplace: Workplace) -> None:
    """Join small files, and delete files that no kept release names any more.

    The archive, the ledger and the quarantine are never touched. SLUICE_KEEP_RELEASES says how many releases stay
    readable (for rollback and diff), SLUICE_LONGEST_RUN_HOURS how young a file must be to be left alone.

    \b
    sluice maintain
    """
    from flows.steering import tidy_lake

    done = tidy_lake(workplace)
    for upkeep in done:
        joined = ", small files joined" if upkeep.is_compacted else ""
        click.echo(f"{upkeep.name}: {upkeep.file_count} files in use, {upkeep.deleted_files} deleted{joined}")
    if not done:
        click.echo("The lake is empty.")
