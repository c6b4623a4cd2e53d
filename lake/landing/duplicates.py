"""Records that are there already: in this batch, or in raw.

A record is known by its key (without a key: by all its columns). Against the version before it, in the batch or the
latest in raw, it is a *repeat* when its content is the same. With other content it is a new version (`latest-wins`)
or a *conflict* that is refused (`first-wins`). Only rows whose key occurs twice are ever compared, so a batch without
any costs one grouping.
"""

from collections.abc import Sequence

from lake.contract import Contract
from lake.engine import Session, quote

CONTENT = "content"  # the name under which a row's columns are compared, as one struct


def find_duplicates(session: Session, contract: Contract, columns: Sequence[str], rows: str, raw: str) -> str:
    """Creates a table of the rows that do not land, and gives its name: `_ordinal, rule`.

    `rows` is a table of typed rows with `_reasons`, in the order received; `raw` the raw table as it stands. `rule` is
    `repeat` or `conflict`.
    """
    key = contract.key or tuple(columns)
    _gather_versions(session, contract, key, columns, rows, raw)
    session.execute("create or replace table landing.duplicates (_ordinal bigint, rule varchar)")
    if session.value("select count(*) from landing.versions"):
        judge = _conflicts if contract.duplicates == "first-wins" and contract.key else _versions
        session.execute(f"insert into landing.duplicates {judge(key)}")
    return "landing.duplicates"


def _gather_versions(
    session: Session, contract: Contract, key: Sequence[str], columns: Sequence[str], rows: str, raw: str
) -> None:
    """Creates `landing.versions`: every row whose key occurs more than once, of the batch and, before it, of raw."""
    keyed = ", ".join(quote(name) for name in key)
    content = ", ".join(f"{quote(name)} := {quote(name)}" for name in columns)
    hashed = f"hash({keyed})"
    whole = " and ".join(f"{quote(name)} is not null" for name in contract.key) or "true"
    sound = f"_reasons is null and {whole}"
    session.execute(
        f"""
        create or replace table landing.repeated as
        select key_hash from (select {hashed} as key_hash from {rows} where {sound})
        group by key_hash having count(*) > 1
        """
    )
    known = _known_keys(session, hashed, f"{rows} where {sound}", raw)
    session.execute(
        f"""
        create or replace table landing.versions as
        select {keyed}, struct_pack({content}) as {CONTENT}, 1 as age, rowid as _ordinal, null::timestamptz as landed_at
        from {rows}
        where {sound} and {hashed} in (from landing.repeated union from landing.known)
        """
    )
    if known:
        session.execute(
            f"""
            insert into landing.versions
            select {keyed}, struct_pack({content}) as {CONTENT}, 0 as age, _line as _ordinal, _ingested_at as landed_at
            from {raw} where {hashed} in (from landing.known)
            """
        )


def _known_keys(session: Session, hashed: str, sound_rows: str, raw: str) -> int:
    """Creates `landing.known`, the hashes of the batch's keys that raw has; gives how many."""
    session.execute(
        f"""
        create or replace table landing.known as
        select distinct {hashed} as key_hash from {raw}
        where {hashed} in (select {hashed} from {sound_rows})
        """
    )
    return int(session.value("select count(*) from landing.known"))


def _versions(key: Sequence[str]) -> str:
    keyed = ", ".join(quote(name) for name in key)
    return f"""
        select _ordinal, 'repeat' as rule
        from (
            select _ordinal, age, {CONTENT} is not distinct from lag({CONTENT}) over history
                and row_number() over history > 1 as is_repeat
            from landing.versions
            window history as (partition by {keyed} order by age, landed_at, _ordinal)
        )
        where is_repeat and age = 1
    """


def _conflicts(key: Sequence[str]) -> str:
    keyed = ", ".join(quote(name) for name in key)
    return f"""
        select _ordinal, case when is_repeat then 'repeat' else 'conflict' end as rule
        from (
            select _ordinal, age, {CONTENT} is not distinct from first({CONTENT}) over history as is_repeat,
                row_number() over history as place
            from landing.versions
            window history as (partition by {keyed} order by age, landed_at, _ordinal)
        )
        where place > 1 and age = 1
    """
