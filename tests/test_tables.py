"""Delta tables: pinned reads, staged files, commits that cannot be made twice or over somebody else's."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import polars
import pytest

from lake.engine import EngineLimits, Session, scan_sql
from lake.errors import CommitConflict, TableError
from lake.staged_files import stage_files
from lake.table_versions import KEPT_VERSIONS, Store, TableVersion
from lake.tables import (
    append_files,
    commit_files,
    read_commits,
    read_version,
    restore_version,
    set_properties,
    transaction_of,
    vacuum_table,
)
from lake.upkeep import join_small_files
from tests.store_parts import as_next_run, both, lake_keys

pytestmark = both
ROWS = """
    select i as id, i * 1.25 as amount, case when i % 3 = 0 then null else 'p ' || i % 3 end as part from range(9) t(i)
"""


@pytest.fixture
def session(store):
    with Session(EngineLimits(), store) as opened:
        yield opened


def rows_of(session: Session, store: Store, name: str, version: int | None = None) -> list[tuple]:
    found = read_version(store, name, version)
    assert found is not None
    return session.rows(f"from ({scan_sql([file.path for file in found.files], found.columns)}) order by all")


def test_staged_files_are_invisible_until_committed(session, store):
    """Staging shows a reader nothing; the commit shows everything."""
    staged = stage_files(session, store, "marts.x", ROWS)
    assert read_version(store, "marts.x") is None
    version = commit_files(store, "marts.x", staged, expected_version=None)
    found = read_version(store, "marts.x")
    assert found is not None
    assert (found.version, found.row_count) == (version, 9)
    assert rows_of(session, store, "marts.x")[1][1] == Decimal("1.25")


def test_partitioned_tables_read_back_whole_with_null_and_odd_values(session, store):
    """NULL is a partition, and a space or percent sign in a value does no harm; other engines read the same."""
    query = f"select * replace (case when part = 'p 1' then 'a%b/ü' else part end as part) from ({ROWS})"
    commit_files(
        store, "marts.x", stage_files(session, store, "marts.x", query, partition=["part"]), expected_version=None
    )
    assert session.rows(f"from ({query}) order by all") == rows_of(session, store, "marts.x")
    frame = polars.read_delta(store.table_uri("marts.x"), storage_options=dict(store.options)).sort("id")
    assert frame["amount"].sum() == Decimal("45.00")
    assert frame["part"].null_count() == 3


def test_replacing_one_partitions_files_leaves_the_others(session, store):
    """Only the replaced files go, even with odd characters in their paths, and the change names both sides."""
    first = stage_files(session, store, "marts.x", ROWS, partition=["part"])
    old = commit_files(store, "marts.x", first, expected_version=None)
    found = read_version(store, "marts.x")
    assert found is not None
    touched = [file for file in found.files if file.partition_values["part"] == "p 1"]
    staged = stage_files(
        session,
        store,
        "marts.x",
        "select 100::bigint as id, 0.50::decimal(22,2) as amount, 'p 1' as part",
        partition=["part"],
    )
    new = commit_files(store, "marts.x", staged, expected_version=old, replace=touched)
    assert [row[0] for row in rows_of(session, store, "marts.x")] == [0, 2, 3, 5, 6, 8, 100]
    after = read_version(store, "marts.x", new)
    assert after is not None
    assert {file.path for file in found.files} - {file.path for file in after.files} == {touched[0].path}
    assert [file.row_count for file in after.files if file not in found.files] == [1]
    assert len(rows_of(session, store, "marts.x", old)) == 9


def test_replacing_everything_by_other_columns_is_one_commit(session, store):
    """Rows of other types and names take the place of all rows in one log entry: no head in between is empty."""
    version = commit_files(store, "raw.x", stage_files(session, store, "raw.x", ROWS), expected_version=None)
    other = stage_files(session, store, "raw.x", f"select id::decimal(20,0) as id, amount, 1 as extra from ({ROWS})")
    new = commit_files(
        store,
        "raw.x",
        other,
        expected_version=version,
        replace="everything",
        metadata={"why": "wider"},
        transaction="t",
    )
    found, before = read_version(store, "raw.x"), read_version(store, "raw.x", version)
    assert found is not None
    assert before is not None
    assert (new, found.row_count) == (version + 1, 9)
    assert found.columns == (("id", "DECIMAL(20,0)"), ("amount", before.columns[1][1]), ("extra", "INTEGER"))
    assert [name for name, _ in before.columns] == ["id", "amount", "part"]
    assert read_commits(store, "raw.x", version)[0].metadata == {"why": "wider"}
    assert transaction_of(store, "raw.x", "t") == 1
    with pytest.raises(CommitConflict, match="Another writer committed"):
        commit_files(store, "raw.x", other, expected_version=version, replace="everything")
    late = stage_files(session, store, "raw.x", f"select id::double as id, amount, 1 as extra from ({ROWS})")
    with pytest.raises(CommitConflict, match="Another writer committed"):
        commit_files(store, "raw.x", late, expected_version=version, replace="everything")
    assert restore_version(store, "raw.x", version) == new + 1
    assert read_version(store, "raw.x").columns == before.columns


def test_a_tables_own_properties_are_kept_and_contested(session, store):
    """Properties given at birth are read back, outlive a change of columns, and are changed by one writer at a time."""
    staged = replace(stage_files(session, store, "raw.x", ROWS), properties={"promise": '{"key": ["id"]}'})
    version = commit_files(store, "raw.x", staged, expected_version=None)
    assert read_version(store, "raw.x").properties == {"promise": '{"key": ["id"]}'}
    wider = stage_files(session, store, "raw.x", f"select id::decimal(20,0) as id from ({ROWS})")
    version = commit_files(store, "raw.x", wider, expected_version=version, replace="everything")
    new = set_properties(store, "raw.x", version, {"promise": "{}"})
    assert read_version(store, "raw.x").properties == {"promise": "{}"}
    assert read_version(store, "raw.x", version).properties == {"promise": '{"key": ["id"]}'}
    with pytest.raises(CommitConflict, match="Another writer committed"):
        set_properties(store, "raw.x", version, {"promise": "late"})
    assert read_version(store, "raw.x").version == new


def test_a_commit_over_a_version_that_moved_is_refused(session, store):
    """Whoever read an older version cannot overwrite what came after."""
    version = commit_files(store, "marts.x", stage_files(session, store, "marts.x", ROWS), expected_version=None)
    append_files(store, "marts.x", stage_files(session, store, "marts.x", ROWS))
    with pytest.raises(CommitConflict, match="Another writer committed"):
        commit_files(
            store,
            "marts.x",
            stage_files(session, store, "marts.x", ROWS),
            expected_version=version,
            replace="everything",
        )
    with pytest.raises(CommitConflict, match="Another writer created"):
        commit_files(store, "marts.x", stage_files(session, store, "marts.x", ROWS), expected_version=None)


def test_transactions_and_metadata_are_found_again(session, store):
    """A commit carries its transaction and our metadata, also when it adds no row."""
    none = stage_files(session, store, "raw.x", f"from ({ROWS}) where false")
    commit_files(store, "raw.x", none, expected_version=None, metadata={"batch": "b1"}, transaction="b1")
    assert transaction_of(store, "raw.x", "b1") == 1
    assert transaction_of(store, "raw.x", "b2") is None
    assert [(commit.version, dict(commit.metadata)) for commit in read_commits(store, "raw.x", 0)] == [
        (1, {"batch": "b1"})
    ]
    assert rows_of(session, store, "raw.x") == []


def test_a_new_column_reads_as_null_in_older_rows(session, store):
    """A table may gain columns; older files answer null."""
    version = commit_files(
        store, "raw.x", stage_files(session, store, "raw.x", "select 1 as id"), expected_version=None
    )
    staged = stage_files(session, store, "raw.x", "select 2 as id, 'new' as more")
    commit_files(store, "raw.x", staged, expected_version=version)
    found = read_version(store, "raw.x")
    assert found is not None
    scan = scan_sql([file.path for file in found.files], found.columns, evolved=found.evolved)
    assert session.rows(f"from ({scan}) order by id") == [(1, None), (2, "new")]


def test_vacuum_keeps_named_versions_and_sweeps_what_was_never_committed(session, store):
    """Kept versions stay readable; orphans of crashed runs go."""
    kept = commit_files(store, "marts.x", stage_files(session, store, "marts.x", ROWS), expected_version=None)
    middle = stage_files(session, store, "marts.x", ROWS)
    version = commit_files(store, "marts.x", middle, expected_version=kept, replace="everything")
    last = stage_files(session, store, "marts.x", "select 1::bigint as id, 1::decimal(22,2) as amount, 'p' as part")
    commit_files(store, "marts.x", last, expected_version=version, replace="everything")
    orphan = stage_files(session, store, "marts.x", ROWS)
    assert vacuum_table(store, "marts.x", [kept], keep_hours=0) == 2
    assert len(rows_of(session, store, "marts.x", kept)) == 9
    assert len(rows_of(session, store, "marts.x")) == 1
    assert not [key for key in lake_keys(store) if orphan.files[0].path.endswith(key)]


def test_restoring_and_joining_keep_the_rows(session, store):
    """Restoring brings the older rows back as a new version; joining files changes no row."""
    version = commit_files(store, "marts.x", stage_files(session, store, "marts.x", ROWS), expected_version=None)
    for _ in range(3):
        append_files(
            store,
            "marts.x",
            stage_files(session, store, "marts.x", "select 50::bigint as id, 1::decimal(22,2) as amount, 'p' as part"),
        )
    found = read_version(store, "marts.x")
    assert found is not None
    assert join_small_files(session, store, found, found.files)
    assert len(rows_of(session, store, "marts.x")) == 12
    restore_version(store, "marts.x", version)
    assert len(rows_of(session, store, "marts.x")) == 9


def test_missing_versions_are_named(store):
    """Asking for what is not there is a clear error or None."""
    assert read_version(store, "marts.none") is None
    with pytest.raises(TableError, match=r"marts\.none"):
        restore_version(store, "marts.none", 3)


def test_a_whole_replacement_may_change_types_and_partitioning(session, store):
    """A model whose text changed may give other columns; the older version keeps the old ones."""
    old = commit_files(store, "marts.x", stage_files(session, store, "marts.x", ROWS), expected_version=None)
    staged = stage_files(
        session, store, "marts.x", "select 7.5 as amount, 'a' as part, true as flag", partition=["part"]
    )
    commit_files(store, "marts.x", staged, expected_version=old, replace="everything", metadata={"run": "r"})
    assert rows_of(session, store, "marts.x") == [(Decimal("7.5"), "a", True)]
    found = read_version(store, "marts.x")
    assert found is not None
    assert found.partition == ("part",)
    assert len(rows_of(session, store, "marts.x", old)) == 9
    assert polars.read_delta(store.table_uri("marts.x"), storage_options=dict(store.options))["flag"].to_list() == [
        True
    ]
    restore_version(store, "marts.x", old)
    assert len(rows_of(session, store, "marts.x")) == 9
    again = commit_files(
        store, "marts.x", stage_files(session, store, "marts.x", ROWS), expected_version=old + 3, replace="everything"
    )
    assert rows_of(session, store, "marts.x", again) == rows_of(session, store, "marts.x", old)


def test_a_part_with_other_types_is_refused(session, store):
    """Files of another type never join a table, since its readers would fail."""
    version = commit_files(store, "marts.x", stage_files(session, store, "marts.x", ROWS), expected_version=None)
    staged = stage_files(session, store, "marts.x", "select 'x' as id")
    with pytest.raises(TableError, match="'id' of marts.x is BIGINT in the lake and VARCHAR"):
        commit_files(store, "marts.x", staged, expected_version=version)


def test_a_table_that_was_read_is_read_on_after_others_wrote(session, store):
    """What was read of a table is kept, and what others commit meanwhile is there all the same, in any number."""
    other = as_next_run(store)
    append_files(store, "raw.x", stage_files(session, store, "raw.x", ROWS))
    assert rows_of(session, store, "raw.x", 1) == rows_of(session, store, "raw.x")
    for _ in range(2):
        append_files(other, "raw.x", stage_files(session, other, "raw.x", ROWS), {"by": "another"})
    assert [len(rows_of(session, store, "raw.x", version)) for version in (None, 2, 1, None)] == [27, 18, 9, 27]
    assert [commit.metadata.get("by") for commit in read_commits(store, "raw.x", 1)] == ["another", "another"]
    staged = stage_files(session, store, "raw.x", ROWS)
    with pytest.raises(CommitConflict, match="Another writer committed"):
        commit_files(store, "raw.x", staged, expected_version=2)
    assert commit_files(store, "raw.x", staged, expected_version=3, replace="everything", transaction="t") == 4
    assert [transaction_of(each, "raw.x", "t") for each in (store, other)] == [1, 1]


def test_commits_read_while_others_commit_are_all_there_under_their_numbers(session, store):
    """However fast others commit, the commits after a version are each given once, with what that very one says."""
    none = stage_files(session, store, "raw.x", f"from ({ROWS}) where false")
    append_files(store, "raw.x", none, {"number": "1"})

    def go_on() -> None:
        for number in range(2, 42):
            append_files(store, "raw.x", none, {"number": str(number)})

    with ThreadPoolExecutor(1) as other:
        writing = other.submit(go_on)
        newest = 1
        while newest < 41 and not (writing.done() and writing.exception()):
            after = max(0, newest - 3)  # as a sweep that knows an older state
            found = [(commit.version, commit.metadata["number"]) for commit in read_commits(store, "raw.x", after)]
            assert found == [(number, str(number)) for number in range(after + 1, after + 1 + len(found))]
            newest = after + len(found)
        writing.result()


def test_versions_that_were_read_are_kept_in_bounds(store):
    """A process that goes on for long keeps the versions it read last, and no more than it may."""
    given = [TableVersion("raw.x", "", number, (), (), ()) for number in range(KEPT_VERSIONS + 5)]
    for version in given:
        store.opened.keep(version)
    kept = [store.opened.version("raw.x", version.version) for version in given]
    assert kept == [None] * 5 + given[5:]
