"""What tests of change capture share: a database with tables, a project that captures them, and both compared.

As a script: `python -m tests.capture_parts PROJECT SOURCE` lands in a process of its own; `--kill-at FILE:LINE` (or
`FILE:FUNCTION`) dies before a line of `lake/sources/capture/` is carried out for the first time, `--tell` gives the
lines there were. `--most-bytes` is the size beyond which no file can be written, as on a disk that is full.
"""

import argparse
import json
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

from flows.job import open_job
from flows.landing import land_each, land_sources
from flows.outcome import Outcome
from flows.pipeline import run_pipeline
from flows.source_lag import lag_measures
from flows.steps import plain_step
from lake.engine import EngineLimits, Session, scan_sql
from lake.ledger import BatchRecord, find_batches, sweep_commits
from lake.odcs.reader import read_contract
from lake.project import open_project
from lake.run import Event, Observer, begin_run
from lake.settings import Settings
from lake.tables import read_version
from sql.current import current_sql
from tests.crash_parts import kill_myself
from tests.postgres_parts import PASSWORD, REPLICATOR, Database
from tests.warm_parts import WarmProcess

ITEMS = {"id": "integer", "note": "integer", "price": "number|physicalType: decimal(10,2)"}
CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: {name}
version: {version}
status: active
team: {{name: shop}}
servers:
  - server: shop
    type: postgresql
    host: {host}
    port: {port}
    database: {database}
    schema: public
    customProperties:
      - {{property: mode, value: capture}}
      - {{property: user, value: {user}}}
      - {{property: passwordSecret, value: SHOP_PASSWORD}}
{options}schema:
  - name: {name}
    physicalName: {table}
    description: Rows of {table}.
    customProperties:
      - {{property: driftPolicy, value: {drift}}}
    properties:
{columns}"""
COLUMN = """      - name: {name}
        description: The {name}.
        logicalType: {logical}
{more}"""


@dataclass
class Shop:
    """A project in a folder that captures tables of a database."""

    folder: Path
    database: Database
    port: int | None = None
    contracts: dict[str, Path] = field(default_factory=dict)

    def capture(
        self,
        table: str,
        columns: Mapping[str, str],
        *,
        key: Sequence[str] = ("id",),
        version: str = "1.0.0",
        drift: str = "evolve",
        name: str | None = None,
        **options: object,
    ) -> None:
        """Writes the contract of a table: `columns` are logical types, with further lines behind a bar."""
        name = name or table
        listed = []
        for column, kind in columns.items():
            logical, _, more = kind.partition("|")
            lines = [*more.split(";"), *(["primaryKey: true"] if column in key else [])]
            told = "".join(f"        {line}\n" for line in lines if line)
            listed.append(COLUMN.format(name=column, logical=logical, more=told))
        path = self.folder / "lake" / "contracts" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            CONTRACT.format(
                name=name,
                table=table,
                version=version,
                drift=drift,
                host=self.database.host,
                port=self.port or self.database.port,
                database=self.database.name,
                user=REPLICATOR,
                options="".join(f"      - {{property: {key}, value: {value}}}\n" for key, value in options.items()),
                columns="".join(listed),
            )
        )
        (self.folder / ".env").write_text(f"SHOP_PASSWORD={json.dumps(PASSWORD)}\n")
        self.contracts[name] = path

    def add_items(self, name: str, **options: Any) -> None:
        """Makes one more table of items, and its contract."""
        self.database.execute(
            f"create table {name} (id integer primary key, note integer, price numeric(10, 2))",
            f"alter table {name} owner to {REPLICATOR}",
        )
        self.capture(name, ITEMS, **options)

    def differs(self, source: str = "items", columns: str = "id, note, price") -> list[tuple]:
        """Gives the rows that the view and the table do not have in common."""
        standing, there = self.current(columns, source), self.database.rows(f"select {columns} from {source}")
        return sorted({*standing} ^ {*there}, key=repr) + [row for row in standing if standing.count(row) > 1]

    def land(self, *sources: str, anew: bool = False, observers: Sequence[Observer] = ()) -> list[Event]:
        """Lands as a visit does, without the writing down that follows one; gives its events, or raises what failed."""
        seen: list[Event] = []
        run = begin_run("tester", observers=(seen.append, *observers))
        with open_job(open_project(self.folder), Settings.read(self.folder), run, plain_step) as job:
            failure = land_each(replace(job, anew=frozenset(sources)) if anew else job, sources)
        if failure is not None:
            raise failure
        return seen

    def land_wholly(self, *sources: str, anew: bool = False) -> Outcome:
        """Lands as the command does."""
        project, run = open_project(self.folder), begin_run("tester")
        return land_sources(project, Settings.read(self.folder), run, sources, plain_step, is_anew=anew)

    def run(self) -> Outcome:
        """Runs the whole pipeline."""
        return run_pipeline(
            open_project(self.folder), Settings.read(self.folder), begin_run("tester"), (), (), plain_step
        )

    def start(self, source: str, *arguments: str) -> WarmProcess:
        """Lands in a process of its own."""
        return WarmProcess("tests.capture_parts:main", [str(self.folder), source, *arguments])

    def known(self, source: str = "items") -> dict[str, BatchRecord]:
        """Gives what the lake knows of a source."""
        store = Settings.read(self.folder).store
        with Session(EngineLimits(), store) as session:
            sweep_commits(session, store, [source])
            return {record.batch_id: record for record in find_batches(session, store, source)}

    def lags(self, *observers: Observer) -> list[tuple[str, str, float, str]]:
        """Gives what waits, as the platform's health is measured by."""
        run = begin_run("tester", observers=observers)
        with open_job(open_project(self.folder), Settings.read(self.folder), run, plain_step) as job:
            return list(lag_measures(job))

    def history(self, columns: str = "_change", source: str = "items", where: str = "true") -> list[tuple]:
        """Gives what raw has of a source, in the order of the log."""
        order = "_lsn, _sequence"
        return self._rows(f"select {columns} from raw.{source} where {where} order by {order}", source)

    def current(self, columns: str, source: str = "items") -> list[tuple]:
        """Gives what the view says of a table, in the order of its values."""
        table = read_contract(self.contracts[source]).history_of
        assert table is not None
        return self._rows(f"select {columns} from ({current_sql(source, table)}) order by all", source)

    def ops(self, query: str) -> list[tuple]:
        """Gives the rows of a query of the catalogue."""
        import duckdb

        with duckdb.connect(str(self.folder / "lake" / "data" / "lake.duckdb"), read_only=True) as opened:
            return opened.execute(query).fetchall()

    def _rows(self, query: str, source: str) -> list[tuple]:
        store = Settings.read(self.folder).store
        found = read_version(store, f"raw.{source}")
        assert found is not None, f"nothing has landed in raw.{source}"
        with Session(EngineLimits(), store) as session:
            scan = scan_sql([file.path for file in found.files], found.columns, evolved=found.evolved)
            session.execute(f"create or replace view raw.{source} as {scan}")
            return session.rows(query)


