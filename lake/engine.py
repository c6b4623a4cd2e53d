"""The edge to DuckDB: one private database per run, opened for it and thrown away."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa

EngineError = duckdb.Error  # what any statement may raise; callers say whose statement it was
BATCH_ROWS = 122_880  # one DuckDB row group: larger batches cost memory and no time is won


@dataclass(frozen=True)
class EngineLimits:
    """What a session may use: `memory` as DuckDB writes it (`1GB`), `threads` (None: one per core), spill folder."""

    memory: str = "1GB"
    threads: int | None = None
    spill_dir: Path | None = None


class Session:
    """A DuckDB database with one schema per layer, private to a run and gone when it is closed."""

    def __init__(self, limits: EngineLimits) -> None:
        """Opens an empty database whose spill files live in a folder of its own."""
        self._folder = Path(tempfile.mkdtemp(prefix="sluice-", dir=limits.spill_dir))
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": limits.memory,
                "temp_directory": str(self._folder),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                **({} if limits.threads is None else {"threads": limits.threads}),
            },
        )
        self._connection.execute("set TimeZone = 'UTC'")
        for schema in ("raw", "staging", "intermediate", "marts", "ops", "reference"):
            self._connection.execute(f"create schema {schema}")

    @property
    def scratch(self) -> Path:
        """A folder for working files, removed with the session."""
        return self._folder

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> None:
        """Runs one or more statements for their effect."""
        self._connection.execute(sql, parameters)

    def rows(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Gives all rows of a small result."""
        return self._connection.execute(sql, parameters).fetchall()

    def value(self, sql: str, parameters: Sequence[Any] | None = None) -> Any:
        """Gives the single value of a one-row, one-column result."""
        return self.rows(sql, parameters)[0][0]

    def arrow(self, sql: str, parameters: Sequence[Any] | None = None) -> pa.Table:
        """Gives a result as an Arrow table."""
        return self._connection.execute(sql, parameters).to_arrow_table()

    def reader(self, sql: str) -> pa.RecordBatchReader:
        """Gives a result of any size as a stream of record batches."""
        return self._connection.execute(sql).to_arrow_reader(BATCH_ROWS)

    def register(self, name: str, data: pa.Table) -> None:
        """Makes a small Arrow table readable under a name."""
        self._connection.register(name, data)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Gives a second connection to the same database, as Soda wants one."""
        return self._connection.cursor()

    def close(self) -> None:
        """Closes the database and removes its files."""
        self._connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def quote(identifier: str) -> str:
    """Gives an identifier in double quotes, safe in SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Gives a string as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
