"""The yardstick: the sales job written by hand with nothing but DuckDB, deltalake, hashlib and zstandard.

It does what the pipeline does to the same files, and knows this one source by heart: keep the received bytes, read them
as text, cast, judge, split into accepted, quarantined (all reasons, line, raw content) and duplicate, write raw and
quarantine as Delta, build the four marts, check, publish. Two ways to run it:

    python benchmarks/bare_sales.py sales.csv LAKE               # a lake from nothing
    python benchmarks/bare_sales.py later.csv LAKE --increment   # more rows: only touched months are built

It prints seconds per stage as JSON. It has none of what a pipeline is for: no crash safety beyond Delta's, no release,
no lineage, no events, no other source. What it shares with the pipeline is the work on the rows.
"""

import argparse
import hashlib
import json
import resource
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

STARTED = time.perf_counter()

import duckdb  # noqa: E402  # imports are part of what is timed
import zstandard  # noqa: E402
from deltalake import DeltaTable, Schema  # noqa: E402
from deltalake.transaction import AddAction, RemoveAction  # noqa: E402

CHUNK_BYTES = 4 << 20
ARCHIVE_LEVEL = 1  # of zstd: the bytes are kept for years and read hardly ever, but every landing waits for them
FIELDS = (
    *("order_id", "sold_at", "region", "product_group", "product"),
    *("units", "unit_price_inr", "revenue_inr", "customer_id", "customer_email"),
)
REGIONS = (
    *("Assam", "Delhi", "Gujarat", "Karnataka"),
    *("Maharashtra", "Tamil Nadu", "Uttar Pradesh", "West Bengal"),
)
GROUPS = ("Apparel", "Beauty", "Electronics", "Grocery", "Home")
CASTS = {
    "region": "try_cast(region as region)",  # an enumeration is stored in one byte, and its cast is its check
    "product_group": "try_cast(product_group as product_group)",
    "sold_at": "try_cast(sold_at as timestamptz)",
    "units": "try_cast(units as integer)",
    "unit_price_inr": "try_cast(unit_price_inr as decimal(12, 2))",
    "revenue_inr": "try_cast(revenue_inr as decimal(14, 2))",
}
ENUMS = {"region": REGIONS, "product_group": GROUPS}
REQUIRED = tuple(name for name in FIELDS if name != "customer_email")


def _text(value: str) -> str:
    return f"'{value}'"


def _listed(values: Iterable[str]) -> str:
    return f"[{', '.join(_text(value) for value in values)}]"


REASONS = {
    **{f"required:{name}": f"text_{name} is null" for name in REQUIRED},
    **{
        f"{'enum' if name in ENUMS else 'type'}:{name}": f"text_{name} is not null and {name} is null" for name in CASTS
    },
    "min-length:order_id": "length(order_id) < 1",
    "max-length:order_id": "length(order_id) > 40",
    "min-length:product": "length(product) < 1",
    "max-length:product": "length(product) > 100",
    "minimum:units": "units < 0",
    "maximum:units": "units > 10000",
    "rule:price-positive": "not unit_price_inr > 0",
    "rule:revenue-not-negative": "not revenue_inr >= 0",
    "rule:revenue-is-units-times-price": "not revenue_inr = units * unit_price_inr",
    "rule:sold-at-plausible": "not (sold_at >= timestamptz '2000-01-01 00:00:00+05:30'"
    " and sold_at < timestamptz '2050-01-01 00:00:00+05:30')",
}
CATEGORIES = {
    "required": "MISSING_REQUIRED_FIELD",
    "type": "DATA_FORMAT_ERROR",
    "rule": "BUSINESS_RULE_VIOLATION",
    "duplicate": "DUPLICATE_RECORD",
}
MEASURES = """
    cast(sum(order_count) as bigint) as order_count, cast(sum(unit_count) as bigint) as unit_count,
    cast(sum(revenue_inr) as decimal(18, 2)) as revenue_inr,
    cast(sum(revenue_inr) / nullif(sum(unit_count), 0) as decimal(18, 4)) as revenue_per_unit_inr
"""
LINE_MEASURES = MEASURES.replace("sum(order_count)", "count(*)").replace("unit_count)", "units)")
MARTS = {  # name: (select, whether partitioned by month); `lines` are the order lines of the months to build
    "sales_daily": (
        f"select sold_month, sold_on, region, product_group, {LINE_MEASURES} from lines group by all",
        True,
    ),
    "sales_product": (
        f"select sold_month, product_group, product, {LINE_MEASURES} from lines group by all",
        True,
    ),
    "sales_regional": (
        f"""
        select *, cast(revenue_inr / nullif(sum(revenue_inr) over (partition by sold_month), 0) as decimal(9, 6))
            as revenue_share_ratio
        from (select sold_month, region, {MEASURES} from sales_daily group by all)
        """,
        True,
    ),
    "sales_monthly": (
        f"""
        with monthly as (select sold_month, {MEASURES} from whole_daily group by all)
        select monthly.*, previous.revenue_inr as previous_revenue_inr,
            cast((monthly.revenue_inr - previous.revenue_inr) / nullif(previous.revenue_inr, 0) as decimal(18, 6))
            as revenue_growth_ratio
        from monthly left join monthly as previous
            on previous.sold_month = cast(monthly.sold_month - interval 1 month as date)
        """,
        False,
    ),
}


