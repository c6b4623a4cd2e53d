"""What a build reads: raw and reference tables at their newest version, standing in the session under their names."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lake.engine import Session, literal, quote, scan_sql
from lake.errors import CommitConflict, ModelError
from lake.staged_files import stage_files
from lake.table_versions import DataFile, Store, TableVersion
from lake.tables import commit_files, read_commits, read_version
from sql.models import Model, unknown_table

Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Standing:
    """A physical table as this run sees it.

    `version` is None while it is not committed: a raw table nothing has landed in, or a candidate of this run, which
    is `pending`.
    """

    name: str
    columns: Columns
    files: tuple[DataFile, ...]
    version: int | None
    evolved: bool = False
    pending: bool = False


def prepare_inputs(
    session: Session,
    store: Store,
    order: Sequence[Model],
    *,
    raw_columns: Mapping[str, Columns],
    reference_dir: Path,
    run_id: str,
    read_beside: Collection[str] = (),
    pinned: Mapping[str, int] | None = None,
) -> dict[str, Standing]:
    """Puts every raw and reference table the models read into the session and gives them by name.

    Takes the models in build order and the columns of every raw table by its contract, which an absent table shows.
    `read_beside` are those that readers and checks are to have although no model reads them.
    A raw table's newest version is the truth, but for those `pinned` to an older one, which a person holds there; a
    reference CSV is written to the lake when it has changed.
    """
    made = {model.name for model in order}
    needed = sorted({name for model in order for name in model.inputs}.union(read_beside) - made)
    tables = {}
    for name in needed:
        if name.startswith("reference."):
            _write_reference(session, store, name, reference_dir, run_id)
        found = read_version(store, name, (pinned or {}).get(name))
        tables[name] = _standing(name, found, raw_columns, order)
        show_table(session, tables[name])
    return tables


def show_table(session: Session, table: Standing, condition: str = "true") -> None:
    """Makes a table, or its rows that meet a condition, readable in the session under its name."""
    scan = scan_sql([file.path for file in table.files], table.columns, evolved=table.evolved)
    session.execute(f"create or replace view {table.name} as select * from ({scan}) where {condition}")


def reference_tables(reference_dir: Path) -> frozenset[str]:
    """Gives the names of the tables that the project's reference CSV files are."""
    return frozenset(f"reference.{path.stem.lower()}" for path in reference_dir.glob("*.csv"))


def _standing(
    name: str, found: TableVersion | None, raw_columns: Mapping[str, Columns], order: Sequence[Model]
) -> Standing:
    promised = raw_columns.get(name)
    if found is None and promised is None:
        reader = next(model for model in order if name in model.inputs)
        raise unknown_table(reader, name, raw_columns)
    if found is None:
        return Standing(name, promised or (), (), None)
    known = {column for column, _ in found.columns}
    missing = tuple((column, kind) for column, kind in promised or () if column not in known)
    return Standing(name, found.columns + missing, found.files, found.version, found.evolved or bool(missing))


def _write_reference(session: Session, store: Store, name: str, folder: Path, run_id: str) -> None:
    """Commits a reference CSV as a table, unless its newest version holds the same bytes."""
    path = folder / f"{name.partition('.')[2]}.csv"
    if not path.is_file():
        raise ModelError("reference-missing", f"{name} has no file.", cure=f"Put {path.name} into {folder}.", path=path)
    digest = sha256(path.read_bytes()).hexdigest()
    query = f"select * from read_csv({literal(str(path))}, header = true, sample_size = -1)"
    metadata = {"digest": digest, "run_id": run_id}
    staged = None
    while (found := read_version(store, name)) is None or _digest_of(store, found) != digest:
        staged = staged or stage_files(session, store, name, query)
        expected = None if found is None else found.version
        with suppress(CommitConflict):  # another run was faster, and has written the same bytes as a rule
            commit_files(store, name, staged, expected_version=expected, replace="everything", metadata=metadata)
            return


def _digest_of(store: Store, found: TableVersion) -> str | None:
    commits = read_commits(store, found.name, found.version - 1)
    return commits[-1].metadata.get("digest") if commits else None


def columns_in(session: Session, name: str) -> Columns:
    """Gives the columns of a table or view of the session as (name, DuckDB type)."""
    return tuple((column, kind) for column, kind, *_ in session.rows(f"describe {name}"))


def scan_files(table: Standing, files: Sequence[DataFile]) -> str:
    """Gives a select over some files of a table."""
    return scan_sql([file.path for file in files], table.columns, evolved=table.evolved)


def quoted(columns: Columns) -> str:
    """Gives column names as a list in SQL."""
    return ", ".join(quote(column) for column, _ in columns)
