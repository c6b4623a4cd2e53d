"""What goes wrong while a table is captured: nothing is lost or lands twice, and whoever can mend it is told how."""

import json
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from flows.rework import admit_batch
from flows.workplace import Workplace
from lake.errors import SourceError
from lake.run import Event
from tests.capture_parts import ITEMS, Shop, make_shop
from tests.postgres_parts import PASSWORD, READER, REPLICATOR, Database, serving_postgres
from tests.warm_parts import WarmProcess

SLOTS = "from pg_replication_slots where database = current_database()"
KILLED = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sluice'"


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Shop:
    """A table of items and its contract; deliveries are small."""
    return make_shop(database, tmp_path, bytesPerBatch=2000)


def fill(database: Database, first: int, count: int = 20, table: str = "items") -> None:
    """Inserts rows, each transaction larger than a delivery."""
    database.execute(
        f"insert into {table} select n, n, n from generate_series({first}, {first + count - 1}) as n",
        f"update {table} set note = -note where id between {first} and {first + count - 1}",
        f"delete from {table} where id = {first}",
    )


def when(kind: str, act) -> object:
    """An observer that acts once, at the first event of a kind."""
    left = [act]

    def observe(event: Event) -> None:
        if event.kind == kind and left:
            left.pop()()

    return observe


def test_capture_confirms_no_more_than_what_has_landed(shop, database):
    """A run that was cut off lands less than the next one has read meanwhile: what is more stays in the log."""
    shop.land()
    database.execute("insert into items values (1, 1, 1)")
    judged, overtaken = threading.Event(), threading.Event()

    def stand_still() -> None:
        judged.set()
        assert overtaken.wait(60)

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(shop.land, observers=[when("batch-judged", stand_still)])
        assert judged.wait(60)
        database.execute(KILLED, "insert into items values (2, 2, 2), (3, 3, 3)")

        def be_overtaken() -> None:
            overtaken.set()
            slow.exception()

        shop.land(observers=[when("batch-judged", be_overtaken)])
    shop.land()
    assert shop.differs() == []


def finished(child: WarmProcess) -> int | None:
    child.communicate()
    return child.returncode


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


@pytest.mark.parametrize("moment", ["snapshot-begun", pytest.param("batch-landed", marks=pytest.mark.soak)])
def test_capture_goes_on_when_the_server_dies_between_two_deliveries(shop, database, postgres, moment):
    """A server killed and started again in the middle of a visit must cost no change and double none."""
    if moment == "batch-landed":
        shop.land()
    fill(database, 1)

    def die() -> None:
        postgres.kill()
        postgres.start()

    events = shop.land(observers=[when(moment, die)])
    assert ("capture-interrupted" in kinds(events)) is (moment == "snapshot-begun")  # small changes have all arrived
    assert shop.differs() == []
    assert len(set(shop.history("_lsn, _sequence"))) == len(shop.history())


@pytest.mark.parametrize("moment", [pytest.param("batch-archived", marks=pytest.mark.soak), "batch-landed"])
def test_capture_goes_on_when_the_line_is_cut(shop, database, moment):
    """Connections cut before or after a commit must be opened again, and each change land once."""
    shop.land()
    fill(database, 1)
    events = shop.land(observers=[when(moment, lambda: database.rows(KILLED))])
    assert sum(event.record_count or 0 for event in events if event.kind == "batch-landed") == 41
    assert len(set(shop.history("_lsn, _sequence"))) == len(shop.history()) == 42
    assert shop.differs() == []


