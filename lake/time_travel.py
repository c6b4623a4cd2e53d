"""Time travel: the release that was current at an instant, one table put back to it, and what vacuum has left of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from zoneinfo import ZoneInfo

from lake.catalogue import Restricted, release_views
from lake.engine import Session, literal, quote
from lake.errors import SettingsError, TableError
from lake.releases import Publication, Release, ReleasedTable, current_release, list_releases, publish
from lake.run import Run
from lake.table_versions import Store
from lake.tables import expect_version

GONE = ("No files found", "No such file", "does not exist", "NoSuchKey", "404")  # DuckDB's words for a missing file


def release_as_of(session: Session, store: Store, said: str, zone: str) -> Release:
    """Gives the release of a number, or the one that readers saw at an instant.

    An instant is ISO 8601; one without offset is in `zone`, and a date is its first moment. Raises SettingsError for
    what is neither, TableError when there was no release yet.
    """
    releases = list_releases(session, store)
    if said.strip().isdigit():
        found = [release for release in releases if release.id == int(said)]
        if not found:
            raise TableError("release-unknown", f"There is no release {said}.", cure="See `sluice release list`.")
        return found[0]
    instant = _instant(said, zone)
    before = [release for release in releases if release.published_at <= instant]
    if not before:
        first = f"the first is of {releases[0].published_at.isoformat()}" if releases else "there is none yet"
        raise TableError(
            "release-unknown",
            f"No release was current at {instant.isoformat()}: {first}.",
            cure="Name a later instant.",
        )
    return before[-1]


def restore_table(
    session: Session, store: Store, name: str, target: Release, run: Run
) -> tuple[Release, ReleasedTable]:
    """Publishes a release in which one table is as it was in another, and holds it; every other table stays as newest.

    Raw is only ever appended to: a raw table's head stays where it is, and goes on; the release, and with it what is
    built, keeps to the older version until the hold is lifted. Raises TableError when the release has no such table, or
    its files are gone.
    """
    newest = current_release(session, store)
    table = _table_of(target, name)
    expect_present(session, store, [table], target)
    held = frozenset({table.name}) | (newest.held if newest is not None else frozenset())
    gates = 0 if newest is None else newest.gates_passed
    reason = f"restored {table.name} as of {target.id}"
    return publish(session, store, Publication((table,), newest, gates, reason, held), run), table


def expect_present(session: Session, store: Store, tables: Sequence[ReleasedTable], release: Release) -> None:
    """Raises TableError when files of one of a release's tables are gone: nobody could read what would be published."""
    gone = [table.name for table in tables if _is_gone(session, store, table)]
    if gone:
        raise TableError("version-vacuumed", _gone_words(gone, release), cure=GONE_CURE)


def show_release_as_of(session: Session, store: Store, release: Release, restricted: Restricted) -> None:
    """Makes an older release readable in the session; who reads a table of it that vacuum has deleted is told so."""
    for name, sql in release_views(store, release, restricted).items():
        table = release.tables[name]
        text = _gone_sql(table, release) if _is_gone(session, store, table) else sql
        session.execute(f"create or replace view {'.'.join(quote(part) for part in name.split('.', 1))} as {text}")


GONE_CURE = "Restore what `SLUICE_KEEP_RELEASES` keeps; raw can be landed again from the archive."


def _gone_words(names: Sequence[str], release: Release) -> str:
    return f"{', '.join(names)} as of release {release.id} is gone: `sluice maintain` has deleted its files since"


def _gone_sql(table: ReleasedTable, release: Release) -> str:
    columns = ", ".join(f"cast(null as {kind}) as {quote(name)}" for name, kind in table.columns)
    words = f"{_gone_words([table.name], release)}. {GONE_CURE} [version-vacuumed]"
    return f"select {columns} where cast(error({literal(words)}) as boolean)"


def _is_gone(session: Session, store: Store, table: ReleasedTable) -> bool:
    """Whether a file of a released table is not there any more, by looking at the end of each."""
    if table.kind == "view" or table.version is None:
        return False
    files = expect_version(store, table.name, table.version).files
    if not files:
        return False
    paths = ", ".join(literal(file.path) for file in files)
    try:
        session.rows(f"select count(*) from parquet_file_metadata([{paths}])")
    except session.failure as error:
        if any(words in str(error) for words in GONE):
            return True
        raise TableError(
            "table-broken", f"{table.name} cannot be read: {str(error).splitlines()[0]}", cure="See the message."
        ) from error
    return False


def _table_of(target: Release, name: str) -> ReleasedTable:
    matching = [each for each in target.tables if each == name or each.partition(".")[2] == name]
    if len(matching) == 1:
        return replace(target.tables[matching[0]])
    near = get_close_matches(name, target.tables, n=1, cutoff=0.5)
    cure = f"Say which: {', '.join(sorted(matching))}." if matching else f"Did you mean {near[0]!r}?" if near else ""
    raise TableError(
        "table-not-released",
        f"Release {target.id} has {'several tables' if matching else 'no table'} {name!r}.",
        cure=cure or f"See `sluice release show {target.id}`.",
    )


def _instant(said: str, zone: str) -> datetime:
    try:
        found = datetime.fromisoformat(said.strip())
    except ValueError as error:
        raise SettingsError(
            "instant-unreadable",
            f"{said!r} is neither the number of a release nor an instant.",
            cure="Write e.g. 12, 2026-01-31, 2026-01-31T18:00 or 2026-01-31T18:00+05:30.",
        ) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=ZoneInfo(zone))
