"""`sluice draft`."""

from pathlib import Path

import click

from flows.workplace import Workplace, in_project


@click.command(short_help="Write a contract for a file nobody has described.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", help="The name of the table; the file's name by default.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="Where to write it; - is standard output.",
)
@in_project
def draft(workplace: Workplace, file: Path, source: str | None, out: Path | None) -> None:
    """Write a contract for an unknown file: types, keys and enums inferred from its rows.

    The contract is a proposal to read and mend; it is never written over an existing one.

    \b
    sluice draft deliveries/orders.csv
    sluice draft orders.jsonl.gz --source shop_orders
    """
    from flows.drafting import write_draft

    path = write_draft(workplace, file, source, out)
    if path is not None:
        click.echo(f"Wrote {path}: read it, mend it, then `sluice run`.")