@pytest.mark.parametrize(
    "place",
    [
        "snapshot.py:files",
        "capture.py:settle",
        *(pytest.param(name, marks=pytest.mark.soak) for name in ("capture.py:_give", "changes.py:_cut")),
    ],
)
def test_capture_killed_goes_on_without_gap_or_double(shop, database, place):
    """A process killed while it reads the snapshot or the log must leave a lake from which the next visit goes on."""
    database.execute("insert into items values (1, 1, 1), (2, 2, 2)")
    if not place.startswith("snapshot"):
        shop.land()
        fill(database, 10)
    assert finished(shop.start("items", "--kill-at", place)) == -signal.SIGKILL
    database.execute("insert into items values (3, 3, 3)", "delete from items where id = 2")
    shop.land()
    assert shop.differs() == []
    changes = shop.history("_lsn, _sequence", where="_change not in ('snapshot', 'baseline')")
    assert len(set(changes)) == len(changes)
    assert len(database.rows(f"select 1 {SLOTS}")) == 1


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_capture_killed_at_lines_all_over_a_visit(shop, database):
    """Killed before any line of its own, of the first landing or of a later one, it must go on all the same."""
    first = json.loads(shop.start("items", "--tell").communicate()[0])
    fill(database, 1)
    later = json.loads(shop.start("items", "--tell").communicate()[0])
    for number, place in enumerate(first[:: len(first) // 5]):
        name = f"items{number}"
        shop.add_items(name)
        fill(database, 1, table=name)
        assert finished(shop.start(name, "--kill-at", place)) == -signal.SIGKILL, place
        fill(database, 100, table=name)
        shop.land(name)
        assert shop.differs(name) == [], place
        database.execute(f"select pg_drop_replication_slot(slot_name) {SLOTS} and slot_name like 'sluice_{name}_%'")
    for number, place in enumerate(later[:: len(later) // 7], 1):
        fill(database, number * 100)
        finished(shop.start("items", "--kill-at", place))
        database.execute(f"update items set id = -id where id = {number * 100 + 5}")
        shop.land("items")
        assert shop.differs() == [], place


def test_capture_lost_slot_is_told_and_a_new_snapshot_finds_what_was_deleted(shop, database):
    """When its slot is gone it must say so, land nothing, and go on from a new snapshot without ghosts."""
    database.execute("insert into items values (1, 1, 1), (2, 2, 2), (3, 3, 3)")
    shop.land()
    database.execute(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()"
    )
    database.execute("delete from items where id = 2", "update items set note = 9 where id = 3")
    with pytest.raises(SourceError, match=r"slot.* is gone.*land SOURCE --snapshot"):
        shop.land()
    assert shop.current("id") == [(1,), (2,), (3,)]
    shop.land("items", anew=True)
    assert shop.differs() == []
    assert shop.history("id", where="_change = 'snapshot' and id = 2") == [(2,)]
    fill(database, 10)
    shop.land()
    assert shop.differs() == []


def test_capture_slot_that_somebody_else_read_is_no_silent_gap(shop, database):
    """Changes that another reader took from the slot must be missed in words."""
    shop.land()
    fill(database, 1)
    database.execute(f"select pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) {SLOTS}")
    with pytest.raises(SourceError, match="read on by somebody else"):
        shop.land()


def test_capture_of_a_table_made_again_asks_for_a_snapshot(shop, database):
    """A table that was dropped and made again has had changes nobody saw: it must not go on as if nothing was."""
    database.execute("insert into items values (1, 1, 1)")
    shop.land()
    database.execute("drop table items", "create table items (id integer primary key, note integer)")
    database.execute(f"alter table items owner to {REPLICATOR}")
    with pytest.raises(SourceError, match="dropped and made again"):
        shop.land()
    shop.land("items", anew=True)
    assert shop.current("id") == []


def test_capture_follows_a_schema_that_changes(shop, database):
    """Columns that come, go, are renamed or widened must lose no change; what the contract lacks comes as text."""
    database.execute("insert into items values (1, 1, 1)")
    shop.land()
    database.execute(
        "insert into items values (2, 2, 2)",
        "alter table items add shelf text",
        "alter table items replica identity full",
        "insert into items values (3, 3, 3, 'b')",
        "alter table items rename note to remark",
        "insert into items values (4, 4, 4, 'c')",
        "alter table items alter price type numeric(20, 4)",
        "insert into items values (5, 5, 5.12, 'd')",
        "alter table items drop shelf",
        "insert into items values (6, 6, 6)",
    )
    shop.land()
    assert shop.current("id, note, remark, shelf, price::int") == [
        (1, 1, None, None, 1),
        (2, 2, None, None, 2),
        (3, 3, None, "b", 3),
        (4, None, "4", "c", 4),
        (5, None, "5", "d", 5),
        (6, None, "6", None, 6),
    ]


def test_capture_waits_where_its_contract_refuses_another_schema(shop, database):
    """Under `refuse` the source must stop in words, and land every change once the contract is mended."""
    shop.capture("items", ITEMS, drift="refuse")
    shop.land()
    database.execute("insert into items values (1, 1, 1)", "alter table items add shelf integer")
    database.execute("insert into items values (2, 2, 2, 2)", "delete from items where id = 1")
    for _ in range(2):
        with pytest.raises(SourceError, match="has the unknown shelf"):
            shop.land()
    shop.capture("items", {**ITEMS, "shelf": "integer"}, drift="refuse", version="1.1.0")
    shop.land()
    assert shop.differs(columns="id, note, price, shelf") == []


def test_capture_held_batch_is_not_read_past(shop, database):
    """What the raw gate holds must stop the source, keep its log, and count once admitted."""
    check = shop.folder / "checks" / "raw" / "items.yml"
    check.parent.mkdir(parents=True)
    check.write_text("checks for items:\n  - max(price) < 100\n")
    database.execute("insert into items values (0, 0, 0)")
    shop.land()
    database.execute("insert into items values (1, 1, 500)")
    outcome = shop.land_wholly()
    assert not outcome.is_ok
    database.execute("insert into items values (2, 2, 2)")
    shop.land_wholly()
    ((batch,),) = shop.ops("select batch_id from ops.ingestion_log where status = 'held'")
    assert len(shop.history()) == 2
    admit_batch(Workplace(shop.folder, is_quiet=True), batch)
    shop.land()
    assert shop.differs() == []


def test_capture_two_landings_at_once_land_each_change_once(shop, database):
    """Of two runs one must have the table, and the other leave it or find nothing left to do."""
    database.execute("insert into items values (1, 1, 1)")
    for number in (1, 2):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: shop.land(), range(2)))
        assert shop.differs() == []
        fill(database, number * 100)
    shop.land()
    assert shop.differs() == []
    assert len(database.rows(f"select 1 {SLOTS}")) == 1


def test_capture_of_another_server_of_the_same_address_is_refused(shop, database, postgres):
    """A database that only has the same name must not be taken for the one of the last landing."""
    database.execute("insert into items values (1, 1, 1)")
    shop.land()
    with serving_postgres() as other:
        twin = Database(database.name, other.port)
        other.postmaster.execute(
            f'create database "{twin.name}"', f'grant create on database "{twin.name}" to {REPLICATOR}'
        )
        twin.execute("create table items (id integer primary key, note integer, price numeric(10, 2))")
        twin.execute(f"alter table items owner to {REPLICATOR}")
        twin.execute("insert into items values (2, 2, 2)")
        shop.port = other.port
        shop.capture("items", ITEMS)
        other.postmaster.execute("alter system set wal_level = 'replica'")
        other.restart()
        with pytest.raises(SourceError, match="wal_level = replica"):
            shop.land()
        other.postmaster.execute("alter system reset wal_level")
        other.restart()
        with pytest.raises(SourceError, match="is another server than at the last landing"):
            shop.land()
        shop.land("items", anew=True)
        twin.execute("update items set note = 3")
        shop.land()
        assert shop.current("id, note") == [(2, 3)]


def test_capture_says_what_a_role_lacks(shop, database, tmp_path):
    """A role without replication, or that may not publish the table, must be told what its owner is to run."""
    shop.capture("items", ITEMS)
    contract = shop.contracts["items"]
    contract.write_text(contract.read_text().replace(REPLICATOR, READER))
    with pytest.raises(SourceError, match="refuses"):
        shop.land()
    contract.write_text(contract.read_text().replace(READER, REPLICATOR))
    database.execute("alter table items owner to sluice_admin")
    database.let_read("items")
    with pytest.raises(SourceError, match="its owner run: create publication .*items"):
        shop.land()
    database.execute("create publication for_lake for table items with (publish = 'insert')")
    shop.capture("items", ITEMS, publication="for_lake")
    with pytest.raises(SourceError, match="leaves out inserts, updates"):
        shop.land()
    database.execute("alter publication for_lake set (publish = 'insert, update, delete, truncate')")
    database.execute("alter table items enable row level security", "create policy few on items using (id > 5)")
    with pytest.raises(SourceError, match="affected by row-level security"):
        shop.land()
    database.execute("alter table items disable row level security")
    shop.land()
    fill(database, 1)
    shop.land()
    assert shop.differs() == []


def test_capture_snapshot_and_changes_meet_without_gap_or_double(shop, database):
    """Rows written while the snapshot is taken must be in it or come after it, never both, never neither."""
    shop.capture("items", ITEMS)
    stopping: list[bool] = []

    def write(first: int) -> None:
        with closing(database.connect()) as opened, opened.cursor() as cursor:
            number = first
            while not stopping:
                cursor.execute("insert into items values (%s, 0, 0)", (number,))
                cursor.execute("update items set note = note + 1 where id between %s and %s", (number - 5, number))
                cursor.execute("delete from items where id = %s", (number - 3,))
                number += 1
                time.sleep(0.005)  # several hundred changes a second are enough

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write, first) for first in (1000, 100_000)]
        for _ in range(3):
            shop.land()
        stopping.append(True)
        for writer in writers:
            writer.result()
    shop.land()
    assert shop.differs() == []
    inserted = shop.history("id", where="_change in ('insert', 'snapshot')")
    assert len(set(inserted)) == len(inserted)


