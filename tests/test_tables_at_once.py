"""Delta tables written by two at once: each hears what it did itself, and no row is lost or doubled."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event

import pytest

from lake.engine import EngineLimits, Session, scan_sql
from lake.errors import CommitConflict
from lake.staged_files import stage_files
from lake.table_versions import StagedFiles, Store
from lake.tables import append_files, commit_files, read_commits, read_version
from lake.upkeep import join_small_files
from tests.store_parts import as_next_run, both_at_length

pytestmark = both_at_length
PAUSE_SECONDS = 0.002  # between another's commits, so that ours have their turn


@pytest.fixture
def session(store):
    with Session(EngineLimits(), store) as opened:
        yield opened


def rows_of(session: Session, store: Store, name: str) -> list[tuple]:
    found = read_version(store, name)
    assert found is not None
    return session.rows(f"from ({scan_sql([file.path for file in found.files], found.columns)}) order by all")


def test_a_commit_gives_its_own_version_however_fast_others_are(session, store):
    """The version that is given, and goes into a release, is that of the very commit, and not another's after it."""
    none = stage_files(session, store, "raw.x", "select 1 as id where false")
    append_files(store, "raw.x", none)
    over = Event()

    def go_on() -> None:
        while not over.is_set():
            append_files(store, "raw.x", none, {"by": "another"})
            time.sleep(PAUSE_SECONDS)

    with ThreadPoolExecutor(1) as other:
        writing = other.submit(go_on)
        found = [commit_here(store, none, str(number)) for number in range(40)]
        over.set()
        writing.result()
    commits = {commit.version: commit.metadata for commit in read_commits(store, "raw.x", 0)}
    assert [commits[version].get("by") for version in found] == [str(number) for number in range(40)]


def commit_here(store: Store, staged: StagedFiles, by: str) -> int:
    """Commits upon the newest version, again when another was faster."""
    while True:
        found = read_version(store, "raw.x")
        assert found is not None
        with suppress(CommitConflict):
            return commit_files(store, "raw.x", staged, expected_version=found.version, metadata={"by": by})


def test_of_two_who_join_the_same_files_one_does(session, store):
    """Small files that two runs of upkeep join at once leave one copy of their rows, beside what was appended."""
    for number in range(4):
        append_files(store, "ops.x", stage_files(session, store, "ops.x", f"select {number} as id"))
    found = read_version(store, "ops.x")
    assert found is not None
    other = as_next_run(store)
    assert read_version(other, "ops.x") is not None
    append_files(other, "ops.x", stage_files(session, other, "ops.x", "select 4 as id"))
    assert join_small_files(session, store, found, found.files)
    assert not join_small_files(session, other, found, found.files)
    assert rows_of(session, store, "ops.x") == [(0,), (1,), (2,), (3,), (4,)]


def test_rows_are_appended_while_another_adds_columns(session, store):
    """A run of an older Sluice appends beside one that gives the table new columns: neither fails, nothing is lost."""
    names = [f"c{number}" for number in range(6)]
    plain = [stage_files(session, store, "ops.x", f"select {number} as id") for number in range(20)]
    append_files(store, "ops.x", plain[0])
    wider = [stage_files(session, store, "ops.x", f"select 100 as id, 1 as {name}") for name in names]
    other = as_next_run(store)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [append_files(other, "ops.x", staged) for staged in wider])
        for staged in plain[1:]:
            append_files(store, "ops.x", staged)
        writing.result()
    found = read_version(store, "ops.x")
    assert found is not None
    assert (found.row_count, {name for name, _ in found.columns}) == (26, {"id", *names})
