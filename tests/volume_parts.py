"""A wide table of readings, as many rows as one likes, and landing it; as a script, with what that took of memory.

`python -m tests.volume_parts FOLDER PORT DATABASE [ROWS_PER_BATCH]` prints the peak in kilobytes, and the counts.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

from tests.database_parts import Lake, postgresql
from tests.postgres_parts import Database

MAKE = """
create table readings (
    reading_id bigint primary key, read_at timestamptz not null, day date, site text, region varchar(20), meter uuid,
    kwh numeric(12, 2), price numeric(12, 2), volts double precision, amps real, is_ok boolean, phase smallint,
    counter integer, noted timestamp, note text, extra bigint
)
"""
FILL = """
insert into readings
select i, timestamptz '2026-01-01 00:00+00' + i * interval '1 second', date '2026-01-01' + i % 365, 'site ' || i % 500,
    'region ' || i % 10, md5(i::text)::uuid, i % 10000 + 0.25, (i % 977) / 100.0, sqrt(i), i % 100 / 7.0, i % 3 = 0,
    i % 3, i % 1000000, timestamp '2026-01-01' + i * interval '1 minute', repeat('n', i % 40), i * 1000
from generate_series(1, {rows}) as i
"""
KINDS = {
    "day": "date",
    "site": "string",
    "region": "string",
    "meter": "string",
    "kwh": "number, physicalType: 'decimal(12,2)'",
    "price": "number, physicalType: 'decimal(12,2)'",
    "volts": "number, physicalType: double",
    "amps": "number, physicalType: float",
    "is_ok": "boolean",
    "phase": "integer",
    "counter": "integer",
    "noted": "timestamp, physicalType: timestamp",
    "note": "string",
    "extra": "integer",
}
COLUMNS = """\
      - {name: reading_id, logicalType: integer, description: Its number., primaryKey: true, primaryKeyPosition: 1}
      - {name: read_at, logicalType: timestamp, description: When., required: true}
""" + "".join(f"      - {{name: {name}, logicalType: {kind}, description: A.}}\n" for name, kind in KINDS.items())


def fill_wide(database: Database, rows: int) -> None:
    """Makes the table, with an index on its watermark, and lets it be read."""
    database.execute(MAKE, FILL.format(rows=rows), "create index on readings (read_at)", "analyze readings")
    database.let_read()


def lake_of(folder: Path, database: Database, **properties: Any) -> Lake:
    """Gives a lake with the table's contract."""
    return Lake(folder, postgresql(database, **properties), {"watermark": "read_at"}, COLUMNS)


def main(folder: str, port: str, name: str, rows_per_batch: str = "1000000") -> None:
    lake = lake_of(Path(folder), Database(name, int(port)), rowsPerBatch=int(rows_per_batch))
    counts = lake.land().counts
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(json.dumps({"kilobytes": peak, "counts": counts}))


if __name__ == "__main__":
    main(*sys.argv[1:])