def test_capture_tells_no_secret(shop, database):
    """The password must stand in no file of the lake or the output, also when signing in failed."""
    shop.land_wholly()
    (shop.folder / ".env").write_text("SHOP_PASSWORD=wrong-but-secret\n")
    outcome = shop.land_wholly()
    assert outcome.failure is not None and "password authentication failed" in str(outcome.failure)
    contract = shop.contracts["items"]
    contract.write_text(contract.read_text().replace(f"user, value: {REPLICATOR}", "userSecret, value: SHOP_USER"))
    (shop.folder / ".env").write_text("SHOP_PASSWORD=wrong-but-secret\nSHOP_USER=hidden-user\n")
    seen: list[Event] = []
    assert shop.lags(seen.append) == []
    (unknown,) = [event.details["error"] for event in seen if event.kind == "lag-unknown"]
    assert 'authentication failed for user "***"' in str(unknown)
    for path in (shop.folder / "lake" / "data").rglob("*"):
        if path.is_file():
            said = path.read_bytes()
            assert PASSWORD.encode() not in said and b"wrong-but-secret" not in said


@pytest.mark.parametrize("is_landed", [False, True], ids=["snapshot", "changes"])
def test_capture_on_a_full_disk_blames_no_batch(shop, database, is_landed):
    """No room for a snapshot, or for changes, is the operator's to mend: nothing lands, then all of it does."""
    if is_landed:
        shop.land()
    before = set(shop.known())
    fill(database, 1, 2000)
    child = shop.start("items", "--most-bytes", "100000")
    _, said = child.communicate()
    assert child.returncode == 1 and "There is no room left to write in" in said, said
    assert set(shop.known()) == before
    assert kinds(shop.land()).count("batch-held") == 0
    assert shop.differs() == []


