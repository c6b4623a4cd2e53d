"""What the tests of HTTP pulls share: a contract with any custom properties, a pull without a lake, and a lake."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from flows.outcome import Outcome
from lake.contract import Contract
from lake.ledger import BatchRecord
from lake.odcs.reader import read_contract
from lake.run import Event, Run, begin_run
from lake.secrets import Secrets
from lake.sources.http.pull import pull_deliveries
from lake.sources.visit import Visit
from tests.crash_parts import run_here

Properties = Mapping[str, Any]

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: readings
version: 1.0.0
status: active
team: {{name: Energy}}
servers:
  - server: api
    type: api
    location: {location}
    customProperties: {server}
schema:
  - name: readings
    description: One row per reading.
    customProperties: {table}
    properties:
      - {{name: reading_id, logicalType: string, description: Its number., primaryKey: true, primaryKeyPosition: 1}}
      - {{name: read_at, logicalType: timestamp, description: When., required: true}}
      - {{name: meter_id, physicalName: meter.id, logicalType: string, description: Which meter.}}
      - {{name: site, physicalName: meter.site.name, logicalType: string, description: Where.}}
      - {{name: kwh, logicalType: number, physicalType: "decimal(9,3)", description: How much., required: true}}
"""
WATERMARK = {"watermark": "read_at", "lateness": "3 hours", "driftPolicy": "evolve"}
ITEMS = {"recordPath": "data.items"}
CURSOR = {**ITEMS, "paging": "cursor", "cursorParam": "cursor", "cursorPath": "next_cursor"}
SIZED = {"pageSizeParam": "limit", "pageSize": "10"}
SINCE = {"sinceParam": "since"}


def write_contract(
    folder: Path, location: str, server: Mapping[str, Any], table: Mapping[str, Any] = WATERMARK
) -> Path:
    """Writes a contract of readings into a project; properties are given by name."""
    path = folder / "lake" / "contracts" / "readings.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = CONTRACT.format(location=location, server=_listed(server), table=_listed(table))
    path.write_text(text, encoding="utf-8")
    return path


def contract_of(
    folder: Path, location: str, server: Mapping[str, Any], table: Mapping[str, Any] = WATERMARK
) -> Contract:
    return read_contract(write_contract(folder, location, server, table))


def _listed(properties: Properties) -> str:
    return json.dumps([{"property": name, "value": value} for name, value in properties.items()])


@dataclass
class Pulled:
    """What one pull gave, without landing it: the bodies, the deliveries, the waits, the events."""

    bodies: list[bytes] = field(default_factory=list)
    positions: list[Mapping[str, str]] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    @property
    def items(self) -> list[str]:
        """The ids of all readings, in the order received, of page bodies with `data.items`."""
        pages = [json.loads(line) for body in self.bodies for line in body.decode().splitlines()]
        return [record["reading_id"] for page in pages for record in page["data"]["items"]]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def details(self, kind: str) -> list[Mapping[str, object]]:
        return [event.details for event in self.events if event.kind == kind]


def pull(
    contract: Contract,
    folder: Path,
    *,
    secrets: Mapping[str, str] | None = None,
    known: Mapping[str, BatchRecord] | None = None,
    since: str | None = None,
    into: Pulled | None = None,
    run: Run | None = None,
) -> Pulled:
    """Pulls all there is; what came before an error is in `into`. Waits are written down and not waited."""
    pulled = into or Pulled()
    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    run = run or begin_run("tester", observers=(pulled.events.append,))
    visit = Visit(contract, folder, scratch, run, Secrets((secrets or {}).get), pulled.waits.append, known or {}, since)
    for delivery in pull_deliveries(visit):
        pulled.bodies.append(delivery.path.read_bytes())
        pulled.positions.append(delivery.position)
        pulled.origins.append(delivery.origin)
        pulled.ids.append(delivery.batch_id or "")
    return pulled


def run_project(folder: Path, *observers) -> Outcome:
    return run_here(folder, observers=observers)


def ask(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Asks the lake that a project has, as any DuckDB client does."""
    with duckdb.connect(str(folder / "lake" / "data" / "lake.duckdb"), read_only=True) as client:
        return client.sql(sql).fetchall()
