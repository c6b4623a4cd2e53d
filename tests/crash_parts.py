"""A small shop in a folder of its own, runs of it in real processes that may be killed, and what its lake then holds.

As a script: `python -m tests.crash_parts run PROJECT [MART]...` is one run of the pipeline, which kills itself at its
n-th event (`--kill-at-event N`) or before or after its n-th write (`--kill-at-write N`);
`python -m tests.crash_parts watch FOLDER` reads every lake below a folder until told to stop.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import duckdb

from flows.outcome import Outcome
from flows.pipeline import run_pipeline
from flows.steps import plain_step
from lake.catalogue import restricted_of, show_release
from lake.engine import EngineLimits, Session
from lake.errors import SluiceError
from lake.operations import show_operations
from lake.project import open_project
from lake.releases import current_release
from lake.run import Event, begin_run, system_clock
from lake.settings import Settings
from lake.table_versions import Store
from tests.store_parts import copy_lake, lake_keys, move_lake, open_catalogue
from tests.warm_parts import WarmProcess

ROOT = Path(__file__).resolve().parent.parent
LIMITS = EngineLimits(memory="300MB", threads=2)
LONGEST_RUN_SECONDS = 120
EACH = -1  # in place of the number of a moment
WRITES = {  # what changes anything in a lake, by the file it stands in: ours, and deltalake's `table.py`
    "engine.py": {"copy_parquet", "write_database"},
    "catalogue.py": {"_write_views"},
    "objects.py": {"put", "create"},
    "table.py": {"create", "create_write_transaction", "restore", "add_columns", "set_table_description"},
}
WRITING = frozenset().union(*WRITES.values())

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
name: Orders
version: 1.0.0
status: active
domain: shop
team: {name: Shop, members: [{username: shop@localhost, role: owner}]}
servers:
  - {server: inbox, type: local, path: inbox/*.csv, format: csv}
schema:
  - name: orders
    physicalType: table
    description: One row per order.
    customProperties:
      - {property: duplicatePolicy, value: first-wins}
      - {property: driftPolicy, value: evolve}
    properties:
      - {name: order_id, logicalType: string, physicalType: varchar, description: The order's number.,
         primaryKey: true, primaryKeyPosition: 1, required: true}
      - {name: sold_on, logicalType: date, physicalType: date, description: The day of the sale., required: true}
      - {name: region, logicalType: string, physicalType: varchar, description: Where., required: true}
      - {name: amount_eur, logicalType: number, physicalType: "decimal(12,2)", description: What was paid.,
         required: true, logicalTypeOptions: {minimum: 0}}
"""
STAGING = """\
select
    order_id,
    sold_on,
    cast(date_trunc('month', sold_on) as date) as sold_month,
    region,
    amount_eur,
from raw.orders
"""
BY_MONTH = """\
select
    sold_month,
    region,
    count(*) as order_count,
    cast(sum(amount_eur) as decimal(18, 2)) as amount_eur,
from staging.stg_orders
group by sold_month, region
"""
BY_ZONE = """\
select
    coalesce(zone, 'elsewhere') as zone,
    count(*) as order_count,
    cast(sum(amount_eur) as decimal(18, 2)) as amount_eur,
from staging.stg_orders
left join reference.zones using (region)
group by zone
"""
RECONCILIATION = """\
checks:
  - failed rows:
      name: every batch's records are accepted, quarantined or duplicate
      fail query: |
        select batch_id from ops.ingestion_log
        where status = 'landed' and read_count <> accepted_count + quarantined_count + duplicate_count
  - failed rows:
      name: no order and no cent is lost on the way to {mart}
      fail query: |
        select lines.*, totals.*
        from (select count(*) as lines, coalesce(sum(amount_eur), 0) as paid from raw.orders) as lines, (
            select coalesce(sum(order_count), 0) as orders, coalesce(sum(amount_eur), 0) as total from {mart}
        ) as totals
        where lines <> orders or paid <> total
"""
NOT_NEGATIVE = """\
checks for {table}:
  - negative_amounts:
      name: no negative amount
      negative_amounts expression: count(*) filter (where amount_eur < 0)
      fail: when > 0
"""
HEADER = "order_id,sold_on,region,amount_eur\n"
FIRST_FILE = HEADER + (
    "o1,2026-01-10,north,10.00\n"
    "o2,2026-01-11,south,2.50\n"
    "o3,,north,1.00\n"
    "o1,2026-01-10,north,10.0\n"
    "o4,2026-02-01,east,7.25\n"
    "o5,2026-02-02,south,-1.00\n"
    "o6,2026-02-03\n"
)
SECOND_FILE = HEADER.replace("\n", ",colour\n") + (
    "o7,2026-01-31,north,4.00,red\n"
    "o2,2026-01-11,south,99.00,\n"
    "o8,2026-03-01,west,3.30,blue\n"
    "o9,never,west,3.30,blue\n"
    "o8,2026-03-01,west,3.30,blue\n"
)
THIRD_FILE = HEADER + "o10,2026-03-02,south,6.05\no4,2026-02-01,east,7.25\n"

