"""A table of PostgreSQL into an empty lake, by the product and by a bare script: ADBC into Delta, nothing judged.

    python -m benchmarks.postgres [--rows 1000000] [--repeats 3]

Both read the same table of sixteen columns from the same private server, in a process of their own, in turn. The bare
script writes what the driver gives, numerics cast to decimals; the product cuts it into batches, keeps the bytes,
judges every row by its contract, looks for duplicates and lands. What counts are the ratios.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.postgres_parts import PASSWORD, READER, Database, serving_postgres
from tests.volume_parts import fill_wide, lake_of

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Runs the pairs and prints medians, or one of the two when it is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=4, metavar=("WHO", "FOLDER", "PORT", "DATABASE"), help="used by itself")
    asked = parser.parse_args()
    if asked.one:
        who, folder, port, name = asked.one
        work = {"product": product, "bare": bare}[who]
        print(json.dumps(work(Path(folder), Database(name, int(port)))))
        return
    with serving_postgres() as cluster, tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        database = cluster.create_database()
        fill_wide(database, asked.rows)
        pairs = [
            {who: run(who, Path(folder) / f"{who}-{turn}", database) for who in ("bare", "product")}
            for turn in range(asked.repeats)
        ]
    for who in ("bare", "product"):
        seconds, peak = (statistics.median(pair[who][key] for pair in pairs) for key in ("seconds", "megabytes"))
        print(f"{who:<8} {asked.rows:>10} rows {seconds:6.2f} s {peak:6.0f} MB")
    ratio = statistics.median(pair["product"]["seconds"] / pair["bare"]["seconds"] for pair in pairs)
    print(f"ratio of wall time {ratio:.2f}")


def run(who: str, folder: Path, database: Database) -> dict[str, Any]:
    """Gives the seconds and the peak memory of one of the two, in a process of its own."""
    folder.mkdir()
    command = [
        sys.executable,
        "-m",
        "benchmarks.postgres",
        "--one",
        who,
        str(folder),
        str(database.port),
        database.name,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def product(folder: Path, database: Database) -> dict[str, Any]:
    """Lands the table by its contract."""
    lake = lake_of(folder, database)
    return measured(lambda: lake.land())


def bare(folder: Path, database: Database) -> dict[str, Any]:
    """Writes what the driver gives to a Delta table."""
    import adbc_driver_postgresql.dbapi as driver
    import pyarrow as pa
    import pyarrow.compute as pc
    from deltalake import write_deltalake

    def plain(column: pa.Array) -> pa.Array:
        if not isinstance(column.type, pa.BaseExtensionType):
            return column
        is_numeric = pa.types.is_string(column.storage.type)
        return pc.cast(column.storage, pa.decimal128(12, 2) if is_numeric else pa.binary())

    def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.record_batch([plain(column) for column in batch.columns], names=batch.schema.names)

    def work() -> None:
        address = " ".join(
            f"{name}='{value}'"
            for name, value in (
                ("host", database.host),
                ("port", database.port),
                ("dbname", database.name),
                ("user", READER),
                ("password", PASSWORD.replace("'", "\\'")),
            )
        )
        with driver.connect(address) as connection, connection.cursor() as cursor:
            cursor.execute("select * from readings")
            reader = cursor.fetch_record_batch()
            first = plain_batch(next(iter(reader)))
            rest = (plain_batch(batch) for batch in reader)
            batches = (batch for part in ([first], rest) for batch in part)
            write_deltalake(str(folder / "table"), pa.RecordBatchReader.from_batches(first.schema, batches))

    return measured(work)


def measured(work: Any) -> dict[str, Any]:
    """Gives how long something takes, and the most memory this process has had."""
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    main()
