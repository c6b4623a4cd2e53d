"""What a table is made of: its place, its files, and its versions as readers see them."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

KEPT_VERSIONS = 256  # of all tables: several times those of a release, and little memory in a process that goes on


class Opened(threading.local):
    """What a thread has read of a lake's tables: their handles, read on from there, and versions, which never change.

    A log is read once that way, however often its table is asked for; in a bucket each of its entries is a request.
    """

    def __init__(self) -> None:
        self.tables: dict[str, Any] = {}
        self.swept: tuple[int, Mapping[str, int]] = (-1, {})  # by a version of the ledger, the newest raw it knows
        self._versions: dict[tuple[str, int], TableVersion] = {}

    def version(self, name: str, version: int | None) -> "TableVersion | None":
        """Gives a version of a table if it was read before."""
        return None if version is None else self._versions.get((name, version))

    def keep(self, found: "TableVersion") -> "TableVersion":
        """Keeps a version that was read, instead of the one read longest ago when there are many."""
        if len(self._versions) >= KEPT_VERSIONS:
            del self._versions[next(iter(self._versions))]
        self._versions[found.name, found.version] = found
        return found


@dataclass(frozen=True)
class Store:
    """The lake's place: a folder or an object store's URI, and what it takes to reach the store.

    `options` are credentials, region and endpoint in the spelling of delta-rs; `secret` is what DuckDB is told of them.
    `opened` is what was read through this store: whoever works on and on takes a new one for each run.
    """

    uri: str
    options: Mapping[str, str] = field(repr=False)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)
    opened: Opened = field(default_factory=Opened, init=False, repr=False, compare=False)

    def table_uri(self, name: str) -> str:
        """Gives the place of a table such as `marts.sales_daily`."""
        return f"{self.uri.rstrip('/')}/{name.replace('.', '/')}"


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a table version: absolute path, rows, bytes, partition values as Delta writes them."""

    path: str
    row_count: int
    byte_count: int
    partition_values: Mapping[str, str | None]


@dataclass(frozen=True)
class TableVersion:
    """One version of a Delta table: the files its readers see, and its columns as (name, DuckDB type).

    `evolved` says that columns were added, so that older files may lack some. `properties` are those we gave the table.
    """

    name: str
    uri: str
    version: int
    files: tuple[DataFile, ...]
    columns: tuple[tuple[str, str], ...]
    partition: tuple[str, ...]
    evolved: bool = False
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def row_count(self) -> int:
        """How many rows this version holds."""
        return sum(file.row_count for file in self.files)

    @property
    def byte_count(self) -> int:
        """How many bytes its files take."""
        return sum(file.byte_count for file in self.files)


@dataclass(frozen=True)
class StagedFiles:
    """Parquet files written into a table's folder and not committed: no reader sees them yet.

    `properties` are those of ours that a table which they are the first rows of is made with.
    """

    name: str
    files: tuple[DataFile, ...]
    statistics: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    schema: pa.Schema
    partition: tuple[str, ...]
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def row_count(self) -> int:
        """How many rows are staged."""
        return sum(file.row_count for file in self.files)

    @property
    def byte_count(self) -> int:
        """How many bytes are staged."""
        return sum(file.byte_count for file in self.files)


@dataclass(frozen=True)
class Commit:
    """One commit of a table: its version, instant (UTC milliseconds) and the metadata we wrote with it."""

    version: int
    timestamp_ms: int
    metadata: Mapping[str, str]
