"""Releases: one commit names, for every table, the version its readers see.

`_releases` is only appended to, through the handle that was read: whoever publishes on an older state is refused,
looks again, and carries its tables over to what is newest. A reader asks for the newest release once and sees one
whole state.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from lake.engine import Session, columns_of, scan_sql
from lake.errors import CommitConflict, TableError
from lake.run import Run
from lake.staged_files import stage_files
from lake.table_versions import Store, TableVersion
from lake.tables import commit_files, read_version

RELEASES = "_releases"
FEW_FILES = 32  # beyond this many small files the next publication rewrites the table in one
PUBLISH_ATTEMPTS = 200  # each one that fails means that somebody else succeeded

SCHEMA = pa.schema(
    [
        ("release_id", pa.int64()),
        ("published_at", pa.timestamp("us", "UTC")),
        ("run_id", pa.string()),
        ("actor", pa.string()),
        ("reason", pa.string()),
        ("table_name", pa.string()),
        ("kind", pa.string()),
        ("version", pa.int64()),
        ("row_count", pa.int64()),
        ("sql", pa.string()),
        ("columns", pa.string()),
        ("inputs", pa.string()),
        ("code_digest", pa.string()),
        ("partition", pa.string()),
        ("key", pa.string()),
        ("gates_passed", pa.int64()),
        ("held", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class ReleasedTable:
    """One table of a release: for a table the Delta version readers see, for a view its SQL.

    `inputs` are the versions it was made from, `columns` its (name, DuckDB type) pairs, `key` the columns of its grain
    where they are known.
    """

    name: str
    kind: Literal["table", "view"]
    version: int | None
    row_count: int | None
    sql: str | None
    columns: tuple[tuple[str, str], ...]
    inputs: Mapping[str, int]
    code_digest: str
    partition: str | None = None
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Release:
    """One state of the lake, whole. `held` tables stay as they are until a rollback's hold is lifted."""

    id: int
    published_at: datetime
    run_id: str
    actor: str
    reason: str
    tables: Mapping[str, ReleasedTable]
    held: frozenset[str]
    gates_passed: int


@dataclass(frozen=True)
class Publication:
    """What a run wants to publish: its tables, what it was built on, and how many gates passed for it."""

    tables: Sequence[ReleasedTable]
    base: Release | None
    gates_passed: int
    reason: str = "published"
    held: frozenset[str] | None = field(default=None)


def current_release(session: Session, store: Store) -> Release | None:
    """Gives the newest release, None when nothing was ever published."""
    found = read_version(store, RELEASES)
    return None if found is None else _newest(session, found)


def find_release(session: Session, store: Store, release_id: int) -> Release:
    """Gives one release by its number; raises TableError when there is none."""
    found = [release for release in list_releases(session, store) if release.id == release_id]
    if not found:
        raise TableError("release-unknown", f"There is no release {release_id}.", cure="See `sluice release list`.")
    return found[0]


def list_releases(session: Session, store: Store) -> list[Release]:
    """Gives all releases, oldest first."""
    found = read_version(store, RELEASES)
    if found is None:
        return []
    return _releases(session.arrow(f"from ({_scan(found)}) order by release_id, table_name"))


def publish(session: Session, store: Store, publication: Publication, run: Run) -> Release:
    """Publishes tables in one commit and gives the new release; every other table stays as newest.

    Raises CommitConflict when another run has published one of these tables, or something they were made from, since
    `publication.base`: then they must be built and gated again. So too when a person has held one of them meanwhile,
    or, for a publication that itself holds or frees tables, others.
    """
    for _ in range(PUBLISH_ATTEMPTS):
        found = read_version(store, RELEASES)
        newest = None if found is None else _newest(session, found)
        _check_still_true(publication, newest)
        release = _next_release(publication, newest, run)
        try:
            _append(session, store, release, found)
        except CommitConflict:
            continue
        names = sorted(table.name for table in publication.tables)
        run.note("release-published", f"release {release.id}", len(names), tables=names, reason=publication.reason)
        return release
    raise CommitConflict(
        "publish-conflict", f"{PUBLISH_ATTEMPTS} other publications came first.", cure="Run it again; nothing is lost."
    )


def rollback(session: Session, store: Store, release_id: int, run: Run) -> Release:
    """Publishes an older release again, whole, and holds its tables so that the next run does not undo it."""
    target = find_release(session, store, release_id)
    newest = current_release(session, store)
    tables = tuple(target.tables.values())
    held = frozenset(target.tables)
    reason = f"rolled back to {release_id}"
    return publish(session, store, Publication(tables, newest, target.gates_passed, reason, held), run)


def resume(session: Session, store: Store, run: Run, names: Sequence[str] = ()) -> Release:
    """Lifts the hold of a rollback or a restored table, of some tables or (none named) of all: the next run goes on.

    Raises TableError when nothing is held, or one that is named is not.
    """
    newest = current_release(session, store)
    if newest is None or not newest.held or not newest.held.issuperset(names):
        free = [name for name in names if newest is None or name not in newest.held]
        message = f"{free[0]} is not held." if free else "No table is held by a rollback."
        raise TableError("nothing-held", message, cure="See `sluice release list`.")
    kept = newest.held.difference(names) if names else frozenset()
    reason = f"resumed {', '.join(names)}" if names else "resumed"
    return publish(session, store, Publication((), newest, newest.gates_passed, reason, kept), run)


def releases_sql(store: Store) -> str:
    """Gives a select over all rows of all releases."""
    found = read_version(store, RELEASES)
    return _scan(found) if found is not None else scan_sql([], _columns())


