"""`sluice quarantine`."""

import dataclasses
import json
from pathlib import Path

import click

from flows.workplace import Workplace, in_project, json_option

BY_BATCH = """
    select
        batch_id, source,
        count(*) filter (where category <> 'DUPLICATE_RECORD' and replayed_at is null) as open_count,
        count(*) filter (where category = 'DUPLICATE_RECORD') as duplicate_count,
        count(*) as record_count,
        array_to_string(list_sort(list_distinct(list(rule))), ', ') as rules, min(quarantined_at) as quarantined_at
    from ops.quarantine
    group by batch_id, source
    order by quarantined_at desc, batch_id
"""
RECORDS = """
    select line, record_id, category, rule, column_name, details, raw_data, quarantined_at, replayed_at
    from ops.quarantine
    where source = '{source}' and batch_id = '{batch_id}'
    order by line
"""


@click.group()
def quarantine() -> None:
    """Records that were refused: list, show, replay.

    Every refused record is kept with its line, its raw content and all reasons; nothing is ever deleted.
    """


@quarantine.command("list", short_help="List batches with refused records.")
@json_option
@in_project
def list_quarantine(workplace: Workplace, as_json: bool) -> None:
    """List batches with refused records: how many there are, how many are still open, and the rules they broke.

    Open records are those that replay would take: not the duplicates, nor what a replay has landed since.
    """
    from flows.reading import open_lake
    from flows.tabular import print_query

    with open_lake(workplace) as lake:
        print_query(lake.session, BY_BATCH, "json" if as_json else "table")


@quarantine.command("show", short_help="Show the refused records of a batch.")
@click.argument("batch_id", metavar="BATCH")
@json_option
@in_project
def show_quarantine(workplace: Workplace, batch_id: str, as_json: bool) -> None:
    """Show every refused record of a batch: line, rule, reasons and raw content.

    \b
    sluice quarantine show 3f2a
    sluice quarantine show 3f2a --json | jq '.[].raw_data'
    """
    from flows.reading import open_lake
    from flows.tabular import print_query
    from lake.landing.relanding import find_batch

    with open_lake(workplace) as lake:
        found = find_batch(lake.session, lake.store, batch_id)
        query = RECORDS.format(source=found.source, batch_id=found.batch_id)
        print_query(lake.session, query, "json" if as_json else "table")


@quarantine.command("replay", short_help="Take open records through the contract again.")
@click.argument("batch_id", metavar="BATCH")
@click.option(
    "--with", "mended", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A CSV of mended values."
)
@json_option
@in_project
def replay(workplace: Workplace, batch_id: str, mended: Path | None, as_json: bool) -> None:
    """Take a batch's open records through today's contract again.

    As they were, after the contract was mended; or with the values of a CSV: a column line or record_id says which
    record, every other column bears the name of a source column. A record lands once, however often it is replayed.

    \b
    sluice quarantine replay 3f2a
    sluice quarantine replay 3f2a --with mended.csv
    """
    from flows.rework import replay_batch

    record = replay_batch(workplace, batch_id, mended)
    if as_json:
        told = [dataclasses.asdict(record)]
        click.echo(json.dumps(told, default=lambda value: value.isoformat(), ensure_ascii=False, indent=2))
        return
    click.echo(
        f"Replayed {record.read_count} records as batch {record.batch_id}: {record.accepted_count} accepted, "
        f"{record.quarantined_count} quarantined again, {record.duplicate_count} duplicate. "
        "`sluice run` brings the marts up to date."
    )
