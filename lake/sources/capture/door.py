"""The one door to PostgreSQL's log: psycopg2, its errors translated once, and what connections are opened with."""

import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from lake.errors import SourceError
from lake.sources.capture.faults import fault_of
from lake.sources.capture.place import Captured
from lake.sources.database.client import Client, open_postgresql
from lake.sources.database.endpoint import read_endpoint
from lake.sources.database.postgresql import connection_string
from lake.sources.visit import Visit

if TYPE_CHECKING:
    from psycopg2.extensions import connection

SETTINGS = {  # what a server, database or role may have set so that values are written otherwise
    "datestyle": "ISO,YMD",
    "intervalstyle": "iso_8601",
    "timezone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "row_security": "off",  # what a policy hides from a snapshot would come in changes all the same: an error instead
}
# Between two deliveries nobody answers the server, and landing takes its time; a peer that is gone is noticed by TCP.
STREAM_SETTINGS = {"wal_sender_timeout": "0", "tcp_keepalives_idle": "60", "tcp_keepalives_interval": "10"}
NEVER = 86_400  # seconds between answers the driver gives by itself: only what is landed may be confirmed
WAIT_SECONDS = 0.5
LONGEST_SILENCE = 1800  # waits, of a server that reads through its log without finding anything to send


class Database:
    """One connection to the database that holds a captured table; it commits every statement at once."""

    def __init__(self, captured: Captured, visit: Visit) -> None:
        self.captured = captured
        with self._translating():
            self.connection = _connect(visit, SETTINGS)
            self.connection.autocommit = True

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Gives the rows of a query."""
        with self._translating(), self.connection.cursor() as cursor:
            cursor.execute(query, values or None)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    def execute(self, *statements: str) -> None:
        """Runs statements that give nothing."""
        with self._translating(), self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def close(self) -> None:
        """Lets the connection go, also a broken one."""
        _close(self.connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _translating(self) -> Iterator[None]:
        with translating(self.captured):
            yield


class LogStream:
    """A connection for replication: it makes slots, and reads one from a place on."""

    def __init__(self, captured: Captured, visit: Visit) -> None:
        from psycopg2.extras import LogicalReplicationConnection

        self.captured = captured
        with translating(captured):
            settings = {**SETTINGS, **STREAM_SETTINGS}
            self._connection = _connect(visit, settings, connection_factory=LogicalReplicationConnection)
            self._cursor: Any = self._connection.cursor()
        self._silence = 0

    def identify(self) -> str:
        """Gives the number that a database cluster has for all its life, and its copies with it."""
        ((system, *_),) = self._rows("IDENTIFY_SYSTEM")
        return str(system)

    def create_slot(self, name: str) -> tuple[int, str]:
        """Makes a slot; gives the place from which it reads, and the snapshot of the database just before."""
        ((_, place, snapshot, _),) = self._rows(f"CREATE_REPLICATION_SLOT {name} LOGICAL pgoutput EXPORT_SNAPSHOT")
        return to_number(place), str(snapshot)

    def begin(self, slot: str, publication: str, lsn: int) -> None:
        """Begins to read a slot from a place on."""
        quoted = '"' + publication.replace('"', '""') + '"'
        with translating(self.captured):
            self._cursor.start_replication(
                slot_name=slot,
                decode=False,
                start_lsn=lsn,
                status_interval=NEVER,
                options={"proto_version": "1", "publication_names": quoted},
            )

    def read(self) -> bytes | None:
        """Gives the next message; None when there is none just now."""
        with translating(self.captured):
            message = self._cursor.read_message()
        if message is None:
            return None
        self._silence = 0
        payload: bytes = message.payload
        return payload

    @property
    def seen(self) -> int:
        """The place up to which the server has read its log for this stream, by what it last said of that."""
        return int(self._cursor.wal_end)

    def wait(self) -> None:
        """Waits for the next message; raises SourceError when the server has been silent for a quarter of an hour."""
        with translating(self.captured):
            ready, _, _ = select.select([self._cursor], [], [], WAIT_SECONDS)
        self._silence = 0 if ready else self._silence + 1
        if self._silence > LONGEST_SILENCE:
            raise SourceError(
                "database-silent",
                f"{self.captured.place} has said nothing for {int(self._silence * WAIT_SECONDS)} seconds.",
                cure="Nothing was lost. Look at what the server does, and run it again.",
            )

    def confirm(self, lsn: int) -> None:
        """Tells the server that it may forget its log up to a place; over a broken line it does nothing."""
        import psycopg2

        with suppress(psycopg2.Error):  # the next visit confirms what stands in the lake
            self._cursor.send_feedback(flush_lsn=lsn, force=True)

    def close(self) -> None:
        """Lets the connection go, also a broken one."""
        _close(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self, command: str) -> Sequence[tuple[Any, ...]]:
        with translating(self.captured):
            self._cursor.execute(command)
            found: Sequence[tuple[Any, ...]] = self._cursor.fetchall()
            return found


@contextmanager
def translating(captured: Captured) -> Iterator[None]:
    """Turns what psycopg2 raises into errors of ours."""
    import psycopg2

    try:
        yield
    except psycopg2.Error as error:
        raise fault_of(error, captured.place, error.pgcode) from error


def to_number(lsn: str) -> int:
    """Gives a place in the log as the number of its byte: 0/1927680 is 26375808."""
    high, low = lsn.split("/")
    return (int(high, 16) << 32) | int(low, 16)


def to_lsn(number: int) -> str:
    """Gives a place in the log as PostgreSQL writes it."""
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def _close(opened: "connection") -> None:
    import psycopg2

    with suppress(psycopg2.Error):
        opened.close()


def open_reader(captured: Captured, visit: Visit) -> Client:
    """Gives a connection by which rows come as Arrow; raises SourceError when it cannot be opened."""
    return open_postgresql(_address(visit, SETTINGS), captured.place)


def _connect(visit: Visit, settings: dict[str, str], **more: Any) -> "connection":
    import psycopg2

    return psycopg2.connect(_address(visit, settings), **more)


def _address(visit: Visit, settings: dict[str, str]) -> str:
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    address = connection_string(read_endpoint(visit.contract), visit.secrets)
    return f"{address} client_encoding='UTF8' options='{options}'"