def test_capture_says_how_much_of_the_log_waits(shop, database):
    """What the server keeps for the lake must be measured in bytes, with the most it may be."""
    shop.land_wholly()
    database.execute("create table others as select n, repeat('x', 1000) as x from generate_series(1, 20000) as n")
    behind, *_, allowed = shop.lags()
    assert behind[:2] == ("source_behind", "items") and behind[2] > 5_000_000 and behind[3] == "bytes"
    assert allowed == ("source_allowed_behind", "items", float(1 << 30), "bytes")
    shop.land()
    assert shop.lags()[0][2] < 1 << 20


def test_capture_says_how_long_the_oldest_change_has_waited(shop, database):
    """The age of the first change that is not in the lake must be told by the server's clock, 0 when all are there."""

    def told() -> float:
        ends = time.monotonic() + 60
        while not (found := [row for row in shop.lags() if row[0] == "source_oldest_waiting"]):
            assert time.monotonic() < ends  # on a busy machine it may be given up
        assert found[0][1::2] == ("items", "seconds")
        return found[0][2]

    fill(database, 1)
    shop.land_wholly()
    database.execute("create table others (id integer primary key)", "insert into others values (1)")
    assert told() == 0
    clock = "select extract(epoch from clock_timestamp())::float"
    times = [database.rows(clock)[0][0]]
    database.execute("insert into items values (100, 1, 1)")
    times += [database.rows(clock)[0][0]]
    database.execute("insert into items values (101, 1, 1)")
    times += [database.rows(clock)[0][0], told(), database.rows(clock)[0][0]]
    before, after, asked, age, answered = times
    assert asked - after <= age <= answered - before
    shop.land_wholly()
    assert told() == 0 and shop.differs() == []


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_capture_of_any_work_ends_with_the_table_and_a_history_that_leads_to_it(shop, database, postgres):
    """Random transactions of three writers, with kills of landings, lines and the server: the view is the table at the
    end, and the history gives it again change by change."""
    chance = random.Random(7)
    shop.land()
    for _round in range(6):
        with ThreadPoolExecutor(3) as pool:
            seeds = [chance.random() for _ in range(3)]
            for _ in pool.map(lambda seed: work(database, random.Random(seed)), seeds):
                pass
        trouble = chance.choice(["kill", "cut", "server", "none"])
        if trouble == "kill":
            place = chance.choice(["capture.py:_give", "capture.py:settle", "changes.py:_cut", "frames.py:append"])
            finished(shop.start("items", "--kill-at", place))
        elif trouble == "server":
            postgres.kill()
            postgres.start()
        cut = [when("batch-landed", lambda: database.rows(KILLED))] if trouble == "cut" else []
        shop.land(observers=cut)
    assert shop.differs() == []
    rows: dict[int, tuple] = {}
    for kind, key, note, price in shop.history("_change, id, note, price"):
        if kind in ("truncate", "baseline"):
            rows.clear()
        elif kind == "delete":
            del rows[key]
        else:
            assert (key in rows) is (kind == "update"), (kind, key)
            rows[key] = (key, note, price)
    assert sorted(rows.values()) == database.rows("select id, note, price from items order by id")


