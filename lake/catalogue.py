"""`lake.duckdb`: a file that opens in any DuckDB client and shows the released tables and the newest `ops` views.

It holds views over the released versions' own Parquet files and no data (on an object store: it needs httpfs and a
secret of its own, since it keeps none). It is written beside the old one and renamed
into its place, so that a reader finds the old state or the new one, whole. Restricted columns are masked in it.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lake.contract import Contract
from lake.engine import SCHEMAS, Session, literal, quote, scan_sql, write_database
from lake.landing.promises import promise_in
from lake.ledger import batches_sql
from lake.operations import MASK, operator_views
from lake.releases import Release, ReleasedTable, current_release
from lake.table_versions import Store
from lake.tables import expect_version, read_version

HIDDEN_SCHEMAS = {"landing"}
CATALOGUE_ATTEMPTS = 10  # each further one means that another run has written something; that run writes it, too


@dataclass(frozen=True)
class Restricted:
    """What must not be shown: restricted columns by source, `received` under the names received.

    `columns` has both names: before a contract declared it, a column may have come by drift under the source's name.
    """

    columns: Mapping[str, frozenset[str]]
    received: Mapping[str, tuple[str, ...]]


def restricted_of(contracts: Sequence[Contract]) -> Restricted:
    """Gives what the contracts declare as restricted."""
    secret = {
        contract.source: [column for column in contract.columns if column.privacy == "restricted"]
        for contract in contracts
    }
    return Restricted(
        {
            source: frozenset(name for column in columns for name in (column.name, column.source_name))
            for source, columns in secret.items()
        },
        {source: tuple(column.source_name for column in columns) for source, columns in secret.items()},
    )


def restricted_in(session: Session, store: Store, contracts: Sequence[Contract]) -> Restricted:
    """Gives what the contracts declare as restricted, and what those did that are gone while their tables are there."""
    declared = restricted_of(contracts)
    landed = session.rows(f"select distinct source from ({batches_sql(store)})")
    columns, received = dict(declared.columns), dict(declared.received)
    for source in sorted({source for (source,) in landed} - columns.keys()):
        found = read_version(store, f"raw.{source}")
        promise = None if found is None else promise_in(found)
        if promise is not None and promise.restricted:
            columns[source] = frozenset(promise.restricted) | frozenset(promise.restricted.values())
            received[source] = tuple(promise.restricted.values())
    return Restricted(columns, received)


def release_views(store: Store, release: Release, restricted: Restricted) -> dict[str, str]:
    """Gives the views of a release by table name, each after those it reads."""
    tables = {name: table for name, table in release.tables.items() if table.kind == "table"}
    views = {name: _table_sql(store, table, restricted) for name, table in sorted(tables.items())}
    views |= {name: table.sql or "" for name, table in _in_order(release)}
    return views


def show_release(session: Session, store: Store, release: Release, restricted: Restricted) -> None:
    """Makes the tables of a release readable in the session under their names."""
    for name, sql in release_views(store, release, restricted).items():
        session.execute(f"create or replace view {_quoted(name)} as {sql}")


def write_catalogue(session: Session, store: Store, path: Path, contracts: Sequence[Contract]) -> None:
    """Writes `lake.duckdb` anew for the newest release and renames it into place.

    Of two runs that end at once, the one that renames last has looked again since the other published.
    """
    restricted = restricted_in(session, store, contracts)
    path.parent.mkdir(parents=True, exist_ok=True)
    views = _newest_views(session, store, restricted)
    for _ in range(CATALOGUE_ATTEMPTS):
        _write_views(path, views, store)
        written, views = views, _newest_views(session, store, restricted)
        if views == written:
            return


def _newest_views(session: Session, store: Store, restricted: Restricted) -> dict[str, str]:
    release = current_release(session, store)
    views = {} if release is None else release_views(store, release, restricted)
    return operator_views(store, restricted.received) | views


def _write_views(path: Path, views: Mapping[str, str], store: Store) -> None:
    statements = [f"create schema {schema}" for schema in SCHEMAS if schema not in HIDDEN_SCHEMAS]
    statements += [f"create view {_quoted(name)} as {sql}" for name, sql in views.items()]
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_database(part, statements, store)
        part.replace(path)
    finally:
        for left in path.parent.glob(f"{part.name}*"):  # on a full disk this is the room that is needed
            left.unlink()


def _table_sql(store: Store, table: ReleasedTable, restricted: Restricted) -> str:
    if table.version is None:  # a source that has landed nothing yet
        return scan_sql([], table.columns)
    found = expect_version(store, table.name, table.version)
    scan = scan_sql([file.path for file in found.files], table.columns, evolved=found.evolved)
    schema, name = table.name.split(".", 1)
    secret = {each.casefold() for each in restricted.columns.get(name, ())} if schema == "raw" else set()
    masked = [
        f"case when {quote(column)} is not null then {literal(MASK)} end as {quote(column)}"
        for column, _ in table.columns
        if column.casefold() in secret
    ]
    return f"select * replace ({', '.join(masked)}) from ({scan})" if masked else scan


def _in_order(release: Release) -> list[tuple[str, ReleasedTable]]:
    """Gives the views of a release such that each comes after those it reads."""
    views = {name: table for name, table in release.tables.items() if table.kind == "view"}
    done: list[tuple[str, ReleasedTable]] = []
    while views:
        ready = [name for name, table in views.items() if not _reads_any(table, views.keys() - {name})]
        if not ready:
            ready = list(views)
        done += [(name, views.pop(name)) for name in sorted(ready)]
    return done


def _reads_any(table: ReleasedTable, names: frozenset[str] | set[str]) -> bool:
    return any(name in (table.sql or "") for name in names)


def _quoted(name: str) -> str:
    return ".".join(quote(part) for part in name.split(".", 1))
