"""The contract of one source table, as the rest of Sluice reads it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

DuplicatePolicy = Literal["latest-wins", "first-wins"]
LoadMode = Literal["append", "replace"]
DriftPolicy = Literal["evolve", "refuse", "quarantine"]
Privacy = Literal["public", "internal", "restricted"]
Category = Literal[
    "MISSING_REQUIRED_FIELD",
    "BUSINESS_RULE_VIOLATION",
    "DATA_FORMAT_ERROR",
    "DATA_QUALITY_ISSUE",
    "DUPLICATE_RECORD",
    "SCHEMA_MISMATCH",
]

CAPTURE = "capture"  # the `mode` of a server whose table is read change by change
MAJOR = re.compile(r"v?(\d{1,3})(\.\d+)*([-+].*)?")  # of 2.0.0, v2 or 2.1-draft; a year is no major version


@dataclass(frozen=True)
class Column:
    """One column of a raw table.

    `name` is ours, `source_name` the provider's. `sql_type` is the DuckDB type, such as `decimal(18,2)`, `date`,
    `timestamptz`, `json` or `struct(a varchar)`. `formats` are strptime patterns tried in order (empty: ISO 8601).
    `time_zone` is the zone of timestamps that carry none. `default` is the SQL text of the value that stands in for a
    missing one. `enum`, `minimum`, `maximum`, `pattern` (whole-value regular expression), `min_length` and
    `max_length` restrict values. `line` is where the contract declares the column,
    `examples` are values it gives to explain it.
    """

    name: str
    source_name: str
    sql_type: str
    required: bool = False
    unique: bool = False
    default: str | None = None
    formats: tuple[str, ...] = ()
    time_zone: str | None = None
    enum: tuple[str, ...] = ()
    minimum: str | None = None
    maximum: str | None = None
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    privacy: Privacy = "internal"
    description: str = ""
    line: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class RowRule:
    """One condition every row must meet: `expression` is DuckDB SQL over our column names, true or null when met."""

    name: str
    expression: str
    category: Category = "BUSINESS_RULE_VIOLATION"
    description: str = ""
    line: int = 0


@dataclass(frozen=True)
class TableRule:
    """One check of the raw gate as a SodaCL line, e.g. `missing_percent(region) < 1%`, with its thresholds."""

    name: str
    sodacl: str
    line: int = 0


PUSH = "push"  # the `intake` of a server that is our own: providers post to it
WITHOUT_POSITION = ("local", "s3", "azure")  # what they hold is known by content, in whatever order it lands


@dataclass(frozen=True)
class Server:
    """Where the source delivers: a kind such as `local`, a path or pattern, a format, and options of that kind."""

    kind: str
    path: str
    format: str
    options: Mapping[str, str]

    @property
    def is_pushed(self) -> bool:
        """Whether providers post to our own service here, so that deliveries wait in its spool."""
        return self.kind == "api" and self.options.get("intake") == PUSH

    @property
    def has_position(self) -> bool:
        """Whether it is read on from where it stood, strictly in order; a contract has one such server at most."""
        return self.kind not in WITHOUT_POSITION and not self.is_pushed


@dataclass(frozen=True)
class SchemaReference:
    """Where the operational schema of a source stands: a file below the project, and the table in it.

    `table` "" means the file's only one, `dialect` is that of SQL, `line` is where the contract names it.
    """

    path: str
    table: str = ""
    dialect: str = "postgres"
    line: int = 0


@dataclass(frozen=True)
class Contract:
    """What a source promised, one per source table; read from one ODCS v3.1+ file.

    `source` names the raw table: the name in the contract, from major version 2 on with that version behind it, such
    as `sales_v2`, so that both can be there side by side. `key` are the columns that identify a record (empty: every
    row is its own record, and a row is a duplicate when all its columns repeat). `latest-wins`: a known key with other
    content lands as a new version and staging takes the latest; `first-wins`: it is refused. `drift` says what happens
    to columns the contract does not know, or lacks. `load` says whether a delivery's rows are added or take the place
    of all there are. `partition` are the columns the raw table is partitioned by. `watermark` and `lateness` (an
    interval such as `2 days`) say how far back late rows are expected. `sla` holds ODCS SLA properties by name.
    `digest` is the sha256 of the file's bytes. `server` is where the source delivers; `more_servers` are further
    places, visited after it. `schema` is the operational schema it is held against, but for the differences listed in
    `accepted_drift`, such as `missing internal_note`. `history_of` is the contract of the source's own rows where raw
    keeps more than these: their changes (see `lake.odcs.changes`), or deletions (`lake.odcs.deletions`); else None.
    """

    source: str
    version: str
    path: Path
    digest: str
    description: str
    owner: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    server: Server
    rules: tuple[RowRule, ...] = ()
    table_rules: tuple[TableRule, ...] = ()
    duplicates: DuplicatePolicy = "latest-wins"
    drift: DriftPolicy = "quarantine"
    load: LoadMode = "append"
    partition: tuple[str, ...] = ()
    watermark: str | None = None
    lateness: str | None = None
    delivery: Literal["batch", "stream"] = "batch"
    privacy: Privacy = "internal"
    sla: Mapping[str, str] = field(default_factory=dict)
    schema: SchemaReference | None = None
    accepted_drift: tuple[str, ...] = ()
    history_of: "Contract | None" = None
    more_servers: tuple[Server, ...] = ()

    @property
    def servers(self) -> tuple[Server, ...]:
        """Every place the source delivers to, in the order in which they are visited."""
        return (self.server, *self.more_servers)

    @property
    def is_captured(self) -> bool:
        """Whether raw keeps the changes of a table, read one by one."""
        return self.server.options.get("mode") == CAPTURE

    @property
    def pushed(self) -> Server | None:
        """The server that providers post to, None when there is none."""
        return next((server for server in self.servers if server.is_pushed), None)

    def at(self, *servers: Server) -> "Contract":
        """Gives the same contract with some of its servers only."""
        return replace(self, server=servers[0], more_servers=servers[1:])

    @property
    def major(self) -> int:
        """The major number of the contract's version, 1 where it has none."""
        return major_of(self.version)

    def column(self, name: str) -> Column:
        """Gives the column of that name; raises KeyError when there is none."""
        return next(column for column in self.columns if column.name == name)


def major_of(version: str) -> int:
    """Gives the major number of a version, 1 for one that counts in no such way."""
    found = MAJOR.fullmatch(version.strip())
    return max(1, int(found.group(1))) if found is not None else 1


def versioned_name(name: str, version: str) -> str:
    """Gives the name of the raw table of a contract's version: `sales`, from 2.0.0 on `sales_v2`."""
    ending = f"_v{major_of(version)}"
    return name if major_of(version) == 1 or name.endswith(ending) else f"{name}{ending}"