STATE = {
    "raw": "select * exclude (_run_id, _ingested_at) from raw.orders order by all",
    "ledger": (
        "select batch_id, origin, status, read_count, accepted_count, quarantined_count, duplicate_count, byte_count,"
        " checksum from ops.ingestion_log order by all"
    ),
    "quarantine": (
        "select batch_id, origin, line, record_id, stage, category, rule, reasons, column_name, details, raw_data,"
        " replayed_at from ops.quarantine order by all"
    ),
    "staging": "select * from staging.stg_orders order by all",
    "by_month": "select * from marts.by_month order by all",
    "by_zone": "select * from marts.by_zone order by all",
    "released": (
        "select distinct table_name, kind, row_count from ops.releases"
        " where release_id = (select max(release_id) from ops.releases) order by all"
    ),
}
ONE_WHOLE_STATE = """
    select
        (select sum(order_count) from marts.by_month), (select sum(amount_eur) from marts.by_month),
        (select sum(order_count) from marts.by_zone), (select sum(amount_eur) from marts.by_zone),
        (select count(*) from staging.stg_orders), (select sum(amount_eur) from staging.stg_orders)
"""


def make_shop(folder: Path, *files: str) -> Path:
    """Gives a project with one source, a staging view, a partitioned mart, a whole one, and checks."""
    texts = {
        "lake/contracts/orders.yaml": CONTRACT,
        "sql/reference/zones.csv": "region,zone\nnorth,hills\nsouth,coast\n",
        "sql/staging/stg_orders.sql": _model(STAGING, "order_id"),
        "sql/marts/by_month.sql": _model(BY_MONTH, "sold_month, region", "partition: sold_month\n"),
        "sql/marts/by_zone.sql": _model(BY_ZONE, "zone"),
        "checks/staging/stg_orders.yml": NOT_NEGATIVE.format(table="stg_orders"),
        "checks/marts/by_month.yml": NOT_NEGATIVE.format(table="by_month"),
        "checks/marts/by_zone.yml": NOT_NEGATIVE.format(table="by_zone"),
        "checks/pipeline/by_month.yml": RECONCILIATION.format(mart="marts.by_month"),
        "checks/pipeline/by_zone.yml": RECONCILIATION.format(mart="marts.by_zone"),
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "inbox").mkdir(exist_ok=True)
    for text in files:
        deliver(folder, text)
    return folder


def deliver(folder: Path, text: str, name: str | None = None) -> Path:
    """Puts one more file into the inbox, complete from the first moment."""
    inbox = folder / "inbox"
    path = inbox / (name or f"{len(list(inbox.iterdir())) + 1:03}.csv")
    part = folder / f".{path.name}"
    part.write_text(text)
    return part.replace(path)


def copy_shop(source: Path, target: Path) -> Path:
    """Gives a copy of a shop and its lake, there from one moment to the next."""
    part = target.with_name(f".{target.name}")
    shutil.copytree(source, part)
    if (part / ".env").exists():
        move_lake(part, copy_lake(store_of(source)))
    return part.replace(target)


def run_here(folder: Path, *marts: str, observers: tuple[Callable[[Event], None], ...] = ()) -> Outcome:
    """Runs the pipeline of a project in this process."""
    run = begin_run("tester", clock=system_clock, observers=observers)
    return run_pipeline(open_project(folder), settings_of(folder), run, marts, [], plain_step)


