"""Tables of a real PostgreSQL server, in a real lake: all of them, what is new, once each, from one snapshot."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.rework import admit_batch, refuse_batch
from flows.workplace import Workplace
from lake.errors import ContractError
from lake.sources.database.extract import table_deliveries
from tests.crash_parts import run_here, start_run
from tests.database_parts import (
    BATCHES,
    COLUMNS,
    MAKE,
    WATERMARK,
    Given,
    Lake,
    contract_of,
    fill,
    postgresql,
    read_table,
    visit_to,
    write_contract,
)
from tests.http_parts import ask
from tests.kafka_parts import landed
from tests.postgres_parts import Database

UNBOUNDED: Mapping[str, Any] = {"watermark": "read_at"}
NUMBERED: Mapping[str, Any] = {"watermark": "reading_id"}
REPLACED: Mapping[str, Any] = {"loadMode": "replace"}


@pytest.fixture
def readings(database: Database) -> Database:
    """A database with a table of 25 readings that the reading role may read."""
    database.execute(MAKE)
    fill(database, 1, 25)
    database.let_read()
    return database


def ok(folder: Path, *observers) -> None:
    outcome = run_here(folder, observers=observers)
    assert outcome.is_ok, outcome.failure


def test_postgres_lands_rows_typed_and_exact_and_rests_when_nothing_changed(tmp_path: Path, readings: Database) -> None:
    """Numbers are exact, instants UTC, every row says whence it came; run again there is no batch and no release."""
    write_contract(tmp_path, postgresql(readings))
    ok(tmp_path)

    found = ask(tmp_path, "select reading_id, epoch(read_at), site, kwh::text, _line, _source from raw.readings")
    place = f"postgresql://127.0.0.1:{readings.port}/{readings.name}/public.readings"
    assert sorted(found)[24] == (25, 1767225600.0 + 25 * 3600, "site 1", "25.125", 25, place)
    releases = ask(tmp_path, "from ops.releases order by all")
    seen: list = []
    ok(tmp_path, seen.append)
    assert [event.kind for event in seen if event.kind.startswith("source-")] == ["source-unchanged"]
    assert ask(tmp_path, "from ops.releases order by all") == releases
    assert ask(tmp_path, BATCHES) == [("landed", 25, 25, 0, 0, "2026-01-02 01:00:00+00")]


def test_postgres_reads_on_from_the_watermark_less_the_lateness(tmp_path: Path, readings: Database) -> None:
    """What is new is read, what comes late within the lateness is caught, what is met again is counted as duplicate."""
    lake = Lake(tmp_path, postgresql(readings))
    lake.land()
    fill(readings, 26, 30)
    readings.execute("insert into readings values (100, '2026-01-01 23:30+00', 'late', 1)")
    readings.execute("update readings set kwh = 0, read_at = '2026-01-02 02:30+00' where reading_id = 3")

    assert lake.land().counts == [(11, 7, 0, 4)]
    assert lake.ids == sorted([*range(1, 31), 3, 100])
    assert [str(row[1]) for row in lake.rows("reading_id, kwh") if row[0] == 3] == ["0.000", "3.125"]


@pytest.mark.parametrize("table", [WATERMARK, UNBOUNDED, NUMBERED, {}, REPLACED], ids=str)
def test_postgres_unchanged_table_lands_nothing(tmp_path: Path, readings: Database, table: Mapping[str, Any]) -> None:
    """Nothing new: nothing is landed, however the table is read, and in however many batches."""
    lake = Lake(tmp_path, postgresql(readings, rowsPerBatch=10), table)
    assert sum(batch[1] for batch in lake.land().counts) == 25
    again = lake.land()
    assert again.counts == []
    assert again.kinds == ["source-unchanged"]


def test_postgres_integer_watermark_reads_what_is_greater(tmp_path: Path, readings: Database) -> None:
    """A number that is the key is read from strictly; with an overlap some are read again, and late ones are met."""
    lake = Lake(tmp_path / "overlap", postgresql(readings, overlap=5), NUMBERED)
    strict = Lake(tmp_path / "strict", postgresql(readings), NUMBERED)
    readings.execute("delete from readings where reading_id = 23")
    lake.land()
    strict.land()
    fill(readings, 23, 23)
    fill(readings, 26, 27)
    assert lake.land().counts == [(7, 3, 0, 4)]
    assert strict.land().counts == [(2, 2, 0, 0)]
    assert lake.ids == list(range(1, 28))


def test_postgres_equal_watermarks_are_all_read(tmp_path: Path, readings: Database) -> None:
    """Without lateness, a row that comes later with the greatest watermark there was is met all the same."""
    readings.execute("update readings set read_at = '2026-02-01 00:00+00' where reading_id > 20")
    lake = Lake(tmp_path, postgresql(readings, rowsPerBatch=2), UNBOUNDED)
    lake.land()
    readings.execute("insert into readings values (7000, '2026-02-01 00:00+00', 'twin', 1)")
    lake.land()
    assert lake.ids == [*range(1, 26), 7000]


def test_postgres_rows_without_watermark_are_read_each_time(tmp_path: Path, readings: Database) -> None:
    """A row whose watermark is null lands, once; a change among such rows is noticed."""
    readings.execute("alter table readings alter read_at drop not null")
    readings.execute("insert into readings values (90, null, 'unknown', 1)")
    lake = Lake(tmp_path, postgresql(readings), WATERMARK, COLUMNS.replace(", required: true", ""))
    assert lake.land().counts == [(26, 26, 0, 0)]
    assert lake.land().counts == []
    readings.execute("insert into readings values (91, null, 'unknown', 1)")
    lake.land()
    assert lake.ids == [*range(1, 26), 90, 91]


def test_postgres_view_whose_watermark_is_missing_is_read_whole(tmp_path: Path, readings: Database) -> None:
    """Rows of an outer join have no watermark, though its type says that it is never null: they land, too."""
    readings.execute(
        "create domain moment as timestamptz not null",
        "create table seen (reading_id bigint primary key, at moment)",
        "insert into seen select reading_id, read_at from readings where reading_id <= 10",
        "create view watched as "
        "select reading_id, seen.at as read_at, kwh from readings left join seen using (reading_id)",
    )
    readings.let_read()
    assert len(read_table(tmp_path, postgresql(readings, table="watched")).rows) == 25


def test_postgres_full_reads_all_and_lands_what_differs(tmp_path: Path, readings: Database) -> None:
    """In full all is read each time: what is there already is a duplicate, what changed a new version."""
    lake = Lake(tmp_path, postgresql(readings, mode="full"))
    lake.land()
    readings.execute("update readings set kwh = 1 where reading_id = 7")
    assert lake.land().counts == [(25, 1, 0, 24)]


def test_postgres_replace_takes_the_place_of_all(tmp_path: Path, readings: Database) -> None:
    """With `loadMode: replace` a pass is the whole table in one commit, deleted rows are gone; an empty one is held."""
    write_contract(tmp_path, postgresql(readings, rowsPerBatch=10), REPLACED)
    ok(tmp_path)
    readings.execute("delete from readings where reading_id > 5")
    ok(tmp_path)
    readings.execute("delete from readings")
    assert not run_here(tmp_path).is_ok
    assert [row[1:3] for row in ask(tmp_path, BATCHES)][:2] == [(25, 25), (5, 5)]
    assert "would empty" in str(ask(tmp_path, "select error from ops.ingestion_log where status = 'held'"))
    assert ask(tmp_path, "select reading_id from raw.readings order by all") == [(1,), (2,), (3,), (4,), (5,)]


def test_postgres_cuts_a_table_into_batches_in_order(tmp_path: Path, readings: Database) -> None:
    """Batches are of bounded size, oldest first, each with its number, and together they are the table, once."""
    for limits in ({"rowsPerBatch": 10}, {"bytesPerBatch": 1, "fetchBytes": 1}):
        given = read_table(tmp_path, postgresql(readings, **limits))
        assert [row["reading_id"] for row in given.rows] == list(range(1, 26))
        assert [position["ordinal"] for position in given.positions] == [str(n + 1) for n in range(len(given.batches))]
        assert max(map(len, given.batches)) < 20


def test_postgres_reads_one_snapshot(tmp_path: Path, readings: Database) -> None:
    """What is written while a pass is under way belongs to the next one: rows are never of two moments."""
    contract = contract_of(tmp_path, postgresql(readings, rowsPerBatch=5, fetchBytes=1))
    found: list[dict] = []
    for delivery in table_deliveries(visit_to(contract, tmp_path, Given())):
        found += pq.read_table(delivery.path).to_pylist()
        readings.execute("update readings set kwh = 999", "delete from readings where reading_id = 25")
        fill(readings, 100 + len(found), 100 + len(found))
    assert [(row["reading_id"], row["kwh"]) for row in found] == [(i, f"{i}.125") for i in range(1, 26)]


def test_postgres_takes_the_place_of_an_api(tmp_path: Path, readings: Database) -> None:
    """A source that was pulled from an API until now is read whole, whatever position that has left, and counted on."""
    contract = contract_of(tmp_path, postgresql(readings))
    before = landed(contract, {"ordinal": "7", "paging": "cursor", "resume": "", "parts": "af4cfcaaee570c83,0b"})
    given = read_table(tmp_path, postgresql(readings), known=before)
    assert len(given.rows) == 25 and given.positions[0]["ordinal"] == "8"


def test_postgres_query_and_chosen_columns(tmp_path: Path, readings: Database) -> None:
    """A contract may hold a query of its own, or take only the columns that it names."""
    readings.execute("alter table readings add internal text default 'not ours'")
    given = read_table(tmp_path, postgresql(readings, columns="contract"))
    assert set(given.rows[0]) == {"reading_id", "read_at", "site", "kwh"}
    query = "with few as (select * from readings where site = 'site 1') select reading_id, read_at, kwh from few -- ok"
    with pytest.raises(ContractError, match="one select, without a semicolon"):
        read_table(tmp_path, postgresql(readings, query=f"{query};"))
    with pytest.raises(ContractError, match="one select, without a semicolon"):
        read_table(tmp_path, postgresql(readings, query="delete from readings"))
    given = read_table(tmp_path, postgresql(readings, query=query))
    assert [row["kwh"] for row in given.rows] == [f"{i}.125" for i in range(1, 26, 3)]
    assert given.origins[0] == f"postgresql://127.0.0.1:{readings.port}/{readings.name}/query"


def test_postgres_begins_where_the_contract_says(tmp_path: Path, readings: Database) -> None:
    """`startAt` is where the very first pass begins, that moment included."""
    given = read_table(tmp_path, postgresql(readings, startAt="2026-01-01 20:00+00"))
    assert [row["reading_id"] for row in given.rows] == [20, 21, 22, 23, 24, 25]


@pytest.mark.parametrize("table", [WATERMARK, UNBOUNDED, {}], ids=str)
def test_postgres_broken_off_is_read_on(tmp_path: Path, readings: Database, table: Mapping[str, Any]) -> None:
    """A pass that ended after two of its batches is read again from one snapshot; what had landed lands no more."""
    fill(readings, 26, 60)
    lake = Lake(tmp_path, postgresql(readings, rowsPerBatch=10, fetchBytes=1), table)
    assert [batch[1] for batch in lake.land(most=2).counts] == [10, 10]
    readings.execute("update readings set site = 'moved', read_at = '2026-05-01' where reading_id = 2")
    rest = lake.land()
    assert sum(batch[1] for batch in rest.counts) == 41
    assert set(lake.ids) == set(range(1, 61))
    assert len(lake.ids) == 61


def test_postgres_killed_reads_on_without_gap_or_double(tmp_path: Path, readings: Database) -> None:
    """A run that the kernel kills in the middle of its second batch: the next run ends with the table, once."""
    write_contract(tmp_path, postgresql(readings, rowsPerBatch=10), UNBOUNDED)
    killed = start_run(tmp_path, "--kill-at-event", "9")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    ok(tmp_path)
    assert ask(tmp_path, "select reading_id from raw.readings order by all") == [(i,) for i in range(1, 26)]


@pytest.mark.parametrize("decision", ["admit", "refuse"])
def test_postgres_held_batch_stops_the_source(tmp_path: Path, readings: Database, decision: str) -> None:
    """Nothing is read past a held batch; admitted its rows count, refused they are read again."""
    path = write_contract(tmp_path, postgresql(readings, rowsPerBatch=10))
    text = path.read_text()
    rule = "    quality: [{type: custom, name: enough, engine: soda, implementation: 'avg(kwh) > 7'}]\n    properties:"
    path.write_text(text.replace("    properties:", rule, 1))
    assert not run_here(tmp_path).is_ok  # the first ten average 5.625
    ((held,),) = ask(tmp_path, "select batch_id from ops.ingestion_log where status = 'held'")
    if decision == "admit":
        admit_batch(Workplace(tmp_path, is_quiet=True), held)
    else:
        refuse_batch(Workplace(tmp_path, is_quiet=True), held, "not enough")
        path.write_text(text)
    ok(tmp_path)
    assert ask(tmp_path, "select reading_id from raw.readings order by all") == [(i,) for i in range(1, 26)]