@dataclass
class Job:
    """One run of the script: its database, lake and stopwatch."""

    database: duckdb.DuckDBPyConnection
    lake: Path
    run_id: str
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the time of a block to a stage."""
        before, used = time.perf_counter(), time.process_time()
        yield
        self.cpu_seconds[stage] = round(self.cpu_seconds.get(stage, 0.0) + time.process_time() - used, 3)
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.perf_counter() - before, 3)

    def do(self, sql: str) -> list[tuple[Any, ...]]:
        """Runs one statement and gives its rows."""
        return self.database.execute(sql).fetchall()


@dataclass(frozen=True)
class Receipt:
    """What was received: the sha256 of the bytes and how many lines they are."""

    digest: str
    line_count: int


def open_job(lake: Path, memory: str, threads: int) -> Job:
    """Opens a database for this run only. A compressed in-memory catalogue is faster than a plain one and smaller."""
    database = duckdb.connect(":memory:", config={"memory_limit": memory, "threads": threads})
    database.execute("set TimeZone = 'UTC'")
    database.execute("attach ':memory:' as work (compress)")
    database.execute("use work")
    for name, values in ENUMS.items():
        database.execute(f"create type {name} as enum ({', '.join(_text(value) for value in values)})")
    return Job(database, lake, f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}")


def keep_bytes(source: Path, lake: Path) -> Receipt:
    """Keeps the received bytes, compressed, under their digest."""
    folder = lake / "archive"
    folder.mkdir(parents=True, exist_ok=True)
    digest, line_count, last = hashlib.sha256(), 0, b"\n"
    part = folder / f".{source.name}.part"
    compressor = zstandard.ZstdCompressor(level=ARCHIVE_LEVEL)
    with source.open("rb") as received, part.open("wb") as kept, compressor.stream_writer(kept) as packed:
        while chunk := received.read(CHUNK_BYTES):
            digest.update(chunk)
            line_count += chunk.count(b"\n")
            last = chunk[-1:]
            packed.write(chunk)
    part.rename(folder / f"{digest.hexdigest()}.csv.zst")
    return Receipt(digest.hexdigest(), line_count + (last != b"\n"))


def load(job: Job, source: Path) -> None:
    """Reads the file as text, casts and judges it in one pass; raw content is kept of refused lines only."""
    texts = ", ".join(f"'{name}': 'varchar'" for name in FIELDS)
    typed = ", ".join(f"{CASTS.get(name, name)} as {name}, {name} as text_{name}" for name in FIELDS)
    wrong = " or ".join(f"({condition})" for condition in REASONS.values())
    cases = ", ".join(f"case when {condition} then '{code}' end" for code, condition in REASONS.items())
    raw = ", ".join(f"{name} := text_{name}" for name in FIELDS)
    job.do(
        f"""
        create table candidate as
        select
            {", ".join(FIELDS)},
            {wrong} as is_refused,
            case when {wrong} then list_filter([{cases}], lambda reason: reason is not null) end as reasons,
            case when {wrong} then cast(to_json(struct_pack({raw})) as varchar) end as raw_data,
        from (
            select {typed}
            from read_csv(
                '{source}', auto_detect = false, header = true, delim = ',', quote = '"', escape = '"',
                columns = {{{texts}}}
            )
        )
        """
    )


def find_duplicates(job: Job, raw: DeltaTable | None) -> None:
    """Finds lines whose order is there already, in the batch or in raw: repeats, or conflicts of other content."""
    content = ", ".join(name for name in FIELDS if name != "order_id")
    job.do(
        """
        create table suspect as
        select rowid as line, * exclude (is_refused, reasons, raw_data) from candidate
        where not is_refused and hash(order_id) in (
            select hash(order_id) from candidate where not is_refused group by 1 having count(*) > 1
        )
        """
    )
    job.do(
        f"""
        create table duplicate as
        select
            *,
            case when row({content}) is not distinct from first_value(row({content})) over earlier
                then 'repeat' else 'conflict' end as kind,
        from suspect
        window earlier as (partition by order_id order by line)
        qualify row_number() over earlier > 1
        """
    )
    if raw is None:
        return
    job.do(
        f"""
        create table known as
        select {", ".join(FIELDS)} from ({scan(raw)})
        where order_id in (select order_id from candidate where not is_refused)
        """
    )
    job.do(
        f"""
        insert into duplicate
        select candidate.rowid, {_from("candidate", ", ".join(FIELDS))},
            case when row({_from("candidate", content)}) is not distinct from row({_from("known", content)})
                then 'repeat' else 'conflict' end
        from candidate join known using (order_id)
        where not is_refused and candidate.rowid not in (select line from duplicate)
        """
    )


def _from(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{name.strip()}" for name in columns.split(","))


def scan(table: DeltaTable, condition: str = "true") -> str:
    """Gives a select over a table's own list of files."""
    root = unquote(table.table_uri.removeprefix("file://")).rstrip("/")
    files = [f"{root}/{unquote(path)}" for path in present_files(table)["path"]]
    return f"select * from read_parquet({_listed(files)}, hive_partitioning = false) where {condition}"


