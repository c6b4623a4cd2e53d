"""A PostgreSQL server that fails in every way: tried again, given up with a cure, and never with a password."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lake.errors import SettingsError, SourceError
from lake.run import Event
from lake.sources.database.extract import table_deliveries
from tests.crash_parts import run_here
from tests.database_parts import (
    MAKE,
    PASSWORD_NAME,
    SECRETS,
    Given,
    Lake,
    contract_of,
    fill,
    postgresql,
    read_table,
    visit_to,
    write_contract,
)
from tests.postgres_parts import PASSWORD, Cluster, Database
from tests.tcp_parts import cable_to

WIDE = "update readings set site = site || repeat('x', 3000)"


@pytest.fixture
def readings(database: Database) -> Database:
    """A database with a table of 2000 readings of 3 kB each."""
    database.execute(MAKE)
    fill(database, 1, 2000)
    database.execute(WIDE)
    database.let_read()
    return database


def numbers(given: Given) -> list[int]:
    return sorted(row["reading_id"] for row in given.rows)


def test_postgres_faults_cut_in_the_middle_is_read_again(tmp_path: Path, readings: Database) -> None:
    """A connection that breaks while rows come is made anew; what had been given is not given twice."""
    with cable_to(readings.port, after=1_500_000, cuts=6) as cable:
        server = {**postgresql(readings, rowsPerBatch=300, fetchBytes=100_000), "port": cable.port}
        given = read_table(tmp_path, server)
    assert numbers(given) == list(range(1, 2001))
    assert given.kinds == ["database-retried"] * 3 + ["source-read"]


def test_postgres_faults_killed_server_is_waited_for(tmp_path: Path, readings: Database, postgres: Cluster) -> None:
    """A server that dies amid a read and comes back within the time given costs nothing but that time."""
    contract = contract_of(tmp_path, postgresql(readings, rowsPerBatch=300, fetchBytes=100_000))
    given, found = Given(), []
    visit = visit_to(contract, tmp_path, given)
    visit = replace(visit, pause=lambda _seconds: postgres.start() if len(given.kinds) == 2 else None)
    for delivery in table_deliveries(visit):
        found += pq.read_table(delivery.path).column("reading_id").to_pylist()
        if len(found) == 300:
            postgres.kill()
    assert sorted(found) == list(range(1, 2001))
    assert given.kinds == ["database-retried"] * 2 + ["source-read"]


def test_postgres_faults_dead_server_is_given_up_in_time(tmp_path: Path, readings: Database, postgres: Cluster) -> None:
    """A server that stays away is given up after the time that is allowed; what had landed stays, and is read on."""
    lake = Lake(tmp_path, postgresql(readings, giveUpAfter="20 seconds", rowsPerBatch=300, fetchBytes=100_000))
    lake.land(most=2)
    postgres.stop()
    given = Given()
    try:
        with pytest.raises(SourceError, match=r"cannot be read: .*refused.* Tried \d times\. Nothing was lost"):
            read_table(tmp_path, lake.server, into=given)
    finally:
        postgres.start()
    assert 5 < sum(given.waits) <= 20
    lake.land()
    assert lake.ids == list(range(1, 2001))


REFUSED = {
    "password": ({}, {PASSWORD_NAME: "wrong"}, "password authentication failed .* Check the user and the secret"),
    "user": ({"user": "nobody"}, SECRETS, "authentication failed"),
    "database": ({"database": "nowhere"}, SECRETS, 'database "nowhere" does not exist'),
    "schema": ({"schema": "nowhere"}, SECRETS, "no table 'readings' in the schema 'nowhere'"),
    "table": ({"table": "reading"}, SECRETS, r"no table 'reading' in the schema 'public'\. Did you mean 'readings'"),
    "grant": ({"table": "secrets"}, SECRETS, r"permission denied for table secrets \(42501\) Let the role read it"),
    "query": ({"query": "select nothing from readings"}, SECRETS, r'column "nothing" does not exist \(42703\)'),
    "writing": ({"query": "with w as (delete from readings returning *) select * from w"}, SECRETS, "refuses: "),
    "mark": ({"query": "select 1 as reading_id"}, SECRETS, "no column 'read_at', by which the contract asks"),
    "type": ({"query": "select 'now' as read_at"}, SECRETS, "The watermark 'read_at' is a text"),
    "ssl": ({"sslMode": "require"}, SECRETS, "SSL was required"),
    "slow": ({"query": "select *, pg_sleep(60) from readings", "statementTimeout": "1 second"}, SECRETS, "stopped the"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_postgres_faults_refusals_fail_at_once(tmp_path: Path, readings: Database, fault: str) -> None:
    """What will not pass is told at once, in the database's words, with a cure and the contract's path, no password."""
    told, secrets, message = REFUSED[fault]
    readings.execute("create table secrets (reading_id integer, read_at timestamptz)")
    standard = {key: value for key, value in told.items() if key in ("database", "schema")}
    ours = {key: value for key, value in told.items() if key not in standard}
    given = Given()
    contract = contract_of(tmp_path, {**postgresql(readings, **ours), **standard})
    with pytest.raises(SourceError, match=message) as caught:
        list(table_deliveries(visit_to(contract, tmp_path, given, secrets=secrets)))
    assert given.waits == []
    assert caught.value.path == contract.path
    assert PASSWORD not in str(caught.value) and "wrong" not in str(caught.value).replace(str(tmp_path), "")
    assert readings.rows("select count(*) from readings") == [(2000,)]


def test_postgres_faults_secret_that_is_not_set(tmp_path: Path, readings: Database) -> None:
    """A password that nobody has set is told by the name under which it should be."""
    contract = contract_of(tmp_path, postgresql(readings))
    with pytest.raises(SettingsError, match=PASSWORD_NAME):
        list(table_deliveries(visit_to(contract, tmp_path, Given(), secrets={})))


def test_postgres_faults_password_is_in_no_output(tmp_path: Path, readings: Database, postgres: Cluster) -> None:
    """Neither a run that goes well nor one that fails writes the password anywhere, in the lake or beside it."""
    write_contract(tmp_path, postgresql(readings, giveUpAfter="1 second"))
    events: list[Event] = []
    assert run_here(tmp_path, observers=(events.append,)).is_ok
    postgres.stop()
    try:
        outcome = run_here(tmp_path, observers=(events.append,))
    finally:
        postgres.start()
    assert not outcome.is_ok
    (tmp_path / ".env").unlink()
    told = json.dumps(outcome.as_json(), default=str) + repr(events)
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for form in (PASSWORD, PASSWORD.split()[0], PASSWORD.split()[-1]):
        assert form not in told
        assert not any(form.encode() in content for content in files)


def test_postgres_faults_wrong_clocks_change_nothing(tmp_path: Path, readings: Database) -> None:
    """Moments come from the rows alone: a future moment that the contract refuses moves no watermark."""
    path = write_contract(tmp_path, postgresql(readings))
    rule = "required: true, logicalTypeOptions: {maximum: '2030-01-01T00:00:00Z'}"
    path.write_text(path.read_text().replace("required: true", rule))
    columns = path.read_text().split("    properties:\n")[1]
    lake = Lake(tmp_path, postgresql(readings), columns=columns)
    readings.execute("insert into readings values (9000, '2099-01-01', 'clock', 1)")
    lake.land()
    fill(readings, 2001, 2005)
    lake.land()
    assert lake.ids == list(range(1, 2006))


def test_postgres_faults_full_disk_blames_no_batch(tmp_path: Path, readings: Database) -> None:
    """No room for what is read is the operator's to mend: nothing lands, and with room it lands whole."""
    contract = contract_of(tmp_path, postgresql(readings))
    visit = visit_to(contract, tmp_path, Given())
    (tmp_path / "scratch" / "readings.1.parquet").symlink_to("/dev/full")
    with pytest.raises(SettingsError, match="There is no room left to write"):
        list(table_deliveries(visit))
    assert not (tmp_path / "scratch" / "readings.1.parquet").exists()
    assert len(list(table_deliveries(visit))) == 1
