"""What changed between two releases: tables that came and went, and within a table rows and keys."""

from dataclasses import dataclass

from lake.engine import Session, quote, scan_sql
from lake.releases import Release, ReleasedTable
from lake.table_versions import Store
from lake.tables import expect_version


@dataclass(frozen=True)
class TableDifference:
    """One table that is not the same in two releases.

    `change` is added, removed or changed. Row and key counts go from the older to the newer release; keys are counted
    where the table's key is known (None otherwise): a changed key stands in both with other content.
    """

    name: str
    change: str
    old_version: int | None
    new_version: int | None
    old_row_count: int | None
    new_row_count: int | None
    added_rows: int | None = None
    removed_rows: int | None = None
    added_keys: int | None = None
    removed_keys: int | None = None
    changed_keys: int | None = None


def diff_releases(session: Session, store: Store, old: Release, new: Release) -> list[TableDifference]:
    """Gives the tables that differ between two releases, by name."""
    names = sorted(old.tables.keys() | new.tables.keys())
    found = [_difference(session, store, old.tables.get(name), new.tables.get(name)) for name in names]
    return [difference for difference in found if difference is not None]


def _difference(
    session: Session, store: Store, old: ReleasedTable | None, new: ReleasedTable | None
) -> TableDifference | None:
    if old is None or new is None:
        present = old or new
        assert present is not None
        change = "added" if old is None else "removed"
        return TableDifference(present.name, change, *_pair(old, new, "version"), *_pair(old, new, "row_count"))
    if old.version == new.version and old.sql == new.sql:
        return None
    whole = TableDifference(old.name, "changed", *_pair(old, new, "version"), *_pair(old, new, "row_count"))
    if old.kind != "table" or new.kind != "table" or old.columns != new.columns:
        return whole
    return _count_rows(session, store, whole, new)


def _pair(old: ReleasedTable | None, new: ReleasedTable | None, name: str) -> tuple[int | None, int | None]:
    return (None if old is None else getattr(old, name), None if new is None else getattr(new, name))


def _count_rows(session: Session, store: Store, whole: TableDifference, table: ReleasedTable) -> TableDifference:
    before, after = (_scan(store, table, version) for version in (whole.old_version, whole.new_version))
    session.execute(f"create or replace temp table gone as (from ({before})) except all (from ({after}))")
    session.execute(f"create or replace temp table come as (from ({after})) except all (from ({before}))")
    counts: dict[str, int | None] = {
        "removed_rows": session.value("select count(*) from gone"),
        "added_rows": session.value("select count(*) from come"),
    }
    if table.key:
        keys = ", ".join(quote(name) for name in table.key)
        gone, come = f"select distinct {keys} from gone", f"select distinct {keys} from come"
        counts["changed_keys"] = session.value(f"select count(*) from ({gone} intersect {come})")
        counts["removed_keys"] = session.value(f"select count(*) from ({gone} except {come})")
        counts["added_keys"] = session.value(f"select count(*) from ({come} except {gone})")
    return TableDifference(
        whole.name,
        whole.change,
        whole.old_version,
        whole.new_version,
        whole.old_row_count,
        whole.new_row_count,
        **counts,
    )


def _scan(store: Store, table: ReleasedTable, version: int | None) -> str:
    found = expect_version(store, table.name, version)
    return scan_sql([file.path for file in found.files], table.columns, evolved=found.evolved)
