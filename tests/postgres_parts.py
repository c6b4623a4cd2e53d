"""A private PostgreSQL server from Debian's packages, for tests: started, stopped, killed and restarted at will.

It lives in a folder of its own, listens on a free port of 127.0.0.1 and on a socket in that folder, asks every role for
a password, and writes a log from which changes can be decoded. It dies with the process that started it, even when that
is killed. As root it runs as the user `postgres`, since the server refuses to run as root.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection

PACKAGES = "postgresql-15"
ADMIN, READER, REPLICATOR = "sluice_admin", "sluice_reader", "sluice_replicator"
PASSWORD = "pa:ss/w@rd%20 'quoted' 7f3c"  # of all three: nothing in it may be taken for a part of an address
LONGEST_START_SECONDS = 60
LONGEST_STOP_SECONDS = 60
CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '{folder}'
port = {port}
wal_level = logical
max_wal_senders = 12
max_replication_slots = 12
max_connections = 60
shared_buffers = 32MB
password_encryption = 'scram-sha-256'
fsync = {durable}
full_page_writes = {durable}
logging_collector = off
log_line_prefix = '%m [%p] %u@%d '
"""
WHO_MAY = """
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""
ROLES = f"""
create role {READER} login password %(password)s;
create role {REPLICATOR} login replication password %(password)s;
"""


@dataclass(frozen=True)
class Database:
    """One database of a server, opened as its administrator unless another role is named."""

    name: str
    port: int
    host: str = "127.0.0.1"

    def connect(self, role: str = ADMIN, **options: Any) -> connection:
        """Gives a connection that commits every statement at once; set `autocommit` to False for transactions."""
        given = {"host": self.host, "port": self.port, "dbname": self.name, "user": role, "password": PASSWORD}
        opened = psycopg2.connect(**{**given, "connect_timeout": 10, **options})
        opened.autocommit = True
        return opened

    def execute(self, *statements: str, values: Sequence[Any] | None = None) -> None:
        """Runs statements, each in a transaction of its own."""
        with closing(self.connect()) as opened, opened.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement, values)

    def rows(self, query: str, values: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Gives the rows of a query."""
        with closing(self.connect()) as opened, opened.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def let_read(self, *tables: str) -> None:
        """Lets the reading and the replicating role read tables, all of the schema `public` when none is named."""
        what = ", ".join(tables) or "all tables in schema public"
        self.execute(f"grant select on {what} to {READER}, {REPLICATOR}")


