"""Delta's statistics of one Parquet file, from what DuckDB reports after writing it."""

import json
from collections.abc import Mapping

from lake.engine import WrittenFile


def file_statistics(file: WrittenFile, types: Mapping[str, str]) -> str:
    """Gives Delta's file statistics, which let every engine skip files."""
    lowest = {
        name: value for name, found in file.columns.items() if (value := _bound(found.minimum, types[name])) is not None
    }
    highest = {
        name: value for name, found in file.columns.items() if (value := _bound(found.maximum, types[name])) is not None
    }
    both = lowest.keys() & highest.keys()
    return json.dumps(
        {
            "numRecords": file.row_count,
            "minValues": {name: lowest[name] for name in both},
            "maxValues": {name: highest[name] for name in both},
            "nullCount": {name: found.null_count for name, found in file.columns.items()},
        }
    )


LONGEST_BOUND = 32  # characters: longer text makes the log heavy and skips hardly more


def _bound(value: str | None, sql_type: str) -> str | int | float | None:
    if value is None:
        return None
    kind = sql_type.upper()
    if kind in {"TINYINT", "SMALLINT", "INTEGER", "BIGINT"}:
        return int(value)
    if kind == "DATE" or (kind == "VARCHAR" and len(value) < LONGEST_BOUND):
        return value
    if kind == "TIMESTAMP WITH TIME ZONE":
        return value.replace(" ", "T").removesuffix("+00") + "Z"
    return None