def settings_of(folder: Path) -> Settings:
    return Settings.read(folder, memory_limit="300MB", threads=2, retry_delays_seconds=())


def store_of(folder: Path) -> Store:
    return settings_of(folder).store


def start_run(folder: Path, *arguments: str) -> WarmProcess:
    """Starts a run of the pipeline in a process of its own."""
    return WarmProcess("tests.crash_parts:main", ["run", str(folder), *arguments])


def finish(child: WarmProcess) -> dict[str, Any]:
    """Waits for a run that was not killed, and gives its outcome as JSON holds it."""
    out, said = child.communicate(timeout=LONGEST_RUN_SECONDS)
    assert child.returncode == 0, said
    return json.loads(out)  # type: ignore[no-any-return]


def kill_in_second_batch(folder: Path, undisturbed: Path) -> None:
    """Has the kernel kill a run once it has judged its second batch; a run of a copy tells when that is."""
    seen: list[Event] = []
    outcome = run_here(copy_shop(folder, undisturbed), observers=(seen.append,))
    assert outcome.is_ok, outcome.failure
    place = [number for number, event in enumerate(seen, 1) if event.kind == "batch-judged"][1]
    child = start_run(folder, "--kill-at-event", str(place))
    child.communicate(timeout=LONGEST_RUN_SECONDS)
    assert child.returncode == -signal.SIGKILL


