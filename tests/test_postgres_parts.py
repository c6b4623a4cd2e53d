"""The tests' own PostgreSQL server is a real one, and outlives nobody."""

import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing

import psycopg2
import pytest

from tests.postgres_parts import LONGEST_STOP_SECONDS, READER, REPLICATOR, Cluster, Database, is_running

SERVE_AND_WAIT = """\
from tests.postgres_parts import serving_postgres
with serving_postgres() as cluster:
    print(cluster.folder, (cluster.folder / "data" / "postmaster.pid").read_text().splitlines()[0], flush=True)
    input()
"""


def test_server_keeps_what_it_was_told_through_a_kill(postgres: Cluster, database: Database) -> None:
    """Rows that were committed are there after kill -9 and a new start at the same port."""
    database.execute("create table notes (note text)", "insert into notes values ('kept')")
    postgres.kill()
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        database.connect()
    postgres.start()
    assert database.rows("select note from notes") == [("kept",)]


def test_server_lets_nobody_in_without_the_password(database: Database) -> None:
    """Every role needs the password; the replicating one may replicate, the reading one only read what it is let."""
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        database.connect(READER, password="another")
    database.execute("create table notes (note text)")
    with closing(database.connect(READER)) as reader, reader.cursor() as cursor:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="permission denied for table notes"):
            cursor.execute("select * from notes")
        database.let_read("notes")
        cursor.execute("select * from notes")
    allowed = database.rows("select rolname from pg_roles where rolreplication and rolname ~ 'reader|replicator'")
    assert allowed == [(REPLICATOR,)]


def test_database_goes_with_its_replication_slots(postgres: Cluster) -> None:
    """A database is dropped although a slot decodes its changes."""
    made = postgres.create_database()
    made.execute("select pg_create_logical_replication_slot('left_behind', 'pgoutput')")
    postgres.drop_database(made)
    assert postgres.postmaster.rows("select 1 from pg_database where datname = %s", [made.name]) == []


def test_server_dies_with_its_tests() -> None:
    """When the process that started it is killed, the server stops by itself."""
    command = [sys.executable, "-c", SERVE_AND_WAIT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        folder, server = tests.stdout.readline().split()
        tests.send_signal(signal.SIGKILL)
    ends = time.monotonic() + LONGEST_STOP_SECONDS
    while is_running(int(server)):
        assert time.monotonic() < ends
        time.sleep(0.05)
    shutil.rmtree(folder)
