"""`sluice contract`."""

import json
from pathlib import Path

import click

from flows.workplace import Workplace, in_project, json_option

DRIFTED = 1


@click.group(short_help="Contracts: list, show, check; their JSON schema.")
def contract() -> None:
    """Contracts: list, show, hold against the operational schema, and the JSON schema for editors."""


@contract.command("list", short_help="List the contracts of the project.")
@json_option
@in_project
def list_contracts(workplace: Workplace, as_json: bool) -> None:
    """List the contracts: source, version, raw table, owner, privacy, how many columns, where the file is."""
    from flows.contracts import contract_rows
    from flows.tabular import print_rows

    print_rows(contract_rows(workplace.place), as_json=as_json)


@contract.command("show", short_help="Show what a contract promises.")
@click.argument("source")
@json_option
@in_project
def show_contract(workplace: Workplace, source: str, as_json: bool) -> None:
    """Show a contract as Sluice reads it: its columns with types, keys and bounds; its rules with --json."""
    from flows.contracts import contract_heading, contract_record, find_contract
    from flows.tabular import print_rows

    found = find_contract(workplace.place, source)
    record = contract_record(workplace.place, found)
    if as_json:
        click.echo(json.dumps(record, ensure_ascii=False, indent=2))
        return
    for line in contract_heading(workplace.place, found):
        workplace.tell(line)
    print_rows(record["columns"], as_json=False)


@contract.command("check", short_help="Hold contracts against the operational schemas they name.")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@json_option
@in_project
@click.pass_context
def check(context: click.Context, workplace: Workplace, sources: tuple[str, ...], as_json: bool) -> None:
    """Hold contracts against the operational schemas they name, column by column.

    A contract names its schema under authoritativeDefinitions, as type schema: 'db/schema.prisma#Order'. Each
    difference is told with the line of both sides and what to do. The exit code is 1 when there is one.

    \b
    sluice contract check
    sluice contract check orders --json
    """
    from flows.contracts import check_contracts, finding_lines

    checked = check_contracts(workplace.place, sources)
    if as_json:
        found = [finding for findings in checked.values() for finding in findings]
        click.echo(json.dumps([finding.record() for finding in found], ensure_ascii=False, indent=2))
    else:
        for line in finding_lines(checked):
            click.echo(line)
    if any(checked.values()):
        context.exit(DRIFTED)


@contract.command("schema", short_help="Print the JSON schema of contracts, for editors.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A file to write it to.")
@in_project
def schema(workplace: Workplace, out: Path | None) -> None:
    """Print the JSON schema of contracts: the standard's, with every custom property that Sluice reads.

    An editor with a YAML language server checks a contract with it when the file begins with
    `# yaml-language-server: $schema=contract.schema.json`.
    """
    from flows.drafting import editor_schema_text, write_editor_schema

    if out is None:
        click.echo(editor_schema_text(), nl=False)
        return
    write_editor_schema(out)
    workplace.tell(f"Wrote {out}.")
