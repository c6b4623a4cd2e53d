"""Releases: readers see one whole state; publishing, rolling back and tidying lose nothing."""

import os
import threading
from datetime import UTC, datetime, timedelta

import pytest

from lake.archive_places import archive_key, open_archive
from lake.catalogue import restricted_of, show_release, write_catalogue
from lake.differences import diff_releases
from lake.engine import EngineLimits, Session
from lake.errors import CommitConflict, TableError
from lake.releases import (
    Publication,
    Release,
    ReleasedTable,
    current_release,
    find_release,
    list_releases,
    publish,
    resume,
    rollback,
)
from lake.staged_files import stage_files
from lake.table_versions import Store
from lake.tables import commit_files, read_version
from lake.upkeep import tidy
from tests.landing_parts import HEADER, SHOP, begin, contract_with, land
from tests.store_parts import as_next_run, both, both_at_length, forget, open_catalogue


@pytest.fixture
def session(store):
    with Session(EngineLimits(), store) as opened:
        yield opened


def table(session, store, name: str, query: str, inputs=None, key=("id",)) -> ReleasedTable:
    """Writes a new version of a table and gives it as it would be released."""
    base = read_version(store, name)
    staged = stage_files(session, store, name, query)
    version = commit_files(
        store, name, staged, expected_version=None if base is None else base.version, replace="everything"
    )
    return ReleasedTable(
        name, "table", version, staged.row_count, None, staged.columns, inputs or {}, "code", None, key
    )


def release(session, store, *tables: ReleasedTable, base: Release | None = None) -> Release:
    return publish(session, store, Publication(tables, base or current_release(session, store), 3), begin())


def test_a_release_names_every_table_with_its_version(session, store):
    """A new release carries over what it does not change."""
    assert current_release(session, store) is None
    first = release(session, store, table(session, store, "marts.a", "select 1 as id"))
    second = release(session, store, table(session, store, "marts.b", "select 2 as id", {"marts.a": 1}))
    assert (first.id, second.id) == (1, 2)
    assert current_release(session, store) == second
    assert {name: found.version for name, found in second.tables.items()} == {"marts.a": 1, "marts.b": 1}
    assert [found.id for found in list_releases(session, store)] == [1, 2]


@both_at_length
def test_publishing_over_a_moved_table_or_input_is_refused(session, store):
    """Whoever built on an older state must build again; disjoint tables just carry over."""
    base = release(session, store, table(session, store, "raw.s", "select 1 as id"))
    mine = table(session, store, "marts.mine", "select 1 as id", {"raw.s": 1})
    release(session, store, table(session, store, "marts.other", "select 1 as id", {"raw.s": 1}))
    merged = release(session, store, mine, base=base)
    assert set(merged.tables) == {"raw.s", "marts.mine", "marts.other"}
    release(session, store, table(session, store, "raw.s", "select 2 as id"))
    with pytest.raises(CommitConflict, match=r"raw\.s was published by another run"):
        release(session, store, table(session, store, "marts.mine", "select 3 as id", {"raw.s": 1}), base=merged)
    with pytest.raises(CommitConflict, match=r"marts\.mine was published by another run"):
        release(session, store, table(session, store, "marts.mine", "select 3 as id"), base=base)


@both_at_length
def test_what_is_held_while_it_is_built_is_not_published(session, store):
    """A run that began before a rollback does not undo it, not even where the rollback changed no version."""
    base = release(session, store, table(session, store, "raw.s", "select 1 as id"))
    base = release(session, store, table(session, store, "marts.mine", "select 1 as id", {"raw.s": 1}), base=base)
    mine = table(session, store, "marts.mine", "select 2 as id", {"raw.s": 1})
    back = rollback(session, store, base.id, begin())
    assert back.tables == base.tables
    with pytest.raises(CommitConflict, match=r"marts\.mine was held by release 3 .* while it was being built"):
        release(session, store, mine, base=base)
    assert current_release(session, store) == back
    resume(session, store, begin())
    assert release(session, store, mine).tables["marts.mine"] == mine


