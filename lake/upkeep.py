"""Upkeep: small files joined, and files that nothing names any more deleted. Ledger, archive and kept releases stay."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from lake.archive_places import ARCHIVE, open_archive
from lake.engine import Session, scan_sql
from lake.errors import CommitConflict
from lake.ledger import BATCHES, EVENTS
from lake.quarantine import QUARANTINE
from lake.releases import RELEASES, kept_versions, list_releases
from lake.run import Run
from lake.staged_files import stage_files
from lake.table_versions import DataFile, Store, TableVersion
from lake.tables import join_files, read_version, vacuum_table

MANY_SMALL_FILES = 64
SMALL_FILE_BYTES = 16 << 20
APPENDED_TABLES = (BATCHES, EVENTS, QUARANTINE)


@dataclass(frozen=True)
class Upkeep:
    """What upkeep did to one table: whether its files were joined, how many were deleted, how many it has now."""

    name: str
    is_compacted: bool
    deleted_files: int
    file_count: int


def tidy(session: Session, store: Store, run: Run, *, keep_releases: int, keep_hours: int) -> list[Upkeep]:
    """Joins the small files of tables that are only appended to, and vacuums every released table.

    Keeps every version that one of the newest `keep_releases` releases names or was made from, and every file younger
    than `keep_hours`, so that a run in progress loses nothing. Which these are is asked anew for each table: somebody
    may roll back meanwhile. What a killed process left of an archived file, not whole, goes by the same age.
    """

    def kept() -> dict[str, set[int]]:
        return kept_versions(list_releases(session, store)[-keep_releases:])

    done = [
        _tidy_table(session, store, found, kept().get(name, set()), keep_hours)
        for name in sorted({*kept(), *APPENDED_TABLES, RELEASES})
        if (found := read_version(store, name)) is not None
    ]
    torn = open_archive(store).forget_torn(run.started_at - timedelta(hours=keep_hours))
    if torn:
        run.note("archive-tidied", ARCHIVE, torn)
    for upkeep in done:
        if upkeep.is_compacted or upkeep.deleted_files:
            run.note("table-tidied", upkeep.name, upkeep.deleted_files, is_compacted=upkeep.is_compacted)
    return done


def _tidy_table(
    session: Session, store: Store, found: TableVersion, versions: Collection[int], keep_hours: int
) -> Upkeep:
    small = [file for file in found.files if file.byte_count < SMALL_FILE_BYTES]
    is_many = found.name in APPENDED_TABLES and len(small) >= MANY_SMALL_FILES
    is_compacted = is_many and join_small_files(session, store, found, small)
    deleted = vacuum_table(store, found.name, versions, keep_hours)
    after = read_version(store, found.name)
    assert after is not None
    return Upkeep(found.name, is_compacted, deleted, len(after.files))


def join_small_files(session: Session, store: Store, found: TableVersion, small: Sequence[DataFile]) -> bool:
    """Writes the rows of a table's small files into one; False when somebody else has done so meanwhile."""
    rows = scan_sql([file.path for file in small], found.columns, evolved=found.evolved)
    try:
        join_files(store, found, stage_files(session, store, found.name, rows), small)
    except CommitConflict:
        return False
    return True