@dataclass
class Cluster:
    """A server in a folder. `durable` False is quicker, and loses data when the machine dies, not when it does."""

    folder: Path
    port: int
    durable: bool = False
    _server: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _count: int = 0

    @property
    def postmaster(self) -> Database:
        """The database that is always there."""
        return Database("postgres", self.port)

    @property
    def log(self) -> str:
        """What the server has written."""
        return (self.folder / "server.log").read_text("utf-8", errors="replace")

    def start(self) -> None:
        """Starts the server, waits until it answers, and leaves it to the process that called."""
        command = [_program("postgres"), "-D", str(self.folder / "data")]
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                _as_server(command, "--pdeathsig", "QUIT"), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/"
            )
        ends = time.monotonic() + LONGEST_START_SECONDS
        while True:
            assert self._server.poll() is None, f"PostgreSQL does not start:\n{self.log[-3000:]}"
            with suppress(psycopg2.OperationalError):
                self.postmaster.connect().close()
                return
            assert time.monotonic() < ends, f"PostgreSQL does not answer:\n{self.log[-3000:]}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stops the server in good order, its connections cut; nothing happens when none runs."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kills the server and all that it started, at once, as the machine's end would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stops the server in good order when it runs, and starts it again at the same port."""
        self.stop()
        self.start()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Sets the server, which must be stopped, back to what it is now, as a copy of its machine would."""
        data, copy = self.folder / "data", self.folder / "copy"
        subprocess.run(["cp", "--archive", str(data), str(copy)], check=True)
        yield
        shutil.rmtree(data)
        copy.rename(data)

    def create_database(self) -> Database:
        """Gives an empty database with a name of its own."""
        self._count += 1
        made = Database(f"test_{os.getpid()}_{self._count}", self.port)
        self.postmaster.execute(f'create database "{made.name}"')
        return made

    def drop_database(self, database: Database) -> None:
        """Drops a database with its replication slots, whoever is still connected."""
        ended = "select pg_terminate_backend(active_pid) from pg_replication_slots where database = %s and active"
        slots = "select slot_name from pg_replication_slots where database = %s and not active"
        ends = time.monotonic() + LONGEST_STOP_SECONDS
        while database.rows("select 1 from pg_replication_slots where database = %s", [database.name]):
            database.execute(ended, values=[database.name])
            for (slot,) in database.rows(slots, [database.name]):
                with suppress(psycopg2.Error):  # taken again, or gone
                    database.execute("select pg_drop_replication_slot(%s)", values=[slot])
            assert time.monotonic() < ends, f"the slots of {database.name} cannot be dropped"
        self.postmaster.execute(f'drop database if exists "{database.name}" with (force)')

    def _end(self, how: signal.Signals) -> None:
        server, self._server = self._server, None
        if server is None or server.poll() is not None:
            return
        started = _children(server.pid) if how == signal.SIGKILL else []
        server.send_signal(how)
        for process in started:
            with suppress(ProcessLookupError):
                os.kill(process, how)
        try:
            server.wait(LONGEST_STOP_SECONDS)
        finally:
            server.kill()
        while any(is_running(process) for process in started):
            time.sleep(0.01)


@contextmanager
def serving_postgres(*, durable: bool = False) -> Iterator[Cluster]:
    """Gives a running server with its three roles, and removes it whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-pg-", dir="/tmp"))  # a short way to the socket, open to `postgres`
    cluster = Cluster(folder, _free_port(), durable)
    try:
        _initialise(cluster)
        cluster.start()
        cluster.postmaster.execute(ROLES, values={"password": PASSWORD})  # type: ignore[arg-type]
        yield cluster
    finally:
        cluster.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(cluster: Cluster) -> None:
    secret = cluster.folder / "password"
    secret.write_text(PASSWORD)
    if os.geteuid() == 0:
        for path in (cluster.folder, secret):
            shutil.chown(path, "postgres", "postgres")
    command = [_program("initdb"), "-D", str(cluster.folder / "data"), "--username", ADMIN, "--pwfile", str(secret)]
    command += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
    done = subprocess.run(_as_server(command), capture_output=True, text=True, cwd="/", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    durable = "on" if cluster.durable else "off"
    told = CONFIGURATION.format(folder=cluster.folder, port=cluster.port, durable=durable)
    with (cluster.folder / "data" / "postgresql.conf").open("a") as settings:
        settings.write(told)
    (cluster.folder / "data" / "pg_hba.conf").write_text(WHO_MAY)


def _program(name: str) -> str:
    """Gives the newest of Debian's programs of a name."""
    found = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
        key=lambda path: [int(digits) for digits in re.findall(r"\d+", path.parts[4])],
    )
    assert found, f"These tests need PostgreSQL's server: apt-get install {PACKAGES} (no {name} in /usr/lib/postgresql)"
    return str(found[-1])


def _as_server(command: list[str], *options: str) -> list[str]:
    """Gives a command as the user that the server runs as: `postgres` for root, else oneself."""
    if os.geteuid() != 0:
        return ["setpriv", *options, *command] if options else command
    user = pwd.getpwnam("postgres")
    who = ["--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--init-groups"]
    return ["setpriv", *who, *options, *command]


def _children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def is_running(process: int) -> bool:
    """Says whether a process still does anything: one that only waits for its parent to hear of its end does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
