"""Candidates on disk: Parquet files in a table's folder that no commit names yet, with Delta's statistics of each."""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa

from lake.engine import Session, WrittenFile, storable_sql
from lake.table_versions import DataFile, StagedFiles, Store


def stage_files(
    session: Session,
    store: Store,
    name: str,
    query: str,
    *,
    partition: Sequence[str] = (),
    any_order: bool = False,
) -> StagedFiles:
    """Writes a query's rows as Parquet into the table's folder, without committing them; `any_order` is cheaper."""
    uri = store.table_uri(name)
    select, columns = storable_sql(session, query)
    schema = plain_schema(session.arrow(f"select * from ({select}) limit 0").schema)
    written = session.copy_parquet(select, uri, partition, any_order=any_order)
    files = tuple(DataFile(file.path, file.row_count, file.byte_count, file.partition_values) for file in written)
    statistics = tuple(_statistics(file, dict(columns)) for file in written)
    return StagedFiles(name, files, statistics, columns, schema, tuple(partition))


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Gives the schema Delta stores: extension types by their storage, every field nullable."""
    return pa.schema(
        [pa.field(field.name, getattr(field.type, "storage_type", field.type), nullable=True) for field in schema]
    )


def _statistics(file: WrittenFile, types: Mapping[str, str]) -> str:
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