@both_at_length
def test_of_two_who_hold_or_free_tables_at_once_none_undoes_the_other(session, store):
    """Whoever holds or frees tables has seen what is held: else they are told, and look again."""
    names = ("marts.a", "marts.b")
    base = release(session, store, *(table(session, store, name, "select 1 as id") for name in names))
    first, second = (Publication((base.tables[name],), base, 0, "restored", frozenset({name})) for name in names)
    freeing = Publication((), base, 0, "resumed", frozenset())
    publish(session, store, first, begin())
    for late in (second, freeing):
        with pytest.raises(CommitConflict, match=r"held are now: marts\.a"):
            publish(session, store, late, begin())
    newest = current_release(session, store)
    assert newest is not None
    assert newest.held == {"marts.a"}


@both_at_length
def test_publishers_at_once_lose_none_of_their_tables(session, store):
    """Two dozen publications from six threads all arrive."""
    tables = {f"marts.t{n}": table(session, store, f"marts.t{n}", f"select {n} as id") for n in range(24)}

    def publish_some(names):
        with Session(EngineLimits(threads=1), store) as mine:
            for name in names:
                publish(mine, store, Publication([tables[name]], None, 1), begin())

    names = list(tables)
    threads = [threading.Thread(target=publish_some, args=(names[n::6],)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    newest = current_release(session, store)
    assert newest is not None
    assert set(newest.tables) == set(tables)
    assert newest.id == 24


@both_at_length
def test_many_publications_keep_few_files_and_all_history(session, store):
    """The release table rewrites itself now and then, and forgets no release."""
    one = table(session, store, "marts.a", "select 1 as id")
    for _ in range(40):
        publish(session, store, Publication([one], current_release(session, store), 1), begin())
    assert [found.id for found in list_releases(session, store)] == list(range(1, 41))
    found = read_version(store, "_releases")
    assert found is not None
    assert len(found.files) < 33


@both
def test_rollback_publishes_the_older_state_whole_and_holds_it(session, store):
    """After a rollback readers see the old state, its tables are held, and resuming lifts the hold."""
    old = release(session, store, table(session, store, "marts.a", "select 1 as id"))
    release(
        session,
        store,
        table(session, store, "marts.a", "select 2 as id"),
        table(session, store, "marts.b", "select 1 as id"),
    )
    back = rollback(session, store, old.id, begin())
    assert (back.id, set(back.tables), back.held) == (3, {"marts.a"}, {"marts.a"})
    assert back.tables["marts.a"].version == old.tables["marts.a"].version
    show_release(session, store, back, restricted_of([]))
    assert session.rows("from marts.a") == [(1,)]
    lifted = resume(session, store, begin())
    assert lifted.held == frozenset()
    assert set(lifted.tables) == {"marts.a"}
    with pytest.raises(TableError, match="No table is held"):
        resume(session, store, begin())
    with pytest.raises(TableError, match="no release 99"):
        rollback(session, store, 99, begin())


def test_diff_names_tables_rows_and_keys(session, store):
    """What came, went and changed is counted."""
    old = release(
        session,
        store,
        table(session, store, "marts.a", "select i as id, i * 2 as worth from range(5) t(i)"),
        table(session, store, "marts.gone", "select 1 as id"),
    )
    changed = "select i as id, case i when 3 then 0 else i * 2 end as worth from range(2, 7) t(i)"
    new = release(
        session, store, table(session, store, "marts.a", changed), table(session, store, "marts.new", "select 1 as id")
    )
    [difference, added] = diff_releases(session, store, old, new)
    assert (added.name, added.change) == ("marts.new", "added")
    assert (difference.added_rows, difference.removed_rows) == (3, 3)
    assert (difference.added_keys, difference.removed_keys, difference.changed_keys) == (2, 2, 1)
    back = rollback(session, store, old.id, begin())
    assert {found.name: found.change for found in diff_releases(session, store, new, back)}["marts.new"] == "removed"


@both
def test_tidying_keeps_what_kept_releases_name(session, store):
    """Old versions go, kept ones answer; a rollback to a kept release works after vacuum."""
    for n in range(5):
        release(session, store, table(session, store, "marts.a", f"select {n} as id"))
    [upkeep] = [
        found for found in tidy(session, store, begin(), keep_releases=2, keep_hours=0) if found.name == "marts.a"
    ]
    assert upkeep.deleted_files == 3
    rollback(session, store, 4, begin())
    newest = current_release(session, store)
    assert newest is not None
    show_release(session, store, newest, restricted_of([]))
    assert session.rows("from marts.a") == [(3,)]


def test_tidying_forgets_what_was_archived_in_part(tmp_path):
    """What a killed process left in the archive goes when no run can be at it any more; what is whole stays."""
    store = Store(str(tmp_path / "lake"), {})
    archive = open_archive(store)
    archive.put("ab12", [b"whole"])
    whole = tmp_path / "lake" / archive_key("ab12")
    old, new = (whole.with_name(f"cd34.zst.{name}.part") for name in ("old", "new"))
    for path, age in ((old, timedelta(hours=25)), (new, timedelta(hours=1))):
        path.write_bytes(b"half")
        os.utime(path, ((datetime.now(UTC) - age).timestamp(),) * 2)
    with Session(EngineLimits()) as session:
        tidy(session, store, begin(), keep_releases=1, keep_hours=24)
    assert sorted(whole.parent.iterdir()) == sorted([whole, new])


@both
def test_the_catalogue_opens_in_any_client_with_all_tables(tmp_path, session, store):
    """lake.duckdb shows released tables, views, empty tables with types, and ops; restricted columns masked."""
    (tmp_path / "in.csv").write_text(HEADER + "a1,2024-01-05,North,3,2.50,secret\na2,,South,1,1.00,secret\n")
    columns = [
        column if column.name != "note" else column.__class__("note", "note", "varchar", privacy="restricted")
        for column in SHOP.columns
    ]
    contract = contract_with(columns=tuple(columns))
    land(store, tmp_path / "in.csv", contract)
    raw = read_version(store, "raw.shop")
    assert raw is not None
    view = ReleasedTable(
        "staging.stg_shop", "view", None, None, "select sale_id, note from raw.shop", (), {"raw.shop": raw.version}, "c"
    )
    over = ReleasedTable("staging.an_over", "view", None, None, "select * from staging.stg_shop", (), {}, "c")
    release(
        session,
        store,
        ReleasedTable("raw.shop", "table", raw.version, 1, None, raw.columns, {}, "c"),
        view,
        over,
        table(session, store, "marts.empty", "select 1::decimal(18,2) as worth, null::date as day where false"),
    )
    path = tmp_path / "lake.duckdb"
    for _ in range(2):
        write_catalogue(session, store, path, [contract])
    with open_catalogue(path, store) as client:
        assert client.sql("from staging.an_over").fetchall() == [("a1", "***")]
        assert client.sql("describe marts.empty").fetchall()[0][1] == "DECIMAL(18,2)"
        assert client.sql("select read_count, accepted_count from ops.ingestion_log").fetchall() == [(2, 1)]
        assert client.sql("select line, raw_data from ops.exceptions").fetchall()[0][1].count("***") == 1
        names = {
            row[0] for row in client.sql("select view_name from duckdb_views() where schema_name = 'ops'").fetchall()
        }
        for name in names:
            client.sql(f"from ops.{name}").fetchall()
    assert {"audit_log", "validation_results", "releases", "lineage", "watermarks", "alert_history"} <= names
    assert not list(tmp_path.glob(".lake*"))
    assert find_release(session, store, 1).tables["marts.empty"].row_count == 0


@both
def test_a_released_table_that_is_gone_is_an_error_and_never_empty(session, store):
    """When files of a released table were removed from outside, readers are told so; they do not see an empty table."""
    made = release(session, store, table(session, store, "marts.a", "select 1 as id"))
    forget(store, "marts/a")
    with pytest.raises(TableError, match=r"marts\.a has no version 1"):
        show_release(session, as_next_run(store), made, restricted_of([]))
