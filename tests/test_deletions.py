"""Rows that a table has deleted, noticed by asking for its keys: kept as versions, gone from what stands."""

import signal
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lake.errors import ContractError, SourceError
from lake.odcs.reader import read_contract
from sql.current import current_views
from tests.crash_parts import run_here, start_run
from tests.database_parts import COLUMNS, MAKE, WATERMARK, fill, postgresql, read_table, sqlite, write_contract
from tests.http_parts import ask
from tests.postgres_parts import Database

FULL: Mapping[str, Any] = {}
MODEL = (
    "/*\ndescription: What stands.\ngrain: one row\nowner: energy\n*/\nselect sum(kwh) as kwh from raw.readings_current"
)
RULE = "    quality: [{name: some-kwh, type: custom, engine: duckdb, description: Some., implementation: kwh > 0}]\n"
STRICT = COLUMNS.replace("description: Where.}", "description: Where., required: true}") + RULE


class File:
    """A table of four readings in an SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.execute("create table readings (reading_id integer primary key, read_at text, site text, kwh real)")
        self.execute(
            "insert into readings select value, '2026-01-0' || value, 'site', value from "
            "(select 1 as value union all select 2 union all select 3 union all select 4)"
        )

    def execute(self, statement: str) -> None:
        with closing(sqlite3.connect(self.path)) as opened, opened:
            opened.execute(statement)


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "meters.db")


def set_up(folder: Path, table: Mapping[str, Any], columns: str = COLUMNS, **properties: Any) -> None:
    """Writes the contract, and a mart of what stands, so that models read it."""
    write_contract(folder, sqlite("meters.db", deletes="notice", **properties), table, columns)
    (folder / "sql" / "marts").mkdir(parents=True)
    (folder / "sql" / "marts" / "standing.sql").write_text(MODEL + "\n")


def run(folder: Path) -> None:
    outcome = run_here(folder)
    assert outcome.is_ok, outcome.failure


def standing(folder: Path) -> list[int]:
    return [row[0] for row in ask(folder, "select reading_id from raw.readings_current order by all")]


def gone(folder: Path) -> list[tuple[Any, ...]]:
    return ask(folder, "select reading_id, site, kwh from raw.readings where _deleted_at is not null order by all")


@pytest.mark.parametrize("table", [WATERMARK, FULL], ids=["incremental", "full"])
def test_deletions_are_versions_and_what_stands_lacks_them(tmp_path: Path, file: File, table: dict) -> None:
    """A deleted row is a version with its key alone, told once; models read what stands; all rows stay in raw."""
    set_up(tmp_path, table)
    run(tmp_path)
    assert (standing(tmp_path), gone(tmp_path)) == ([1, 2, 3, 4], [])
    file.execute("delete from readings where reading_id in (1, 3)")
    run(tmp_path)
    run(tmp_path)
    assert (standing(tmp_path), gone(tmp_path)) == ([2, 4], [(1, None, None), (3, None, None)])
    assert ask(tmp_path, "select kwh from marts.standing") == [(6.0,)]
    assert ask(tmp_path, "select count(*) from raw.readings") == [(6,)]
    assert ask(tmp_path, "select count(*) from ops.quarantine where category <> 'DUPLICATE_RECORD'") == [(0,)]


def test_deletions_end_when_the_row_is_back(tmp_path: Path, file: File) -> None:
    """A row inserted again with the very content stands again, and may go again."""
    set_up(tmp_path, FULL)
    run(tmp_path)
    for _ in range(2):
        file.execute("delete from readings where reading_id = 2")
        run(tmp_path)
        assert standing(tmp_path) == [1, 3, 4]
        file.execute("insert into readings values (2, '2026-01-02', 'site', 2)")
        run(tmp_path)
        assert standing(tmp_path) == [1, 2, 3, 4]
    assert gone(tmp_path) == [(2, None, None)] * 2


def test_deletions_need_nothing_that_rows_need(tmp_path: Path, file: File) -> None:
    """What the contract requires of a row is not asked of a deletion, and is asked of every row as before."""
    set_up(tmp_path, FULL, STRICT)
    file.execute("insert into readings values (5, '2026-01-05', null, 5), (6, '2026-01-06', 'site', -1)")
    run(tmp_path)
    assert standing(tmp_path) == [1, 2, 3, 4]
    refused = ask(tmp_path, "select line, category from ops.quarantine order by all")
    assert refused == [(5, "MISSING_REQUIRED_FIELD"), (6, "BUSINESS_RULE_VIOLATION")]
    file.execute("delete from readings where reading_id > 3")
    run(tmp_path)
    assert (standing(tmp_path), gone(tmp_path)) == ([1, 2, 3], [(4, None, None)])


def test_deletions_are_noticed_from_when_the_contract_asks(tmp_path: Path, file: File) -> None:
    """A table that was landed without them: the rows that have gone meanwhile are noticed, too."""
    write_contract(tmp_path, sqlite("meters.db"), WATERMARK)
    run(tmp_path)
    file.execute("delete from readings where reading_id = 1")
    set_up(tmp_path, WATERMARK)
    run(tmp_path)
    run(tmp_path)
    assert (standing(tmp_path), gone(tmp_path)) == ([2, 3, 4], [(1, None, None)])


@pytest.mark.parametrize("events", ["8", pytest.param("4 12", marks=pytest.mark.soak)])
def test_deletions_of_a_server_survive_a_kill(tmp_path: Path, database: Database, events: str) -> None:
    """On PostgreSQL: killed at any of its steps, the run is followed by one that ends with what the table holds."""
    database.execute(MAKE)
    fill(database, 1, 6)
    database.let_read()
    write_contract(tmp_path, postgresql(database, deletes="notice", rowsPerBatch=2), WATERMARK)
    run(tmp_path)
    database.execute("delete from readings where reading_id in (2, 5)")
    fill(database, 7, 9)
    for event in events.split():
        killed = start_run(tmp_path, "--kill-at-event", event)
        killed.communicate()
        assert killed.returncode in (-signal.SIGKILL, 0)
    run(tmp_path)
    assert standing(tmp_path) == [1, 3, 4, 6, 7, 8, 9]
    assert gone(tmp_path) == [(2, None, None), (5, None, None)]


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        ({}, COLUMNS.replace("primaryKey: true, primaryKeyPosition: 1", "required: true"), "no primary key"),
        ({"loadMode": "replace"}, COLUMNS, "keeps no later version"),
        ({"duplicatePolicy": "first-wins"}, COLUMNS, "keeps no later version"),
        ({}, COLUMNS.replace("{name: site", "{name: site, physicalName: _deleted_at"), "the column '_deleted_at'"),
    ],
)
def test_deletions_are_refused_where_none_could_be_told(
    tmp_path: Path, table: dict, columns: str, message: str
) -> None:
    """Without a key, or where later versions are not kept, the contract is refused with its cure."""
    with pytest.raises(ContractError, match=message):
        read_contract(write_contract(tmp_path, sqlite("meters.db", deletes="notice"), table, columns))


def test_deletions_late_old_version_does_not_bring_a_row_back(tmp_path: Path, file: File) -> None:
    """What stands is by watermark: an older version that lands later replaces no newer one."""
    set_up(tmp_path, WATERMARK)
    contract = read_contract(tmp_path / "lake" / "contracts" / "readings.yaml")
    assert 'order by "read_at" desc nulls last' in current_views([contract])["raw.readings_current"].sql


def test_deletions_are_not_taken_from_a_column_of_the_table(tmp_path: Path, file: File) -> None:
    """A table with a column of the name that deletions are told by is refused: its rows would be taken for gone."""
    file.execute("alter table readings add _deleted_at text")
    with pytest.raises(SourceError, match="has the column '_deleted_at'.*columns: contract"):
        read_table(tmp_path, sqlite("meters.db", deletes="notice"), FULL)
    assert len(read_table(tmp_path, sqlite("meters.db", deletes="notice", columns="contract"), FULL).rows) == 4