def open_table(job: Job, name: str) -> DeltaTable | None:
    """Gives a table of the lake, None when it is not there."""
    folder = job.lake / name
    return DeltaTable(str(folder)) if (folder / "_delta_log").is_dir() else None


def write(job: Job, name: str, query: str, *, partition: str | None = None, replace: str | None = None) -> int:
    """Writes a query's rows as Parquet straight into a table's folder and commits them; gives how many.

    `replace` is a condition on file paths of what they stand instead of, such as the month's folder.
    """
    folder = job.lake / name
    folder.mkdir(parents=True, exist_ok=True)
    options = "format parquet, compression zstd, return_stats"
    options += f", partition_by ({partition}), write_partition_columns true, overwrite_or_ignore" if partition else ""
    target = folder if partition else folder / f"{uuid.uuid4().hex}.parquet"
    name_pattern = ", filename_pattern '{uuid}'" if partition else ""
    written = job.do(f"copy ({query}) to '{target}' ({options}{name_pattern})")
    commit(job, name, query, written, partition, replace)
    return sum(row[1] for row in written)


def commit(
    job: Job, name: str, query: str, written: list[tuple[Any, ...]], partition: str | None, replace: str | None
) -> None:
    """Commits written files as one version of a Delta table."""
    table = open_table(job, name)
    if table is None:
        schema = Schema.from_arrow(job.database.execute(f"select * from ({query}) limit 0").to_arrow_table().schema)
        table = DeltaTable.create(str(job.lake / name), schema, partition_by=[partition] if partition else None)
    root, now = str(job.lake / name), int(time.time() * 1000)
    types = {field.name: str(field.type) for field in table.schema().fields}
    actions: list[AddAction | RemoveAction] = [
        RemoveAction(path=path, data_change=True, deletion_timestamp=now, size=size, partition_values=values)
        for path, size, values in current_files(table, partition)
        if replace is not None and any(month in unquote(path) for month in replace.split())
    ]
    for path, rows, size, _, columns, values in written:
        parts = {partition: str(dict(values)[partition])} if partition else {}
        if rows:
            relative = quote(str(Path(path).relative_to(root)), safe="/=-_.")
            actions.append(AddAction(relative, size, parts, now, True, statistics(rows, columns, types)))
    table.create_write_transaction(
        actions, mode="append", schema=table.schema(), partition_by=[partition] if partition else None
    )


def present_files(table: DeltaTable) -> dict[str, list[Any]]:
    """Gives a table's present files by column: path, size, partition values."""
    actions = table.get_add_actions(flatten=True)
    return {name: actions[name].to_pylist() for name in actions.schema.names}


def current_files(table: DeltaTable, partition: str | None) -> Iterator[tuple[str, int, dict[str, str | None]]]:
    """Gives path, size and partition values of a table's present files."""
    actions = present_files(table)
    for index, (path, size) in enumerate(zip(actions["path"], actions["size_bytes"], strict=True)):
        yield path, size, {partition: str(actions[f"partition.{partition}"][index])} if partition else {}


