"""The edge to Delta: reading pinned versions, staging Parquet files, and committing them.

A commit adds files that DuckDB has already written into the table's folder. What is staged and never committed is
invisible to every reader and swept by vacuum, so candidates cost one write, and a commit is one small log entry.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from lake.engine import columns_of
from lake.errors import CommitConflict, TableError
from lake.objects import is_object_uri, patient, store_error
from lake.table_commits import (
    HOOKS,
    OUR_TABLES,
    additions,
    commit_marks,
    own_names,
    removals,
    without_prefix,
)
from lake.table_log import log_entries
from lake.table_versions import Commit, DataFile, StagedFiles, Store, TableVersion

EVOLVE_ATTEMPTS = 20  # each one that fails means that another has created the table, or changed its columns
APPEND_RETRIES = 50  # concurrent appends never contradict each other: each retry only takes the next version number
TRY_AGAIN = "Run it again; nothing was lost or written twice."
EVOLVED = "columns were added"  # the table's description says so: readers then look for columns by name, file by file


def read_version(store: Store, name: str, version: int | None = None) -> TableVersion | None:
    """Gives one version of a table (None: the newest), or None when there is no such table.

    Raises TableError when the table exists and that version does not, or when it uses features we do not read directly.
    """
    known = store.opened.version(name, version)
    if known is not None:
        return known
    table = _open(store, name, version)
    return None if table is None else _describe(store, name, table)


def expect_version(store: Store, name: str, version: int | None) -> TableVersion:
    """Gives a version that must be there, such as a released one; raises TableError when it is not."""
    found = read_version(store, name, version)
    if found is None:
        raise TableError("table-missing", f"Table {name} has no version {version}.", cure="Was the lake moved?")
    return found


def commit_files(
    store: Store,
    name: str,
    staged: StagedFiles | None,
    *,
    expected_version: int | None,
    replace: Literal["nothing", "everything"] | Sequence[DataFile] = "nothing",
    metadata: Mapping[str, str] | None = None,
    transaction: str | None = None,
    transaction_version: int = 1,
) -> int:
    """Commits staged files in one log entry and gives the new version.

    `expected_version` is the version the caller read (None: the table must not exist yet); anything newer raises
    CommitConflict and nothing is committed. `transaction` marks the commit so that it cannot be made twice. Everything
    may be replaced by rows of other columns, in that same entry.
    """
    if expected_version is None:
        _create(store, name, staged)
        expected_version = 0
    table = _open(store, name, expected_version)
    if table is None:
        raise TableError("table-missing", f"Table {name} has no version {expected_version}.", cure="Was it removed?")
    if staged is not None and replace == "everything":
        if tuple(table.metadata().partition_columns) != staged.partition:
            return _repartition(store, staged, expected_version, metadata or {})
        marks = commit_marks(metadata or {}, transaction, transaction_version, retries=0)
        return _write(table, additions(staged, table), marks, Schema.from_arrow(staged.schema))
    everything = replace == "everything"
    replaced = _describe(store, name, table).files if everything else () if isinstance(replace, str) else replace
    table = _evolve(table, staged)
    actions: list[AddAction | RemoveAction] = [*removals(replaced, table), *additions(staged, table)]
    return _write(table, actions, commit_marks(metadata or {}, transaction, transaction_version, retries=0))


def append_files(store: Store, name: str, staged: StagedFiles, metadata: Mapping[str, str] | None = None) -> None:
    """Appends staged files whatever others do to the table meanwhile, creating it at first."""
    for attempt in range(EVOLVE_ATTEMPTS):
        table = _open(store, name)
        try:
            table = _evolve(_create(store, name, staged) if table is None else table, staged)
            _write(table, additions(staged, table), commit_marks(metadata or {}, None, 1, retries=APPEND_RETRIES))
        except CommitConflict:  # somebody else created it in this moment, or gave it a column: append to theirs
            if attempt + 1 == EVOLVE_ATTEMPTS:
                raise
        else:
            return


def join_files(store: Store, found: TableVersion, staged: StagedFiles, joined: Sequence[DataFile]) -> None:
    """Puts staged files in the place of some that hold the same rows at a version, whatever was appended since.

    Raises CommitConflict when one of those is gone: somebody else has joined them. (Delta's own compaction does not
    look, and of two at once each leaves its copy of the rows.)
    """
    table = _open(store, found.name, found.version)
    assert table is not None
    actions: list[AddAction | RemoveAction] = [*removals(joined, table), *additions(staged, table)]
    _write(table, actions, commit_marks({}, None, 1, retries=APPEND_RETRIES))


def restore_version(store: Store, name: str, version: int) -> int:
    """Makes an older version the newest one, in one commit, and gives its new number."""
    with _translated(name, store.uri):
        table = _expect_table(store, name)
        table.restore(version, commit_properties=CommitProperties(max_commit_retries=0))
        return table.version()


def set_properties(store: Store, name: str, version: int, properties: Mapping[str, str]) -> int:
    """Gives a version of a table other properties of ours, in one commit; raises CommitConflict when it has moved."""
    table = _open(store, name, version)
    assert table is not None
    with _translated(name, store.uri):
        once = CommitProperties(max_commit_retries=0)
        table.alter.set_table_properties(own_names(properties), raise_if_not_exists=False, commit_properties=once)
        return table.version()


def read_commits(store: Store, name: str, after: int) -> list[Commit]:
    """Gives the commits of a table that are newer than a version, oldest first, with the metadata we wrote."""
    table = _open(store, name)
    if table is None or table.version() <= after:
        return []
    with _translated(name, store.uri):
        return list(log_entries(store, name, range(after + 1, table.version() + 1)))


def transaction_of(store: Store, name: str, transaction: str, version: int | None = None) -> int | None:
    """Gives the number under which a transaction was committed at a version of the table, None when it was not."""
    table = _open(store, name, version)
    return None if table is None else table.transaction_version(transaction)


def vacuum_table(store: Store, name: str, keep_versions: Collection[int], keep_hours: int) -> int:
    """Deletes files that none of the kept versions names and that are older than `keep_hours`; gives how many."""
    with _translated(name, store.uri):
        return len(
            _expect_table(store, name).vacuum(
                retention_hours=keep_hours,
                dry_run=False,
                enforce_retention_duration=False,
                full=True,
                keep_versions=sorted(keep_versions),
            )
        )


def _open(store: Store, name: str, version: int | None = None) -> DeltaTable | None:
    """Gives a table at a version; at its newest, of what was read before only what came since is read."""
    known: DeltaTable | None = store.opened.tables.pop(name, None)  # kept again only when nothing went wrong
    with _translated(name, store.uri):
        try:
            if known is not None and version is None:
                known.update_incremental()
            elif known is None or known.version() != version:
                known = DeltaTable(store.table_uri(name), version=version, storage_options=patient(store.options))
        except TableNotFoundError:
            return None
    store.opened.tables[name] = known
    return known


def _expect_table(store: Store, name: str) -> DeltaTable:
    table = _open(store, name)
    if table is None:
        raise TableError("table-missing", f"Table {name} does not exist in {store.uri}.", cure="Was the lake moved?")
    return table


def _describe(store: Store, name: str, table: DeltaTable) -> TableVersion:
    known = store.opened.version(name, table.version())
    return known or store.opened.keep(_read_description(store, name, table))


def _read_description(store: Store, name: str, table: DeltaTable) -> TableVersion:
    features = set(table.protocol().reader_features or ()) - {"timestampNtz"}
    if features:
        raise TableError(
            "table-foreign",
            f"Table {name} uses Delta reader features {sorted(features)} that direct reading does not support.",
            cure="Read it through delta_scan, or let only Sluice write it.",
        )
    uri = store.table_uri(name)
    actions = pa.table(table.get_add_actions()).to_pylist()
    partition = tuple(table.metadata().partition_columns)
    files = tuple(
        DataFile(
            f"{uri}/{unquote(action['path'])}",
            action["num_records"],
            action["size_bytes"],
            {key: None if value is None else str(value) for key, value in (action.get("partition") or {}).items()},
        )
        for action in actions
    )
    schema = pa.schema(table.schema().to_arrow())
    evolved = EVOLVED in (table.metadata().description or "")
    ours = without_prefix(table.metadata().configuration)
    return TableVersion(name, uri, table.version(), files, columns_of(schema), partition, evolved, ours)


def _create(
    store: Store,
    name: str,
    staged: StagedFiles | None,
    mode: Literal["error", "overwrite"] = "error",
) -> DeltaTable:
    if staged is None:
        raise TableError("table-missing", f"Table {name} does not exist and nothing is staged for it.")
    with _translated(name, store.uri):
        table = DeltaTable.create(
            store.table_uri(name),
            Schema.from_arrow(staged.schema),
            mode=mode,
            partition_by=list(staged.partition) or None,
            configuration={**OUR_TABLES, **own_names(staged.properties)},
            raise_if_key_not_exists=False,
            storage_options=patient(store.options),
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    store.opened.tables[name] = table
    return table


def _repartition(store: Store, staged: StagedFiles, version: int, metadata: Mapping[str, str]) -> int:
    """Gives a table another partitioning, then its rows: two commits, of which only the second is ever published.

    Delta's library can do no better; so nobody does it to raw, whose head is the truth.
    """
    table = _create(store, staged.name, staged, mode="overwrite")
    if table.version() != version + 1:
        raise CommitConflict(
            "commit-conflict",
            f"Another writer committed to {staged.name} while its partitioning was replaced.",
            cure=TRY_AGAIN,
        )
    return _write(table, additions(staged, table), commit_marks(metadata, None, 1, retries=0))


def _evolve(table: DeltaTable, staged: StagedFiles | None) -> DeltaTable:
    """Adds staged columns that the table lacks, and says when they lack some; one of another type is a TableError."""
    if staged is None:
        return table
    known = dict(columns_of(pa.schema(table.schema().to_arrow())))
    found = columns_of(staged.schema)  # not DuckDB's own words for a struct, which quote only what they must
    changed = [(name, known[name], kind) for name, kind in found if known.get(name, kind) != kind]
    if changed:
        name, old, new = changed[0]
        raise TableError(
            "column-type-changed",
            f"Column {name!r} of {staged.name} is {old} in the lake and {new} in what was staged.",
            cure="Rebuild the table whole, or publish it under a new name.",
        )
    once = CommitProperties(max_commit_retries=0)
    added = [field.with_nullable(True) for field in staged.schema if field.name not in known]
    is_lacking = bool(added) or len(found) < len(known)
    with _translated(staged.name, table.table_uri):
        if is_lacking and table.metadata().description != EVOLVED:  # first: readers must know before a column can lack
            table.alter.set_table_description(EVOLVED, commit_properties=once)
        if added:
            table.alter.add_columns(list(Schema.from_arrow(pa.schema(added)).fields), commit_properties=once)
    return table


def _write(
    table: DeltaTable,
    actions: Sequence[AddAction | RemoveAction],
    properties: CommitProperties,
    schema: Schema | None = None,
) -> int:
    """Writes one log entry; with a schema it also removes every file there is and gives the table that schema.

    Gives the version after the one it was written upon: where none is to come between, that is the new one. The table,
    read on, may have more by then that others wrote.
    """
    written = table.version() + 1
    with _translated(table.table_uri, table.table_uri):
        table.create_write_transaction(
            list(actions),
            mode="append" if schema is None else "overwrite",
            schema=schema or table.schema(),
            partition_by=list(table.metadata().partition_columns) or None,
            commit_properties=properties,
            post_commithook_properties=HOOKS,
        )
        table.update_incremental()
    return written


@contextmanager
def _translated(name: str, place: str) -> Iterator[None]:
    """Turns Delta's exceptions into ours, in one place."""
    try:
        yield
    except CommitFailedError as error:
        message = f"Another writer committed to {name} first: {error}."
        raise CommitConflict("commit-conflict", message, cure=TRY_AGAIN) from error
    except TableNotFoundError:
        raise
    except OSError as error:
        if not is_object_uri(place):
            raise
        raise store_error(place, error) from error
    except DeltaError as error:
        if "already exists" in str(error):
            message = f"Another writer created {name} first: {error}."
            raise CommitConflict("commit-conflict", message, cure=TRY_AGAIN) from error
        raise TableError("table-broken", f"Delta could not serve {name}: {error}.", cure="See the message.") from error
