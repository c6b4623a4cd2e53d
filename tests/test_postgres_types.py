"""Every common type of PostgreSQL, from its edges to null: in raw exactly as the contract promises it, or refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lake.errors import SourceError
from tests.database_parts import Lake, postgresql, read_table
from tests.landing_parts import quarantine_rows
from tests.postgres_parts import ADMIN, Cluster, Database

MAKE = """
create type mood as enum ('glad', 'sad');
create type spot as (x integer, y numeric);
create domain positive as integer check (value > 0);
create domain percent as numeric(5, 2);
create table things (
    thing_id integer primary key, a_smallint smallint, a_bigint bigint, a_numeric numeric, a_price numeric(38, 9),
    a_real real, a_double double precision, a_text text, a_varchar varchar(20), a_char char(6), a_bool boolean,
    a_date date, a_time time, a_timetz timetz, a_timestamp timestamp, a_timestamptz timestamptz, a_uuid uuid,
    a_json json, a_jsonb jsonb, a_list integer[], a_texts text[], a_bytea bytea, a_mood mood, a_interval interval,
    a_inet inet, a_positive positive, a_percent percent, a_money money, a_spot spot, a_bits bit(3), a_range int4range
);
"""
ROWS = """
insert into things values (
    1, -32768, 9223372036854775807, 12345678901234567890.123456789, 12345678901234567890123456789.123456789,
    1.1, 0.1, 'höhe, "q" \n;', 'short', 'ab', true,
    '2024-02-29', '23:59:59.5', '12:00+05:30', '1999-12-31 23:59:59.999999', '2026-01-01 00:00+05:30',
    '00000000-0000-0000-0000-0000000000ff', '{"a": [1, 2.50]}', '{"b": null}', '{1,null,3}', '{"x,y",NULL}',
    '\\x00ff', 'sad', '1 year 2 days 3 hours', '10.0.0.1/8', 7, 12.50, 1234.56, '(1,2.5)', B'101', '[1,5)'
);
insert into things (thing_id) values (2);
"""
KINDS = {  # the contract's type, and what raw holds of the first row, as DuckDB writes it
    "a_smallint": ("integer", "smallint", "-32768"),
    "a_bigint": ("integer", "bigint", "9223372036854775807"),
    "a_numeric": ("number", "decimal(38,9)", "12345678901234567890.123456789"),
    "a_price": ("number", "decimal(38,9)", "12345678901234567890123456789.123456789"),
    "a_real": ("number", "float", "1.1"),
    "a_double": ("number", "double", "0.1"),
    "a_text": ("string", "varchar", 'höhe, "q" \n;'),
    "a_varchar": ("string", "varchar", "short"),
    "a_char": ("string", "varchar", "ab"),
    "a_bool": ("boolean", "boolean", "true"),
    "a_date": ("date", "date", "2024-02-29"),
    "a_time": ("string", "varchar", "23:59:59.5"),
    "a_timetz": ("string", "varchar", "12:00:00+05:30"),
    "a_timestamp": ("timestamp", "timestamp", "1999-12-31 23:59:59.999999"),
    "a_timestamptz": ("timestamp", "timestamptz", "2025-12-31 18:30:00+00"),
    "a_uuid": ("string", "varchar", "00000000-0000-0000-0000-0000000000ff"),
    "a_json": ("object", "json", '{"a": [1, 2.50]}'),
    "a_jsonb": ("object", "json", '{"b": null}'),
    "a_list": ("array", "json", "[1,null,3]"),
    "a_texts": ("array", "json", '["x,y",null]'),
    "a_bytea": ("string", "varchar", "\\x00ff"),
    "a_mood": ("string", "varchar", "sad"),
    "a_interval": ("string", "varchar", "P1Y2DT3H"),
    "a_inet": ("string", "varchar", "10.0.0.1/8"),
    "a_positive": ("integer", "integer", "7"),
    "a_percent": ("number", "decimal(5,2)", "12.50"),
    "a_money": ("number", "decimal(18,2)", "1234.56"),
    "a_spot": ("object", "json", '{"x":1,"y":2.5}'),
    "a_bits": ("string", "varchar", "101"),
    "a_range": ("string", "varchar", "[1,5)"),
}
KEY = "      - {name: thing_id, logicalType: integer, description: Key., primaryKey: true, primaryKeyPosition: 1}\n"
STUBBORN = (  # settings of a database that change how values are written
    "alter database {0} set datestyle to 'German, DMY'",
    "alter database {0} set timezone to 'Asia/Kolkata'",
    "alter database {0} set extra_float_digits to -3",
    "alter database {0} set intervalstyle to 'sql_standard'",
    "alter database {0} set bytea_output to 'escape'",
    "alter database {0} set client_encoding to 'LATIN1'",
)


def columns(*names: str) -> str:
    written = [
        f"      - {{name: {name}, logicalType: {KINDS[name][0]}, physicalType: '{KINDS[name][1]}', description: A.}}\n"
        for name in names
    ]
    return KEY + "".join(written)


def things(database: Database, **properties: Any) -> Mapping[str, Any]:
    return postgresql(database, **{"table": "things", **properties})


def test_postgres_types_are_exact_in_raw(tmp_path: Path, database: Database) -> None:
    """Every type arrives whole, whatever settings the database has for writing values; null is null everywhere."""
    database.execute(MAKE, ROWS, *(setting.format(database.name) for setting in STUBBORN))
    database.let_read("things")
    lake = Lake(tmp_path, things(database), {}, columns(*KINDS))
    assert lake.land().counts == [(2, 2, 0, 0)]
    found = lake.rows(", ".join(["thing_id", *(f"{name}::varchar" for name in KINDS)]))
    assert dict(zip(KINDS, found[0][1:], strict=True)) == {name: kind[2] for name, kind in KINDS.items()}
    assert set(found[1][1:]) == {None}


UNHOLDABLE = {
    "a_numeric": ("'NaN'", "'Infinity'", "'-Infinity'", "1e30"),
    "a_double": ("'NaN'", "'-Infinity'"),
    "a_date": ("'infinity'", "'4000-01-01 BC'"),
    "a_timestamp": ("'-infinity'", "'0044-03-15 BC'"),
    "a_timestamptz": ("'infinity'", "'294276-12-31 23:59:59+00'"),  # PostgreSQL's last instant; DuckDB's is 294247
}


def test_postgres_types_that_no_column_can_hold_are_quarantined(tmp_path: Path, database: Database) -> None:
    """A numeric that is no number, an infinite date, a year before Christ: quarantined with the reason."""
    database.execute(MAKE)
    wrong = [(column, value) for column, values in UNHOLDABLE.items() for value in values]
    for number, (column, value) in enumerate(wrong):
        database.execute(f"insert into things (thing_id, {column}) values ({number}, {value})")
    database.let_read("things")
    lake = Lake(tmp_path, things(database, columns="contract"), {}, columns(*UNHOLDABLE))
    lake.land()
    told = quarantine_rows(lake.store, "line, reasons::varchar")
    assert told == [(line, f"['type:{column}']") for line, (column, _) in enumerate(wrong, 1)]
    assert lake.rows("thing_id") == []


def test_postgres_types_of_names_that_need_quotes(tmp_path: Path, database: Database) -> None:
    """Reserved words, capitals, blanks, quotes and accents in names of schemas, tables and columns are no trouble."""
    database.execute(
        'create schema "My Schema"',
        'create table "My Schema"."Order ""x"" é" ("select" integer primary key, "Mixed Case" text, "a""b" date)',
        'insert into "My Schema"."Order ""x"" é" values (1, \'one\', \'2026-01-01\')',
    )
    server = {**things(database, user=ADMIN, table='Order "x" é'), "schema": "My Schema"}
    written = (
        "      - {name: thing_id, physicalName: select, logicalType: integer, description: Its number.}\n"
        "      - {name: told, physicalName: Mixed Case, logicalType: string, description: What.}\n"
        "      - {name: at, physicalName: 'a\"b', logicalType: date, description: When.}\n"
    )
    lake = Lake(tmp_path, server, {"watermark": "at"}, written)
    assert lake.land().counts == [(1, 1, 0, 0)]
    assert lake.rows("thing_id, told") == [(1, "one")]
    assert lake.land().counts == []


def test_postgres_types_of_a_query(tmp_path: Path, database: Database) -> None:
    """The columns of a query are read as those of a table are, also where no row tells their types."""
    database.execute(MAKE, ROWS)
    database.let_read("things")
    query = "select thing_id, a_money, a_list, a_percent, a_timestamp as read_at, 'x' as word from things"
    for where, count in (("", 2), (" where false", 0)):
        given = read_table(tmp_path, postgresql(database, query=query + where, mode="full"))
        assert len(given.rows) == count
        if count:
            assert given.rows[0] == {
                "thing_id": 1,
                "a_money": "1234.56",
                "a_list": "[1,null,3]",
                "a_percent": "12.50",
                "read_at": "1999-12-31 23:59:59.999999",
                "word": "x",
            }


@pytest.mark.parametrize("policy", ["quarantine", "evolve", "refuse"])
def test_postgres_types_that_change_follow_the_drift_policy(tmp_path: Path, database: Database, policy: str) -> None:
    """A column whose type changes in the database, and a new one, are judged as in any delivery."""
    database.execute("create table things (thing_id integer primary key, a_smallint smallint)")
    database.execute("insert into things values (1, 1)")
    database.let_read("things")
    lake = Lake(tmp_path, things(database), {"driftPolicy": policy}, columns("a_smallint"))
    assert lake.land().counts == [(1, 1, 0, 0)]
    database.execute("alter table things alter a_smallint type text", "insert into things values (2, 'many')")
    retyped = lake.land()
    assert retyped.counts == [(2, 0, 1, 1)]
    told = [event.details["change"] for event in retyped.events if event.kind == "schema-drifted"]
    assert told == ["a_smallint is text in the database, and was int2"]
    database.execute("alter table things add extra text default 'new'", "insert into things values (3, '3')")
    if policy == "refuse":
        with pytest.raises(SourceError, match="has the unknown extra, and the contract of 'readings' refuses drift"):
            lake.land()
    else:
        accepted = {"quarantine": 0, "evolve": 1}[policy]
        assert lake.land().counts[0][1] >= accepted


def test_postgres_types_of_a_database_in_another_encoding(
    tmp_path: Path, postgres: Cluster, database: Database
) -> None:
    """Text of a database that is kept in Latin-1 arrives as the same letters."""
    latin = Database(f"{database.name}_latin", database.port)
    made = f"create database {latin.name} encoding 'LATIN1' locale 'C' template template0"
    postgres.postmaster.execute(made)
    latin.execute(
        "create table things (thing_id integer primary key, a_text text)", "insert into things values (1, 'höhe')"
    )
    latin.let_read()
    lake = Lake(tmp_path, things(latin), {}, columns("a_text"))
    lake.land()
    postgres.drop_database(latin)
    assert lake.rows("a_text") == [("höhe",)]