def statistics(rows: int, columns: dict[str, dict[str, str]], types: dict[str, str]) -> str:
    """Gives Delta's statistics of one file, from what COPY returned."""
    found: dict[str, dict[str, Any]] = {"minValues": {}, "maxValues": {}, "nullCount": {}}
    for quoted, values in columns.items():
        name = quoted.strip('"')
        found["nullCount"][name] = int(values.get("null_count", 0))
        for key, side in (("min", "minValues"), ("max", "maxValues")):
            kind = types.get(name, "")
            if key in values and ("integer" in kind or "long" in kind):
                found[side][name] = int(values[key])
            elif key in values and ("string" in kind or "date" in kind) and len(values[key]) < 32:
                found[side][name] = values[key]
            elif key in values and "timestamp" in kind:
                found[side][name] = values[key].replace(" ", "T").removesuffix("+00") + "Z"
    return json.dumps({"numRecords": rows, **found})


def land(job: Job, source: Path) -> dict[str, int]:
    """Lands one file: archive, load, judge, split, write; gives the counts of the ledger."""
    with ThreadPoolExecutor(1) as pool:
        kept: Future[Receipt] = pool.submit(keep_bytes, source, job.lake)
        with job.timed("load"):
            load(job, source)
        with job.timed("duplicates"):
            raw = open_table(job, "raw/sales")
            find_duplicates(job, raw)
        with job.timed("archive (what is left of it)"):
            receipt = kept.result()
    read = job.do("select count(*) from candidate")[0][0]
    if read + 1 != receipt.line_count:
        sys.exit(f"{receipt.line_count - 1} lines, but {read} records: line numbers would be wrong.")
    job.do(
        "set preserve_insertion_order = false"
    )  # each line has its number by now, and writing in any order is faster
    with job.timed("write quarantine"):
        refused = write(job, "ops/quarantine", quarantine_query(job, receipt))
    with job.timed("write raw"):
        accepted = write(job, "raw/sales", raw_query(job, receipt))
    duplicates = job.do("select count(*) from duplicate where kind = 'repeat'")[0][0]
    counts = {"read": read, "accepted": accepted, "quarantined": refused - duplicates, "duplicate": duplicates}
    if read != accepted + refused:
        sys.exit(f"The ledger does not balance: {counts}")
    return counts


def raw_query(job: Job, receipt: Receipt) -> str:
    """Gives the accepted lines with where they came from."""
    return f"""
        select {", ".join(FIELDS)}, '{job.run_id}' as _run_id, '{receipt.digest[:32]}' as _batch_id,
            timestamptz '{datetime.now(UTC).isoformat()}' as _ingested_at, 'sales' as _source,
            rowid + 2 as _line, '{receipt.digest[:16]}:' || (rowid + 2) as _record_id,
        from candidate where not is_refused and rowid not in (select line from duplicate)
    """


def quarantine_query(job: Job, receipt: Receipt) -> str:
    """Gives the refused lines with every reason and their content."""
    raw = ", ".join(f"{name} := {name}" for name in FIELDS)
    categories = " ".join(f"when '{kind}' then '{category}'" for kind, category in CATEGORIES.items())
    return f"""
        with refused as (
            select rowid + 2 as line, reasons, raw_data from candidate where is_refused
            union all
            select line + 2, ['duplicate:' || kind], cast(to_json(struct_pack({raw})) as varchar) from duplicate
        )
        select '{job.run_id}' as run_id, '{receipt.digest[:32]}' as batch_id, 'sales' as source, line,
            '{receipt.digest[:16]}:' || line as record_id, 'raw' as stage,
            case split_part(reasons[1], ':', 1) {categories} else 'DATA_QUALITY_ISSUE' end as category,
            split_part(reasons[1], ':', 1) as rule, reasons, split_part(reasons[1], ':', 2) as column_name, raw_data,
            '1.0.0' as contract_version, timestamptz '{datetime.now(UTC).isoformat()}' as quarantined_at,
        from refused
    """


def build_marts(job: Job, *, increment: bool) -> None:
    """Builds the marts as tables of the session: all months, or those that the new lines touch."""
    months = touched_months(job) if increment else None
    raw = open_table(job, "raw/sales")
    if raw is None:
        sys.exit("There is no raw table.")
    condition = "true" if months is None else indian_months(months)
    job.do(
        f"""
        create view lines as
        select *, cast(date_trunc('month', sold_on) as date) as sold_month
        from (
            select region, product_group, product, units, revenue_inr,
                cast(make_timestamp(epoch_us(sold_at) + 19800000000) as date) as sold_on,
            from ({scan(raw, condition)})
        )
        """
    )
    for name, (query, _) in MARTS.items():
        if name == "sales_monthly":
            job.do(f"create view whole_daily as {whole_daily(job, months)}")
        job.do(f"create table {name} as {query}")