def make_shop(database: Database, folder: Path, **options: Any) -> Shop:
    """Gives a project that captures a table of items which the capturing role owns."""
    database.execute(f'grant create on database "{database.name}" to {REPLICATOR}')
    made = Shop(folder, database)
    made.add_items("items", **options)
    return made


@contextmanager
def tracing(kill_at: str, seen: dict[str, None]) -> Iterator[None]:
    """Gathers the lines of the capturing modules that are carried out, and dies before one."""

    def trace(frame: FrameType, what: str, _: object) -> Any:
        path = Path(frame.f_code.co_filename)
        if path.parent.name != "capture":
            return None
        if what == "line":
            place = f"{path.name}:{frame.f_lineno}"
            seen[place] = None
            if kill_at in (place, f"{path.name}:{frame.f_code.co_name}"):
                kill_myself()
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("source")
    parser.add_argument("--kill-at", default="")
    parser.add_argument("--tell", action="store_true")
    parser.add_argument("--most-bytes", type=int)
    given = parser.parse_args(arguments)
    if given.most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (given.most_bytes, given.most_bytes))
    seen: dict[str, None] = {}
    with tracing(given.kill_at, seen):
        run_events = Shop(given.folder, Database("", 0)).land(given.source)
    told = list(seen) if given.tell else [event.kind for event in run_events]
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
