"""Rows that a polled table has no more: the keys that stand in raw and are not among those the source has."""

from datetime import datetime
from pathlib import Path

from lake.contract import Contract
from lake.engine import Session, literal, quote, scan_sql
from lake.landing.batch import raw_name
from lake.landing.validation import cast_sql
from lake.odcs.deletions import DELETED_AT, standing_sql
from lake.table_versions import Store
from lake.tables import read_version


def write_deletions(
    session: Session, store: Store, contract: Contract, keys: Path, gone: Path, noticed_at: datetime
) -> int:
    """Writes a deletion for each key that stands in raw and is not in the file `keys`, and gives their number.

    **Takes** a Parquet file of every key the source has, under the source's names; `noticed_at` goes into the rows.
    **Gives** in `gone` a Parquet file, one row per deleted key, with every column of the contract: the key, the
    instant, and nothing else.
    """
    found = read_version(store, raw_name(contract))
    if found is None or DELETED_AT not in {name for name, _ in found.columns}:
        return 0  # nothing has landed since the contract asks
    raw = scan_sql([file.path for file in found.files], found.columns, evolved=found.evolved)
    key = [contract.column(name) for name in contract.key]
    had = ", ".join(
        f"{cast_sql(column, f'cast({quote(column.source_name)} as varchar)')} as {quote(column.name)}" for column in key
    )
    told = ", ".join(
        f"{_value(column.name, contract, noticed_at)} as {quote(column.source_name)}" for column in contract.columns
    )
    keyed = ", ".join(quote(column.name) for column in key)
    session.execute(
        f"""
        copy (
            select {told}
            from ({standing_sql(contract, f"({raw})")}) anti join (
                select {had} from read_parquet({literal(str(keys))}, hive_partitioning = false)
            ) using ({keyed})
            order by {keyed}
        ) to {literal(str(gone))} (format parquet)
        """
    )
    return int(session.value(f"select count(*) from read_parquet({literal(str(gone))})"))


def _value(name: str, contract: Contract, noticed_at: datetime) -> str:
    if name == DELETED_AT:
        return f"cast({literal(noticed_at.isoformat())} as timestamptz)"
    return quote(name) if name in contract.key else "cast(null as varchar)"
