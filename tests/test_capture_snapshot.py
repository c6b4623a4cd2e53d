"""A snapshot comes in parts, as it is read: what a reader sees of it, what may happen meanwhile, what it leaves."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lake.run import Event
from tests.capture_parts import Shop, make_shop
from tests.postgres_parts import REPLICATOR, Database
from tests.test_capture_faults import KILLED, SLOTS, kinds, when

COPYING = "select count(*)::int from pg_stat_progress_copy"
WAITING = "select count(*)::int from pg_stat_activity where wait_event_type = 'Lock' and query like %s"
LONGEST_SECONDS = 60
LINES = 2500  # of 32 kB


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Shop:
    """A table of lines without key, of 80 MB; a delivery is 30 MB, and Linux has 38 MB on their way at most."""
    made = make_shop(database, tmp_path)
    database.execute("create table lines (note text)", f"alter table lines owner to {REPLICATOR}")
    database.execute("alter table lines replica identity full")
    made.capture("lines", {"note": "string"}, key=(), bytesPerBatch=30_000_000)
    return made


def fill(database: Database) -> None:
    """Fills the table with what the server cannot send before somebody takes it."""
    database.execute(f"insert into lines select repeat(md5(n::text), 1000) from generate_series(1, {LINES}) as n")


@contextmanager
def writing(database: Database) -> Iterator[None]:
    """Keeps a transaction open that has written: a slot waits for its end."""
    with closing(database.connect()) as opened, opened.cursor() as cursor:
        opened.autocommit = False
        cursor.execute("create table others ()")
        yield
        opened.commit()


def until(database: Database, query: str, *values: object) -> None:
    """Waits until a query counts something."""
    ends = time.monotonic() + LONGEST_SECONDS
    while not database.rows(query, values)[0][0]:
        assert time.monotonic() < ends, query
        time.sleep(0.05)


def test_capture_snapshot_is_not_of_a_table_rewritten_meanwhile(shop, database):
    """A table rewritten when its slot is there and before it is read is empty in the snapshot: it must be read anew.
    One that somebody rewrites while the slot is made must keep nobody waiting for ever."""
    database.execute("insert into items values (1, 1, 1), (2, 2, 2)")
    rewrite = when("snapshot-begun", lambda: database.execute("alter table items alter note type bigint"))
    with ThreadPoolExecutor(1) as pool:
        with writing(database):
            landing: Future[list[Event]] = pool.submit(shop.land, "items", observers=[rewrite])
            until(database, WAITING, "CREATE_REPLICATION_SLOT%")
            database.execute("alter table items alter note type numeric")
        assert kinds(landing.result(LONGEST_SECONDS)).count("snapshot-begun") == 2
    assert shop.differs() == []
    assert len(database.rows(f"select 1 {SLOTS}")) == 1


def test_capture_snapshot_lands_as_it_is_read_and_counts_when_it_is_whole(shop, database):
    """Parts must land while the server still reads the table, as nobody has room for all of it, and not stand in the
    view before the last has landed: neither alone nor beside what they take the place of, nor what broke off."""
    fill(database)
    seen: list[tuple] = []

    def look_and_cut() -> None:
        seen.extend(database.rows(COPYING) + shop.current("count(*)", "lines"))
        database.rows(KILLED)

    for is_anew in (False, True):
        events = shop.land("lines", anew=is_anew, observers=[when("batch-landed", look_and_cut)])
        assert kinds(events).count("snapshot-begun") == 2 and kinds(events).count("snapshot-taken") == 1
        assert shop.current("count(*)", "lines") == [(LINES,)]
    assert seen == [(1,), (0,), (1,), (LINES,)]
