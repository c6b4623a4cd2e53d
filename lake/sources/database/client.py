"""The one door to databases: ADBC. A connection reads in one snapshot, and gives rows as Arrow, batch by batch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from lake.sources.database.faults import fault_of

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection, Cursor


class Client:
    """One connection in one read-only transaction. `place` is how messages call the database."""

    def __init__(self, driver: ModuleType, address: str, place: str) -> None:
        self.place = place
        with self._translating():
            self._connection: Connection = driver.connect(address)

    def execute(self, statement: str) -> None:
        """Runs a statement that gives nothing."""
        with self._cursor() as cursor:
            cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Gives the rows of a small query."""
        with self._cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def names(self, query: str) -> tuple[str, ...]:
        """Gives the names of a query's columns; none of its rows is read."""
        with self._cursor() as cursor:
            cursor.execute(query)
            return tuple(cursor.fetch_arrow_table().schema.names)

    def stream(self, query: str, options: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        """Gives the rows of a query as they come, of plain Arrow types; an empty batch with their schema comes first.

        `options` are the driver's own.
        """
        with self._cursor() as cursor:
            cursor.adbc_statement.set_options(**options)
            cursor.execute(query)
            reader = cursor.fetch_record_batch()
            empty = [pa.array([], column.type) for column in reader.schema]
            yield _plain(pa.record_batch(empty, names=reader.schema.names))
            for batch in reader:
                yield _plain(batch)

    def close(self) -> None:
        """Lets the connection go, also a broken one."""
        with suppress(*_errors()):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _cursor(self) -> "Iterator[Cursor]":
        with self._translating():
            cursor = self._connection.cursor()
            try:
                yield cursor
            finally:
                with suppress(*_errors()):  # a cursor of a broken connection cannot be closed, and need not be
                    cursor.close()

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except _errors() as error:
            status = getattr(error, "status_code", None)
            raise fault_of(
                error, self.place, getattr(error, "sqlstate", None), getattr(status, "name", None)
            ) from error


def open_postgresql(address: str, place: str) -> Client:
    """Connects to a PostgreSQL server by a connection string; raises SourceError when it cannot."""
    import adbc_driver_postgresql.dbapi as driver  # 0.1 s that other sources need not pay

    return Client(driver, address, place)


def open_sqlite(address: str, place: str) -> Client:
    """Opens an SQLite file by its URI; raises SourceError when it cannot."""
    import adbc_driver_sqlite.dbapi as driver

    return Client(driver, address, place)


def _errors() -> tuple[type[BaseException], ...]:
    """The errors of the driver; while rows are on their way they come through Arrow, as errors of its own."""
    from adbc_driver_manager import Error

    return Error, pa.ArrowException, OSError


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Gives a batch whose columns are of the types that others store: a numeric is the text it was sent as."""
    columns = [column.storage if isinstance(column.type, pa.BaseExtensionType) else column for column in batch.columns]
    return pa.record_batch(columns, names=batch.schema.names)
