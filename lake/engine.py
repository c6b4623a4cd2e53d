"""The edge to DuckDB: one private database per run, opened for it and thrown away."""

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa

from lake.disk import NO_ROOM, disk_full
from lake.errors import ModelError, SettingsError
from lake.httpfs import reach_statements
from lake.objects import store_error
from lake.scratch import take_scratch
from lake.table_versions import Store

EngineError = duckdb.Error  # what a statement raises; callers translate it into the error of its author

SCHEMAS = ("raw", "staging", "intermediate", "marts", "ops", "reference")
ATTACH_LANDING = "attach ':memory:' as landing"
BATCH_ROWS = 122_880  # one DuckDB row group: larger batches cost memory and no time is won


@dataclass(frozen=True)
class EngineLimits:
    """What a session may use: `memory` as DuckDB writes it (`1GB`), `threads` (None: one per core), spill folder."""

    memory: str = "1GB"
    threads: int | None = None
    spill_dir: Path | None = None


class Session:
    """A DuckDB database with one schema per layer, private to a run and gone when it is closed."""

    def __init__(self, limits: EngineLimits, store: Store | None = None) -> None:
        """Opens an empty database whose spill files live in a folder of its own, and which can reach a lake."""
        self._place = "" if store is None else store.uri
        self._shown: dict[str, str] = {}
        self._scratch = take_scratch(limits.spill_dir)
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": limits.memory,
                "temp_directory": str(self.scratch / "spill"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                **({} if limits.threads is None else {"threads": limits.threads}),
            },
        )
        self._connection.execute("set TimeZone = 'UTC'")
        self._connection.execute("set enable_progress_bar = false")  # printed amid answers when the program is no file
        for schema in SCHEMAS:
            self._connection.execute(f"create schema {schema}")
        self._connection.execute(ATTACH_LANDING)
        _reach(self._connection, store)

    failure = EngineError

    @property
    def scratch(self) -> Path:
        """A folder for working files, removed with the session."""
        return self._scratch.folder

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> None:
        """Runs one or more statements for their effect."""
        with _translated(self._place):
            self._connection.execute(sql, parameters)

    def show(self, views: Mapping[str, str]) -> None:
        """Makes views, each after those it reads, of names nothing else gives; one that stands so already stays."""
        for name, sql in views.items():
            if self._shown.get(name) != sql:
                self.execute(f"create or replace view {name} as {sql}")
                self._shown[name] = sql

    def rows(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Gives all rows of a small result."""
        with _translated(self._place):
            return self._connection.execute(sql, parameters).fetchall()

    def value(self, sql: str, parameters: Sequence[Any] | None = None) -> Any:
        """Gives the single value of a one-row, one-column result."""
        return self.rows(sql, parameters)[0][0]

    def arrow(self, sql: str, parameters: Sequence[Any] | None = None) -> pa.Table:
        """Gives a result as an Arrow table."""
        with _translated(self._place):
            return self._connection.execute(sql, parameters).to_arrow_table()

    def reader(self, sql: str) -> pa.RecordBatchReader:
        """Gives a result of any size as a stream of record batches."""
        with _translated(self._place):
            return self._connection.execute(sql).to_arrow_reader(BATCH_ROWS)

    def copy_parquet(
        self, query: str, folder: str, partition: Sequence[str] = (), *, any_order: bool = False
    ) -> list["WrittenFile"]:
        """Writes a query's rows as zstd Parquet files with new names into a folder, and gives what was written.

        `any_order` says that the rows need not keep the query's order: a fifth cheaper, one file per thread.
        """
        if "://" not in folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
        name = f"{uuid.uuid4()}"
        if partition:
            columns = ", ".join(quote(column) for column in partition)
            target, extra = folder, f", partition_by ({columns}), write_partition_columns true, overwrite_or_ignore"
            extra += f", filename_pattern '{name}-{{i}}'"
        elif any_order:
            target, extra = folder, f", per_thread_output true, overwrite_or_ignore, filename_pattern '{name}-{{i}}'"
        else:
            target, extra = f"{folder}/{name}.parquet", ""
        options = f"format parquet, compression zstd, row_group_size {BATCH_ROWS}, return_stats{extra}"
        with room_for_engine(Path(folder)):
            written = self.rows(f"copy ({query}) to {literal(target)} ({options})")
        return [_written_file(row) for row in written]

    def create_from(self, table: str, reader: pa.RecordBatchReader) -> None:
        """Creates a table from a stream of record batches."""
        self._connection.register("incoming_batches", reader)
        self._connection.execute(f"create or replace table {table} as from incoming_batches")
        self._connection.unregister("incoming_batches")

    def clear_landing(self, *, is_large: bool = False) -> None:
        """Drops everything the landing of an earlier batch has left in the database `landing`.

        A large batch is kept compressed: that costs a tenth more work and spares the disk most of the spilling.
        """
        self._connection.execute(f"detach landing; {ATTACH_LANDING}{' (compress)' if is_large else ''}")
        self._scratch.clear()

    def register(self, name: str, data: pa.Table) -> None:
        """Makes a small Arrow table readable under a name."""
        self._connection.register(name, data)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Gives a second connection to the same database, as Soda wants one."""
        cursor = self._connection.cursor()
        cursor.execute("set TimeZone = 'UTC'")  # a cursor does not inherit it
        return cursor

    @contextmanager
    def beside(self) -> Iterator[Self]:
        """Gives a second connection to the same database, for a statement that another thread runs at the same time."""
        twin = copy(self)
        twin._connection = self.cursor()
        try:
            yield twin
        finally:
            twin._connection.close()

    def close(self) -> None:
        """Closes the database and removes its files."""
        self._connection.interrupt()  # after Ctrl-C its threads may still work, and closing would wait for them
        self._connection.close()
        self._scratch.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_database(path: Path, statements: Sequence[str], store: Store | None = None) -> None:
    """Writes a DuckDB file by running statements in a new database that can reach a lake; it keeps no credentials."""
    place = "" if store is None else store.uri
    with room_for_engine(path.parent), duckdb.connect(str(path)) as connection, _translated(place):
        _reach(connection, store)
        for statement in statements:
            connection.execute(statement)


@contextmanager
def room_for_engine(folder: Path) -> Iterator[None]:
    """Raises SettingsError when what stops a statement is no room on disk or in memory: no data are to blame for it."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise SettingsError(
            "memory-exhausted",
            f"DuckDB has not enough memory: {str(error).splitlines()[0]}",
            cure="Raise SLUICE_MEMORY_LIMIT, or make room where SLUICE_SPILL_DIR is; then run again, nothing was lost.",
        ) from error
    except duckdb.Error as error:
        if not any(os.strerror(number) in str(error) for number in NO_ROOM):
            raise
        raise disk_full(folder) from error


def _reach(connection: duckdb.DuckDBPyConnection, store: Store | None) -> None:
    for statement in () if store is None else reach_statements(store):
        connection.execute(statement)


@contextmanager
def _translated(place: str) -> Iterator[None]:
    """Turns what DuckDB says of an object store that fails into our error, in one place."""
    try:
        yield
    except duckdb.IOException as error:
        if "://" not in place or "HTTP" not in str(error):
            raise
        raise store_error(place, error) from error


@dataclass(frozen=True)
class ColumnBounds:
    """Least and greatest value of one column in one file, as DuckDB prints them, and how many values are null."""

    minimum: str | None
    maximum: str | None
    null_count: int


@dataclass(frozen=True)
class WrittenFile:
    """One Parquet file DuckDB has just written: path, rows, bytes, partition values and column bounds."""

    path: str
    row_count: int
    byte_count: int
    partition_values: Mapping[str, str | None]
    columns: Mapping[str, ColumnBounds]


def _written_file(row: tuple[Any, ...]) -> WrittenFile:
    path, row_count, byte_count, _, statistics, keys = row
    bounds = {
        name[1:-1].replace('""', '"'): ColumnBounds(found.get("min"), found.get("max"), int(found["null_count"]))
        for name, found in statistics.items()
        if '"."' not in name  # fields inside a struct have no bounds of their own in Delta's top level
    }
    return WrittenFile(path, row_count, byte_count, dict(keys or {}), bounds)


def storable_sql(session: Session, query: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Gives a query whose types Delta can hold, and its columns as (name, DuckDB type).

    Sums of integers (HUGEINT) become decimal(38,0), JSON and enums text; TIME and INTERVAL raise ModelError.
    """
    described = [(name, sql_type) for name, sql_type, *_ in session.rows(f"describe ({query})")]
    columns = tuple((name, _stored_type(name, sql_type)) for name, sql_type in described)
    casts = ", ".join(
        quote(name) if stored == sql_type else f"cast({quote(name)} as {stored}) as {quote(name)}"
        for (name, sql_type), (_, stored) in zip(described, columns, strict=True)
    )
    return f"select {casts} from ({query})", columns


STORED_AS = {
    "HUGEINT": "DECIMAL(38,0)",
    "UHUGEINT": "DECIMAL(38,0)",
    "UBIGINT": "DECIMAL(20,0)",
    "JSON": "VARCHAR",
    "UUID": "VARCHAR",
}
STORED_AS |= {
    "UINTEGER": "BIGINT",
    "USMALLINT": "INTEGER",
    "UTINYINT": "SMALLINT",
    "NULL": "INTEGER",
    '"NULL"': "INTEGER",
}
NOT_STORABLE = {"TIME", "INTERVAL", "TIME WITH TIME ZONE", "BIT"}


def _stored_type(name: str, sql_type: str) -> str:
    if sql_type in NOT_STORABLE:
        raise ModelError(
            "type-not-storable",
            f"Column {name!r} is of type {sql_type}, which Delta cannot hold.",
            cure="Cast it to text, a number of seconds, or a timestamp.",
        )
    return "VARCHAR" if sql_type.startswith("ENUM(") else STORED_AS.get(sql_type, sql_type)


def scan_sql(files: Sequence[str], columns: Sequence[tuple[str, str]], *, evolved: bool = False) -> str:
    """Gives a select over Parquet files with the given columns, typed when there is no file at all.

    `evolved` says that older files may lack newer columns, which then read as null.
    """
    empty = ", ".join(f"cast(null as {sql_type}) as {quote(name)}" for name, sql_type in columns)
    if not files:
        return f"select {empty} where false"
    names = ", ".join(quote(name) for name, _ in columns)
    paths = ", ".join(literal(path) for path in files)
    if not evolved:
        return f"select {names} from read_parquet([{paths}], hive_partitioning = false)"
    scan = f"select * from read_parquet([{paths}], hive_partitioning = false, union_by_name = true)"
    return f"select {names} from (select {empty} where false union all by name {scan})"


ARROW_TYPES = {
    "string": "VARCHAR", "large_string": "VARCHAR", "string_view": "VARCHAR", "bool": "BOOLEAN", "int8": "TINYINT",
    "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT", "float": "FLOAT", "double": "DOUBLE",
    "date32[day]": "DATE", "timestamp[us]": "TIMESTAMP", "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
    "binary": "BLOB", "large_binary": "BLOB", "binary_view": "BLOB",
}  # fmt: skip


def columns_of(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    """Gives an Arrow schema's columns as (name, DuckDB type)."""
    return tuple((field.name, _type_of(field.type)) for field in schema)


def _type_of(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f"{quote(field.name)} {_type_of(field.type)}" for field in kind) + ")"
    if pa.types.is_map(kind):
        return f"MAP({_type_of(kind.key_type)}, {_type_of(kind.item_type)})"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_list_view(kind):
        return f"{_type_of(kind.value_type)}[]"
    return ARROW_TYPES[str(kind)]


def quote(identifier: str) -> str:
    """Gives an identifier in double quotes, safe in SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Gives a string as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