def lake_state(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Gives all that a lake holds, but for ids and instants of runs."""
    store = store_of(folder)
    with Session(LIMITS, store) as session:
        release = current_release(session, store)
        assert release is not None
        nothing = restricted_of([])
        show_operations(session, store, nothing.received)
        show_release(session, store, release, nothing)
        return {name: session.rows(sql) for name, sql in STATE.items()}


def catalogue_state(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Gives the same as `lake_state`, as any DuckDB client reads it from `lake.duckdb`."""
    with open_catalogue(folder / "lake" / "data" / "lake.duckdb", store_of(folder)) as client:
        return {name: client.sql(sql).fetchall() for name, sql in STATE.items()}


@contextmanager
def readers_watching(folder: Path, *, is_one_run: bool = True) -> Iterator[None]:
    """Lets a reader in a process of its own read every lake below a folder; what it saw must have been whole.

    Marts that different runs publish may be of different age (`is_one_run` False): then no read may fail, nor may a
    mart show a count without its sum.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stop = folder / "stop-reading"
    how = "together" if is_one_run else "apart"
    child = WarmProcess("tests.crash_parts:main", ["watch", str(folder), how])
    try:
        yield
    finally:
        stop.touch()
        out, said = child.communicate(timeout=60)
    assert child.returncode == 0, said
    seen = json.loads(out)
    assert not seen["wrong"], "\n".join(seen["wrong"][:5])
    assert seen["reads"] > 0


def watch(folder: Path, how: str) -> dict[str, Any]:
    """Reads every lake below a folder, through `lake.duckdb` and through the release, until told to stop."""
    reads = 0
    wrong: list[str] = []
    last: dict[Path, object] = {}
    is_last = False
    while not is_last:
        is_last = (folder / "stop-reading").exists()  # what the test left behind is read, too
        for catalogue in folder.glob("[!.]*/lake/data/lake.duckdb"):
            state = _readable(catalogue)
            if last.get(catalogue) == state:
                continue
            last[catalogue] = state
            found, torn = read_as_others(catalogue.parents[2], how)
            reads += found
            if catalogue.exists():  # else the test is through with this lake
                wrong += torn
        time.sleep(0.1)  # as long as a read takes: else readers have a core to themselves
    return {"reads": reads, "wrong": wrong}


def read_as_others(folder: Path, how: str = "together") -> tuple[int, list[str]]:
    """Reads a lake by its `lake.duckdb` and by its release; gives how many found one, and what was not whole."""
    found: list[tuple[Any, ...]] = []
    wrong: list[str] = []
    for read in (_read_catalogue, _read_release):
        try:
            told = read(folder)
        except (duckdb.Error, SluiceError) as error:
            wrong.append(f"{folder.name} {read.__name__} {error}")
            continue
        if told is not None:
            found.append(told)
            wrong += [] if _is_whole(told, how) else [f"{folder.name} {read.__name__} {told}"]
    return len(found), wrong


def _readable(catalogue: Path) -> object:
    """Gives all that can change what a reader of a lake finds, or None where the test is through with it."""
    folder = catalogue.parents[2]
    with suppress(FileNotFoundError, SluiceError):
        return catalogue.stat().st_mtime_ns, [key for key in lake_keys(store_of(folder)) if "/_delta_log/" in key]
    return None


def _is_whole(found: tuple[Any, ...], how: str) -> bool:
    """Says whether counts and sums of both marts and of staging fit together."""
    counts, sums = found[0::2], found[1::2]
    if how == "together":
        return len({*counts}) == 1 and len({*sums}) == 1
    return all((count or None) is None or total is not None for count, total in zip(counts, sums, strict=True))


def _read_catalogue(folder: Path) -> tuple[Any, ...] | None:
    path = folder / "lake" / "data" / "lake.duckdb"
    if not path.exists():
        return None
    with open_catalogue(path, store_of(folder)) as client:
        if not client.sql("from duckdb_views() where schema_name = 'marts'").fetchall():
            return None
        return client.sql(ONE_WHOLE_STATE).fetchone()


def _read_release(folder: Path) -> tuple[Any, ...] | None:
    store = store_of(folder)
    with Session(LIMITS, store) as session:
        release = current_release(session, store)
        if release is None:
            return None
        show_release(session, store, release, restricted_of([]))
        return session.rows(ONE_WHOLE_STATE)[0]


def _model(sql: str, grain: str, header: str = "") -> str:
    return f"/*\ndescription: Orders.\ngrain: one row per {grain}\nowner: shop\n{header}*/\n{sql}"


def at_event(place: int, act: Callable[[], object]) -> Callable[[Event], None]:
    """Gives an observer of a run that does something at its n-th event."""
    events = iter(range(1, sys.maxsize))

    def observe(_event: Event) -> None:
        if next(events) == place:
            act()

    return observe


@contextmanager
def at_write(place: int, act: Callable[[], object]) -> Iterator[list[str]]:
    """Does something at the n-th moment right before or right after a write, or at each; gives the moments until then.

    A moment reads `before create_write_transaction raw/orders`.
    """
    moments: list[str] = []

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        # Called at every call of every function: what most of them fail at stands first.
        code = frame.f_code
        if code.co_name in WRITING and event in ("call", "return") and _is_write(code):
            name = code.co_name
            moments.append(f"{'before' if event == 'call' else 'after'} {name} {_written(frame.f_locals)}".rstrip())
            if place in (len(moments), EACH):
                sys.setprofile(None)
                act()
                sys.setprofile(profile if place == EACH else None)

    sys.setprofile(profile)
    try:
        yield moments
    finally:
        sys.setprofile(None)


def _is_write(code: CodeType) -> bool:
    return code.co_name in WRITES.get(code.co_filename.rsplit("/", 1)[-1], ())


def _written(values: Mapping[str, Any]) -> str:
    """Gives the table that a write is about, as its last two folders, or nothing where it is about none."""
    place = values.get("folder") or getattr(values.get("self"), "table_uri", None) or values.get("table_uri") or ""
    return "/".join(str(place).rstrip("/").split("/")[-2:])


def first_write(writes: Sequence[str], moment: str) -> int:
    """Gives the number of the first moment that begins so."""
    return next(number for number, each in enumerate(writes, 1) if each.startswith(moment))


def kill_myself() -> None:
    """Ends this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def _wait_for(start: Path | None) -> None:
    while start is not None and not start.exists():
        time.sleep(0.001)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("run", "watch"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("marts", nargs="*")
    parser.add_argument("--kill-at-event", type=int, default=0)
    parser.add_argument("--kill-at-write", type=int, default=0)
    parser.add_argument("--start", type=Path, help="Begin when this file is there.")
    given = parser.parse_args(arguments)
    if given.what == "watch":
        told = watch(given.folder, *given.marts)
    else:
        _wait_for(given.start)
        with at_write(given.kill_at_write, kill_myself) if given.kill_at_write else nullcontext():
            told = run_here(
                given.folder, *given.marts, observers=(at_event(given.kill_at_event, kill_myself),)
            ).as_json()
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