def kept_versions(releases: Sequence[Release]) -> dict[str, set[int]]:
    """Gives, by table, the versions that the given releases name or were made from."""
    kept: dict[str, set[int]] = {}
    for release in releases:
        for table in release.tables.values():
            if table.version is not None:
                kept.setdefault(table.name, set()).add(table.version)
            for name, version in table.inputs.items():
                kept.setdefault(name, set()).add(version)
    return kept


def _check_still_true(publication: Publication, newest: Release | None) -> None:
    """Raises CommitConflict when what the publication was built on has moved, or what a person holds."""
    _check_holds(publication, newest)
    base = {} if publication.base is None else publication.base.tables
    present = {} if newest is None else newest.tables
    ours = {table.name for table in publication.tables}
    for table in publication.tables:
        for name in {table.name, *(set(table.inputs) - ours)}:
            before, now = base.get(name), present.get(name)
            moved = now is not None and (before is None or before.version != now.version)
            if moved and now is not None and now.version != _as_read(table, name):
                raise CommitConflict(
                    "inputs-moved",
                    f"{name} was published by another run while {table.name} was being built.",
                    cure="Run it again; nothing is lost.",
                )


def _check_holds(publication: Publication, newest: Release | None) -> None:
    held = frozenset() if newest is None else newest.held
    if publication.held is not None:
        if held != (frozenset() if publication.base is None else publication.base.held):
            raise CommitConflict(
                "holds-moved",
                f"Somebody else held or freed tables just now; held are now: {', '.join(sorted(held)) or 'none'}.",
                cure="Look at `sluice release list`, then ask again.",
            )
        return
    for table in publication.tables:
        if newest is not None and table.name in held and table != newest.tables.get(table.name):
            raise CommitConflict(
                "inputs-moved",
                f"{table.name} was held by release {newest.id} ({newest.reason}) while it was being built.",
                cure="Run it again; nothing is lost.",
            )


def _as_read(table: ReleasedTable, name: str) -> int | None:
    """Gives the version of an input that a table was made from; for the table itself the version it would get."""
    return table.version if name == table.name else table.inputs.get(name)


def _next_release(publication: Publication, newest: Release | None, run: Run) -> Release:
    tables = dict(newest.tables) if newest is not None else {}
    if publication.reason.startswith("rolled back"):
        tables = {}
    tables |= {table.name: table for table in publication.tables}
    held = publication.held if publication.held is not None else newest.held if newest is not None else frozenset()
    number = 1 if newest is None else newest.id + 1
    return Release(number, run.clock(), run.id, run.actor, publication.reason, tables, held, publication.gates_passed)


def _append(session: Session, store: Store, release: Release, found: TableVersion | None) -> None:
    session.register(
        "release_rows", pa.Table.from_pylist([_row(release, table) for table in release.tables.values()], SCHEMA)
    )
    many = found is not None and len(found.files) >= FEW_FILES
    older = f"from ({_scan(found)}) union all " if many and found is not None else ""
    staged = stage_files(session, store, RELEASES, f"{older}from release_rows")
    commit_files(
        store,
        RELEASES,
        staged,
        expected_version=None if found is None else found.version,
        replace="everything" if many else "nothing",
        metadata={"release": str(release.id), "run": release.run_id},
    )


def _newest(session: Session, found: TableVersion) -> Release | None:
    scan = _scan(found)
    table = session.arrow(
        f"from ({scan}) where release_id = (select max(release_id) from ({scan})) order by table_name"
    )
    releases = _releases(table)
    return releases[0] if releases else None


def _scan(found: TableVersion) -> str:
    return scan_sql([file.path for file in found.files], found.columns, evolved=found.evolved)


def _columns() -> tuple[tuple[str, str], ...]:
    return columns_of(SCHEMA)


def _row(release: Release, table: ReleasedTable) -> dict[str, Any]:
    return {
        "release_id": release.id,
        "published_at": release.published_at,
        "run_id": release.run_id,
        "actor": release.actor,
        "reason": release.reason,
        "table_name": table.name,
        "kind": table.kind,
        "version": table.version,
        "row_count": table.row_count,
        "sql": table.sql,
        "columns": json.dumps(table.columns),
        "inputs": json.dumps(dict(table.inputs)),
        "code_digest": table.code_digest,
        "partition": table.partition,
        "key": json.dumps(table.key),
        "gates_passed": release.gates_passed,
        "held": table.name in release.held,
    }


def _releases(rows: pa.Table) -> list[Release]:
    found: dict[int, Release] = {}
    for row in rows.to_pylist():
        release = found.setdefault(row["release_id"], _release(row))
        table = _released_table(row)
        held = release.held | {table.name} if row["held"] else release.held
        found[release.id] = replace(release, tables={**release.tables, table.name: table}, held=held)
    return list(found.values())


def _release(row: Mapping[str, Any]) -> Release:
    return Release(
        id=row["release_id"],
        published_at=row["published_at"],
        run_id=row["run_id"],
        actor=row["actor"],
        reason=row["reason"],
        tables={},
        held=frozenset(),
        gates_passed=row["gates_passed"],
    )


def _released_table(row: Mapping[str, Any]) -> ReleasedTable:
    return ReleasedTable(
        name=row["table_name"],
        kind=row["kind"],
        version=row["version"],
        row_count=row["row_count"],
        sql=row["sql"],
        columns=tuple((name, sql_type) for name, sql_type in json.loads(row["columns"])),
        inputs=json.loads(row["inputs"]),
        code_digest=row["code_digest"],
        partition=row["partition"],
        key=tuple(json.loads(row["key"])),
    )