def touched_months(job: Job) -> list[str]:
    """Gives the Indian months of the accepted lines."""
    rows = job.do(
        """
        select distinct cast(date_trunc('month', timezone('Asia/Kolkata', sold_at)) as date)
        from candidate where not is_refused and rowid not in (select line from duplicate)
        """
    )
    return sorted(str(month) for (month,) in rows)


def indian_months(months: list[str]) -> str:
    """Gives the condition on instants that lie in some Indian months, in a form that skips files and row groups."""
    spans = (
        f"(sold_at >= timezone('Asia/Kolkata', timestamp '{month}')"
        f" and sold_at < timezone('Asia/Kolkata', timestamp '{month}' + interval 1 month))"
        for month in months
    )
    return " or ".join(spans) or "false"


def whole_daily(job: Job, months: list[str] | None) -> str:
    """Gives all days: those just built, and for an increment those of the months that stand."""
    known = open_table(job, "marts/sales_daily")
    if months is None or known is None:
        return "select * from sales_daily"
    rest = scan(known, f"not list_contains({_listed(months)}, cast(sold_month as varchar))")
    return f"select * from sales_daily union all by name {rest}"


def check(job: Job) -> int:
    """Runs some thirty checks on what was built; stops at the first that fails, gives how many there were."""
    failures: dict[str, str] = {}
    for name, (_, _) in MARTS.items():
        grain = [row[0] for row in job.do(f"describe {name}") if row[0] not in MEASURE_NAMES]
        failures[f"{name}: rows"] = f"select count(*) = 0 from {name}"
        failures[f"{name}: grain"] = f"select count(*) <> count(distinct ({', '.join(grain)})) from {name}"
        for column in (*grain, "order_count", "unit_count", "revenue_inr"):
            failures[f"{name}: {column} missing"] = f"select count(*) <> count({column}) from {name}"
        failures[f"{name}: ranges"] = f"select coalesce(min(revenue_inr) < 0 or min(unit_count) < 0, true) from {name}"
    totals = "sum(order_count), sum(unit_count), sum(revenue_inr)"
    failures["raw and marts"] = (
        "select (select (count(*), sum(units), sum(revenue_inr)) from lines)"
        f" is distinct from (select ({totals}) from sales_daily)"
    )
    for name in ("sales_product", "sales_regional"):
        failures[f"daily and {name}"] = (
            f"select (select ({totals}) from sales_daily) is distinct from (select ({totals}) from {name})"
        )
    failures["daily and monthly"] = (
        f"select (select ({totals}) from whole_daily) is distinct from (select ({totals}) from sales_monthly)"
    )
    failed = [title for title, query in failures.items() if job.do(query)[0][0]]
    if failed:
        sys.exit(f"Checks failed: {', '.join(failed)}")
    return len(failures)


MEASURE_NAMES = (
    *("order_count", "unit_count", "revenue_inr", "revenue_per_unit_inr"),
    *("revenue_share_ratio", "previous_revenue_inr", "revenue_growth_ratio"),
)


def publish(job: Job, *, increment: bool) -> None:
    """Writes the marts to the lake: whole, or the months just built in the place of the old ones."""
    for name, (_, partitioned) in MARTS.items():
        months = [f"sold_month={row[0]}" for row in job.do(f"select distinct sold_month from {name}")]
        replaced = " ".join(months) if increment and partitioned else "parquet"
        write(
            job,
            f"marts/{name}",
            f"select * from {name}",
            partition="sold_month" if partitioned else None,
            replace=replaced,
        )


def refresh(job: Job, *, increment: bool) -> int:
    """Builds, checks and publishes the marts; gives how many checks there were."""
    with job.timed("marts"):
        build_marts(job, increment=increment)
    with job.timed("checks"):
        checks = check(job)
    with job.timed("publish"):
        publish(job, increment=increment)
    return checks


def main() -> None:
    """Runs the job and prints what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("lake", type=Path)
    parser.add_argument("--increment", action="store_true", help="the lake has rows already; build touched months only")
    parser.add_argument("--memory", default="1GB")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    imported = time.perf_counter()
    job = open_job(asked.lake.resolve(), asked.memory, asked.threads)
    with job.timed("total without imports"):
        counts = land(job, asked.source.resolve())
        checks = refresh(job, increment=asked.increment) if counts["accepted"] else 0
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                **counts,
                "checks": checks,
                "seconds": {"imports": round(imported - STARTED, 3), **job.seconds},
                "cpu_seconds": {"whole process": round(usage.ru_utime + usage.ru_stime, 2), **job.cpu_seconds},
                "peak_mb": usage.ru_maxrss // 1024,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
