"""Tables of SQLite files, whose values have types of their own: read exactly, whole or what is new."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lake.errors import ContractError, SourceError
from lake.odcs.reader import read_contract
from tests.database_parts import COLUMNS, WATERMARK, Lake, read_table, sqlite, write_contract
from tests.landing_parts import quarantine_rows

UNBOUNDED = {"watermark": "read_at"}


class File:
    """An SQLite file, changed by statements."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as opened, opened:
            for statement in statements:
                opened.execute(statement)


@pytest.fixture
def readings(tmp_path: Path) -> Iterator[File]:
    """A file with a table of 25 readings, one an hour."""
    file = File(tmp_path / "meters and more?.db")
    file.execute(
        "create table readings (reading_id integer primary key, read_at text, site text, kwh real)",
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 25) insert into readings "
        "select i, strftime('%Y-%m-%dT%H:%M:%SZ', '2026-01-01', i || ' hours'), 'site', i + 0.125 from n",
    )
    return file


def of(file: File, **properties: object) -> dict:
    return dict(sqlite(file.path.name, **properties))


@pytest.mark.parametrize(
    "table", [WATERMARK, UNBOUNDED, {"watermark": "reading_id"}, {}, {"loadMode": "replace"}], ids=str
)
def test_sqlite_lands_once_and_reads_on(tmp_path: Path, readings: File, table: dict) -> None:
    """All lands once; unchanged it lands nothing; what is new is met, whichever way moments are written."""
    lake = Lake(tmp_path, of(readings, rowsPerBatch=10), table)
    assert sum(batch[1] for batch in lake.land().counts) == 25
    assert lake.land().counts == []
    readings.execute("insert into readings values (26, '2026-01-02 02:00:00+00:00', 'new', 1)")
    lake.land()
    assert lake.ids == list(range(1, 27))


def test_sqlite_values_are_exact_whatever_their_type(tmp_path: Path, readings: File) -> None:
    """A column may hold values of any type, null first: each arrives as what it is, or is quarantined for it."""
    readings.execute(
        "delete from readings",
        "insert into readings values (1, '2026-01-01', null, null), (2, '2026-01-01', 'höhe', 0.1), "
        "(3, '2026-01-01', 7, 12345678.125), (4, '2026-01-01', '', 'many'), (5, '2026-01-01', x'00ff', 1e300), "
        "(6, '2026-01-01', 9223372036854775807, 2.0), (7, '2026-01-01', cast(x'ff41' as text), 1), "
        "(8, '2026-01-01', 'a' || char(0) || 'b', 1)",
    )
    text = COLUMNS.replace('physicalType: "decimal(12,3)"', "physicalType: double")
    lake = Lake(tmp_path, of(readings), {}, text)
    assert lake.land().counts == [(8, 7, 1, 0)]
    assert lake.rows("reading_id, site, kwh") == [
        (1, None, None),
        (2, "höhe", 0.1),
        (3, "7", 12345678.125),
        (5, "\\x00ff", 1e300),
        (6, "9223372036854775807", 2.0),
        (7, "\\xff41", 1.0),  # text that is no text
        (8, "a\0b", 1.0),
    ]
    assert quarantine_rows(lake.store, "line, column_name") == [(4, "kwh")]
    readings.execute("update readings set kwh = 0.1 + 0.2 where reading_id = 2")
    assert 0.1 + 0.2 in [
        row["kwh"] and float(row["kwh"]) for row in read_table(tmp_path, of(readings), {}, columns=text).rows[:3]
    ]


def test_sqlite_reads_columns_that_are_computed(tmp_path: Path, readings: File) -> None:
    """A generated column is a column like any other."""
    readings.execute("alter table readings add twice real generated always as (kwh * 2) virtual")
    assert [row["twice"] for row in read_table(tmp_path, of(readings), {}).rows[:2]] == ["2.25", "4.25"]


def test_sqlite_faults_say_what_to_mend(tmp_path: Path, readings: File) -> None:
    """A file that is missing or none, a table or column that is not there: said with its cure, and nothing written."""
    for server, message in (
        (sqlite("nowhere.db"), "there is no such file"),
        (of(readings, table="reading"), "has no table 'reading'. Did you mean 'readings'"),
        (of(readings, query="select 1 as one"), "no column 'read_at'"),
        (of(readings, query="select from readings"), 'near "from": syntax error'),
    ):
        with pytest.raises(SourceError, match=message.replace(".", r"\.")):
            read_table(tmp_path, server)
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database, and long enough to be none" * 50)
    with pytest.raises(SourceError, match="file is not a database"):
        read_table(tmp_path, sqlite("broken.db"))
    assert not (tmp_path / "nowhere.db").exists()


def test_sqlite_contract_takes_only_what_it_can_keep(tmp_path: Path) -> None:
    """Properties that mean nothing are refused, each with its line."""
    wrong = {
        "mode": ("sometimes", "Custom property 'mode' is 'sometimes'"),
        "rowsPerBatch": (0, "whole number from 1 on"),
        "overlap": (5, "counts numbers, and the watermark is none"),
    }
    for name, (value, message) in wrong.items():
        with pytest.raises(ContractError, match=message):
            read_contract(write_contract(tmp_path, sqlite("a.db", **{name: value})))
