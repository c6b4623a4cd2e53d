"""What the tests of tables read from databases share: a contract of readings, a reading without a lake, and a lake."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lake.contract import Contract
from lake.engine import EngineLimits, Session
from lake.landing.batch import identify
from lake.landing.committing import commit
from lake.landing.judging import prepare
from lake.ledger import BatchRecord, find_batches, sweep_commits
from lake.odcs.reader import read_contract
from lake.run import Event, begin_run
from lake.secrets import Secrets
from lake.sources.database.extract import table_deliveries
from lake.sources.visit import Visit
from lake.table_versions import Store
from lake.watermarks import watermark_since
from tests.landing_parts import raw_rows
from tests.postgres_parts import PASSWORD, READER, Database

PASSWORD_NAME = "SHOP_DB_PASSWORD"
SECRETS = {PASSWORD_NAME: PASSWORD}
SIGNED = {"user": READER, "passwordSecret": PASSWORD_NAME}
WATERMARK = {"watermark": "read_at", "lateness": "3 hours"}
BATCHES = (
    "select status, read_count, accepted_count, quarantined_count, duplicate_count, watermark from ops.ingestion_log "
    "order by ended_at"
)
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: readings
version: 1.0.0
status: active
team: {{name: Energy}}
servers:
  - {server}
schema:
  - name: readings
    description: One row per reading.
    customProperties: {table}
    properties:
{columns}
"""
COLUMNS = """\
      - {name: reading_id, logicalType: integer, description: Its number., primaryKey: true, primaryKeyPosition: 1}
      - {name: read_at, logicalType: timestamp, description: When., required: true}
      - {name: site, logicalType: string, description: Where.}
      - {name: kwh, logicalType: number, physicalType: "decimal(12,3)", description: How much.}
"""
MAKE = """
create table readings (reading_id bigint primary key, read_at timestamptz not null, site text, kwh numeric(12, 3))
"""
FILL = """
insert into readings
select i, timestamptz '2026-01-01 00:00+00' + i * interval '1 hour', 'site ' || i % 3, i + 0.125
from generate_series({first}, {last}) as i
"""


def fill(database: Database, first: int, last: int) -> None:
    """Adds readings, one an hour from the beginning of 2026, by their numbers."""
    database.execute(FILL.format(first=first, last=last))


def postgresql(database: Database, **properties: Any) -> Mapping[str, Any]:
    """Gives a contract's server, the reading role signed in."""
    return {
        "server": "db",
        "type": "postgresql",
        "host": database.host,
        "port": database.port,
        "database": database.name,
        "schema": "public",
        "customProperties": _listed({**SIGNED, **properties}),
    }


def sqlite(path: str, **properties: Any) -> Mapping[str, Any]:
    """Gives the server of an SQLite file."""
    return {
        "server": "db",
        "type": "custom",
        "format": "sqlite",
        "path": path,
        "customProperties": _listed(properties),
    }


def write_contract(
    folder: Path, server: Mapping[str, Any], table: Mapping[str, Any] = WATERMARK, columns: str = COLUMNS
) -> Path:
    """Writes a contract of readings into a project, and the secret it needs."""
    path = folder / "lake" / "contracts" / "readings.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = CONTRACT.format(server=json.dumps(server), table=json.dumps(_listed(table)), columns=columns)
    path.write_text(text, encoding="utf-8")
    (folder / ".env").write_text(f'{PASSWORD_NAME}="{PASSWORD}"\n', encoding="utf-8")
    return path


def _listed(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in properties.items()]


@dataclass
class Given:
    """What one reading gave, without landing it: the rows of each batch, positions, waits, events."""

    batches: list[list[dict[str, Any]]] = field(default_factory=list)
    positions: list[Mapping[str, str]] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    counts: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for batch in self.batches for row in batch]

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def read_table(
    folder: Path,
    server: Mapping[str, Any],
    table: Mapping[str, Any] = WATERMARK,
    *,
    columns: str = COLUMNS,
    since: str | None = None,
    known: Mapping[str, BatchRecord] | None = None,
    into: Given | None = None,
) -> Given:
    """Reads all there is; what came before an error is in `into`. Waits are written down and not waited."""
    given = into or Given()
    for delivery in table_deliveries(
        visit_to(contract_of(folder, server, table, columns), folder, given, since, known)
    ):
        given.batches.append(pq.read_table(delivery.path).to_pylist())
        given.positions.append(delivery.position)
        given.origins.append(delivery.origin)
    return given


def contract_of(
    folder: Path, server: Mapping[str, Any], table: Mapping[str, Any] = WATERMARK, columns: str = COLUMNS
) -> Contract:
    return read_contract(write_contract(folder, server, table, columns))


def visit_to(
    contract: Contract,
    folder: Path,
    given: Given,
    since: str | None = None,
    known: Mapping[str, BatchRecord] | None = None,
    secrets: Mapping[str, str] = SECRETS,
) -> Visit:
    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    run = begin_run("tester", observers=(given.events.append,))
    return Visit(contract, folder, scratch, run, Secrets(secrets.get), given.waits.append, known or {}, since)


@dataclass
class Lake:
    """A lake that readings are landed in, outside of any flow: what the tests of reading and landing need, quickly."""

    folder: Path
    server: Mapping[str, Any]
    table: Mapping[str, Any] = field(default_factory=lambda: WATERMARK)
    columns: str = COLUMNS

    @property
    def store(self) -> Store:
        return Store(str(self.folder / "data"), {})

    def land(self, *, most: int | None = None, secrets: Mapping[str, str] = SECRETS) -> Given:
        """Lands what there is, at most so many batches; gives what was seen. `counts` has a row for each batch."""
        given = Given()
        contract = contract_of(self.folder, self.server, self.table, self.columns)
        with Session(EngineLimits(memory="512MB", threads=2), self.store) as session:
            sweep_commits(session, self.store, [contract.source])
            records = find_batches(session, self.store, contract.source)
            known = {record.batch_id: record for record in records}
            since = watermark_since(session, contract, records)
            visit = visit_to(contract, self.folder, given, since, known, secrets)
            for delivery in islice(table_deliveries(visit), most):
                prepared = prepare(session, self.store, identify(contract, delivery, visit.run), visit.run)
                commit(self.store, prepared, visit.run)
                given.counts.append(tuple(prepared.counts.values()))
                given.origins.append(delivery.origin)
        return given

    def rows(self, columns: str = "reading_id") -> list[tuple[Any, ...]]:
        return raw_rows(self.store, columns, "readings")

    @property
    def ids(self) -> list[int]:
        return [row[0] for row in self.rows()]
