"""`sluice release`."""

import dataclasses
import json

import click

from flows.workplace import Workplace, in_project, json_option

RELEASES = """
    select
        release_id, min(published_at) as published_at, any_value(actor) as actor, any_value(reason) as reason,
        count(*) as table_count, max(gates_passed) as gates_passed, bool_or(held) as is_held,
        any_value(run_id) as run_id
    from ops.releases
    group by release_id
    order by release_id desc
"""

TABLES = """
    select table_name, kind, version, row_count, held, inputs, code_digest
    from ops.releases
    where release_id = {number}
    order by table_name
"""

NUMBER = click.IntRange(1)
NUMBER.name = "number of a release"  # as a wrong one is told: "'x' is not a valid …"
as_of_option = click.option(
    "--as-of",
    metavar="RELEASE|INSTANT",
    help="A release by number, or by an instant (ISO 8601; without offset in SLUICE_TIMEZONE) it was current at.",
)


@click.group(short_help="What readers see: list, show, diff, rollback, restore, resume.")
def release() -> None:
    """What readers see, now and before: list, show, diff, rollback, restore, resume.

    A release names a version of every table. Readers always see one release, whole.
    """


@release.command("list")
@json_option
@in_project
def list_all(workplace: Workplace, as_json: bool) -> None:
    """List releases, newest first; the first is what readers see."""
    _print(workplace, RELEASES, as_json)


@release.command("show", short_help="Show the tables of release N.")
@click.argument("number", type=NUMBER, metavar="N")
@json_option
@in_project
def show(workplace: Workplace, number: int, as_json: bool) -> None:
    """Show the tables of release N: version, rows, and what they were made from."""
    columns = "table_name, kind, version, row_count, held, inputs, code_digest"
    _print(
        workplace,
        f"select {columns} from ops.releases where release_id = {number} order by table_name",
        as_json,
        number,
    )


@release.command("diff", short_help="Show what changed from release N to M.")
@click.argument("old", type=NUMBER, metavar="N")
@click.argument("new", type=NUMBER, metavar="M")
@json_option
@in_project
def diff(workplace: Workplace, old: int, new: int, as_json: bool) -> None:
    """Show what changed from release N to release M: tables, rows, keys added, removed and changed.

    \b
    sluice release diff 3 4
    """
    from flows.reading import open_lake
    from lake.differences import diff_releases
    from lake.releases import find_release

    with open_lake(workplace) as lake:
        before, after = (find_release(lake.session, lake.store, number) for number in (old, new))
        found = [dataclasses.asdict(each) for each in diff_releases(lake.session, lake.store, before, after)]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for each in found:
        told = ", ".join(
            f"{name} {value}" for name, value in each.items() if name not in ("name", "change") and value is not None
        )
        click.echo(f"{each['name']}: {each['change']} ({told})")
    if not found:
        click.echo(f"Releases {old} and {new} are the same.")


@release.command("rollback", short_help="Publish an older release again and hold it.")
@click.argument("number", type=NUMBER, metavar="[N]", required=False)
@as_of_option
@in_project
def roll_back(workplace: Workplace, number: int | None, as_of: str | None) -> None:
    """Publish release N, or the one that was current at an instant, again, whole; one step for every table.

    Its tables are held, so that the next run does not undo it; runs go on landing data meanwhile. `sluice release
    resume` lifts the hold.

    \b
    sluice release rollback 41
    sluice release rollback --as-of 2026-01-31T18:00
    """
    from flows.steering import roll_back as work

    if (number is None) == (as_of is None):
        raise click.UsageError("Give the number of a release, or --as-of.")
    target, made = work(workplace, as_of or str(number))
    click.echo(f"Release {made.id} shows what release {target.id} showed; its {len(made.held)} tables are held.")


@release.command("restore", short_help="Put one table back as it was, and hold it.")
@click.argument("table")
@as_of_option
@in_project
def restore(workplace: Workplace, table: str, as_of: str | None) -> None:
    """Publish TABLE as it was in a release or at an instant. Only this table: every other one stays as it is.

    The table is held, so that the next run does not undo it. Models that read it are built from the restored version by
    the next run, unless they are held, too. Of a raw table nothing is removed: landing goes on, and readers and models
    keep to the older version until the hold is lifted. To put back all tables together, use rollback.

    \b
    sluice release restore marts.sales_daily --as-of 41
    sluice release restore raw.sales --as-of 2026-01-31T18:00+05:30
    """
    from flows.steering import restore as work

    if as_of is None:
        raise click.UsageError("Give --as-of, the number of a release or an instant.")
    made, found = work(workplace, table, as_of)
    rows = "" if found.row_count is None else f" ({found.row_count} rows)"
    click.echo(
        f"Release {made.id} shows {found.name} in version {found.version}{rows}, and holds it; only this table was put "
        f"back. `sluice release resume {found.name}` lifts the hold."
    )


@release.command("resume", short_help="Lift the hold of a rollback or a restored table.")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@in_project
def resume_all(workplace: Workplace, tables: tuple[str, ...]) -> None:
    """Lift the hold of a rollback or of restored tables, of some tables or all: the next run goes on with them."""
    from flows.steering import resume

    made = resume(workplace, tables)
    left = f"{len(made.held)} tables are still held" if made.held else "nothing is held any more"
    click.echo(f"Release {made.id}: {left}; `sluice run` builds the tables again.")


def _print(workplace: Workplace, query: str, as_json: bool, number: int | None = None) -> None:
    from flows.reading import open_lake
    from flows.tabular import print_query
    from lake.releases import find_release

    with open_lake(workplace) as lake:
        if number is not None:
            find_release(lake.session, lake.store, number)  # says so when there is none
        print_query(lake.session, query, "json" if as_json else "table")
