"""`sluice batch`."""

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from flows.workplace import Workplace, in_project, json_option

if TYPE_CHECKING:
    from lake.ledger import BatchRecord

COLUMNS = """
    batch_id, source, kind, status, read_count, accepted_count, quarantined_count, duplicate_count, origin, ended_at
"""


@click.group(short_help="Deliveries: list, show, admit, refuse, reland, carry.")
def batch() -> None:
    """What was delivered: list, show, admit, refuse, land again, carry over to another version's table.

    A batch is one delivery of one source. Where BATCH is asked for, the first digits of its id will do; write
    SOURCE:DIGITS where two tables have landed the same bytes. After admit, refuse, reland and carry, `sluice run`
    brings the marts up to date.
    """


@batch.command("list", short_help="List batches with their ledger.")
@click.option("--status", type=click.Choice(["landed", "held", "refused"]), help="Only batches of this status.")
@json_option
@in_project
def list_batches(workplace: Workplace, status: str | None, as_json: bool) -> None:
    """List batches, newest first, with their ledger: read = accepted + quarantined + duplicate.

    \b
    sluice batch list --status held
    """
    where = "" if status is None else f"where status = '{status}'"
    _print(workplace, f"select {COLUMNS} from ops.ingestion_log {where} order by ended_at desc, batch_id", as_json)


@batch.command("show")
@click.argument("batch_id", metavar="BATCH")
@json_option
@in_project
def show_batch(workplace: Workplace, batch_id: str, as_json: bool) -> None:
    """Show all the ledger says of one batch.

    \b
    sluice batch show 3f2a --json
    """
    from flows.reading import open_lake
    from lake.landing.relanding import find_batch

    with open_lake(workplace) as lake:
        record = find_batch(lake.session, lake.store, batch_id)
    _print_record(record, as_json)


@batch.command("admit", short_help="Take a held batch although its gate failed.")
@click.argument("batch_id", metavar="BATCH")
@json_option
@in_project
def admit(workplace: Workplace, batch_id: str, as_json: bool) -> None:
    """Take a held batch into the lake although its gate failed; bad records go to quarantine all the same."""
    from flows.rework import admit_batch

    _print_record(admit_batch(workplace, batch_id), as_json)


@batch.command("refuse")
@click.argument("batch_id", metavar="BATCH")
@click.option("--why", default="refused by hand", show_default=True, help="The reason, for the ledger.")
@json_option
@in_project
def refuse(workplace: Workplace, batch_id: str, why: str, as_json: bool) -> None:
    """Refuse a held batch for good; its bytes stay in the archive."""
    from flows.rework import refuse_batch

    _print_record(refuse_batch(workplace, batch_id, why), as_json)


@batch.command("reland", short_help="Take archived bytes through the contract again.")
@click.argument("batch_id", metavar="BATCH")
@json_option
@in_project
def reland(workplace: Workplace, batch_id: str, as_json: bool) -> None:
    """Take a batch's archived bytes through today's contract; its rows are replaced in one commit."""
    from flows.rework import reland_batch

    _print_record(reland_batch(workplace, batch_id), as_json)


@batch.command("carry", short_help="Land what one table has landed in another version's, too.")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="INTO")
@json_option
@in_project
def carry(workplace: Workplace, source: str, target: str, as_json: bool) -> None:
    """Land the archived batches of table FROM in table INTO, through its contract and gate, in their old order.

    For a contract that got a new major version: its table begins empty, and this fills it with what the version before
    it has landed. Batches that are there already are left alone, so it may be stopped and asked for again. It stops at
    the first batch that the gate holds back or the contract refuses whole.

    \b
    sluice batch carry sales sales_v2
    """
    from flows.carrying import carry as work

    done = work(workplace, source, target)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(done), indent=2))
        return
    click.echo(
        f"{done.carried} of {done.batches} batches of {source} carried over to {target}: {done.accepted} records "
        f"accepted, {done.quarantined} quarantined, {done.duplicate} duplicate; {done.present} were there already."
    )


def _print(workplace: Workplace, query: str, as_json: bool) -> None:
    from flows.reading import open_lake
    from flows.tabular import print_query

    with open_lake(workplace) as lake:
        print_query(lake.session, query, "json" if as_json else "table")


def _print_record(record: "BatchRecord", as_json: bool) -> None:
    told = dataclasses.asdict(record)
    if as_json:
        click.echo(json.dumps([told], default=lambda value: value.isoformat(), ensure_ascii=False, indent=2))
        return
    for name, value in told.items():
        click.echo(f"{name:18} {'' if value is None else value}")