def work(database: Database, chance: random.Random) -> None:
    """Some transactions of one writer, some of them rolled back; what others hold locked is left to them."""
    with closing(database.connect()) as opened, opened.cursor() as cursor:
        opened.autocommit = False
        for _ in range(15):
            try:
                for _ in range(chance.randint(1, 8)):
                    key, other = chance.randint(1, 60), chance.randint(1, 60)
                    statement = chance.choices(
                        [
                            f"insert into items values ({key}, {other}, {other}.25) on conflict do nothing",
                            f"update items set note = note + 1, price = {other} where id between {key} and {key + 5}",
                            f"update items set id = {other} + 1000 where id = {key}",
                            f"delete from items where id between {key} and {key + 2} or id > 1050",
                            "truncate items",
                        ],
                        [50, 25, 10, 14, 1],
                    )[0]
                    cursor.execute(statement)
            except psycopg2.Error:  # another writer was there first
                opened.rollback()
            if chance.random() < 0.2:
                opened.rollback()
            opened.commit()


def test_capture_goes_on_when_a_server_has_forgotten_what_it_heard(shop, database, postgres):
    """A server that dies forgets what its slot heard last: that is no other log, and nothing may land twice."""
    shop.land()
    heard = f"select confirmed_flush_lsn {SLOTS}"
    before = database.rows(heard)
    for first in (1, 50):
        fill(database, first)
        shop.land()
    postgres.kill()
    postgres.start()
    assert database.rows(heard) == before
    fill(database, 100)
    shop.land()
    assert shop.differs() == []
    assert len(set(shop.history("_lsn, _sequence"))) == len(shop.history())


def test_capture_of_a_server_that_was_set_back_is_told(shop, database, postgres):
    """A server that is a copy of itself from before the last landing must not be read on: what it writes now would be
    taken for what has been read."""
    database.execute("insert into items values (1, 1, 1)")
    shop.land()
    postgres.stop()
    with postgres.kept():
        postgres.start()
        fill(database, 10)
        shop.land()
        postgres.stop()
    postgres.start()
    database.execute("insert into items values (2, 2, 2)")
    with pytest.raises(SourceError, match="is an older state of itself.*land SOURCE --snapshot"):
        shop.land()
    fill(database, 50, 1000)
    with pytest.raises(SourceError, match="set back to an older state of itself, and has been written to since"):
        shop.land()
    shop.land("items", anew=True)
    database.execute("update items set note = 3 where id = 1")
    shop.land()
    assert shop.differs() == []
