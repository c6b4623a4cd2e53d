"""Contracts of polled tables whose deleted rows are noticed: raw keeps, beside the rows, which keys are gone.

A deletion is a version of its key like any other, with the instant of its being noticed and nothing else. So what the
contract requires of a row holds for versions that are rows.
"""

from dataclasses import replace
from typing import Final

from lake.contract import Column, Contract
from lake.errors import ContractError
from lake.odcs.changes import excused_rule, presence_rule

DELETES, NOTICE, IGNORE = "deletes", "notice", "ignore"  # the server's property, and what it may be
DELETED_AT: Final = "_deleted_at"
DELETED_AT_COLUMN: Final = Column(
    DELETED_AT,
    DELETED_AT,
    "timestamptz",
    description="When the run began that noticed the row to be gone from the source; empty for rows that are there.",
)
IS_DELETION: Final = f"{DELETED_AT} is not null"


def notices_deletes(contract: Contract) -> bool:
    """Says whether a contract asks for rows to be noticed that its source has deleted."""
    return any(server.options.get(DELETES) == NOTICE for server in contract.servers)


def with_deletions(contract: Contract) -> Contract:
    """Gives the contract of a table with its deletions, from that of the table itself, which it keeps as `history_of`.

    Raises ContractError where no deletion could be told.
    """
    _expect_fitting(contract)
    columns = tuple(
        column if column.name in contract.key else replace(column, required=False) for column in contract.columns
    )
    others = (column for column in contract.columns if column.required and column.name not in contract.key)
    return replace(
        contract,
        columns=(*columns, DELETED_AT_COLUMN),
        rules=(
            *(presence_rule(column, IS_DELETION) for column in others),
            *(excused_rule(rule, IS_DELETION) for rule in contract.rules),
        ),
        history_of=contract,
    )


def _expect_fitting(contract: Contract) -> None:
    reserved = next((column for column in contract.columns if DELETED_AT in (column.name, column.source_name)), None)
    what, cure = "", ""
    if reserved is not None:
        what, cure = f"the column '{DELETED_AT}', which Sluice adds then", "Rename it."
    elif not contract.key:
        what, cure = "no primary key, by which a row could be missed", "Mark its columns with 'primaryKey: true'."
    elif contract.load == "replace" or contract.duplicates == "first-wins":
        policy = "loadMode: replace" if contract.load == "replace" else "duplicatePolicy: first-wins"
        what, cure = f"'{policy}', which keeps no later version of a row", "Remove one of the two."
    elif len(contract.servers) > 1:
        what, cure = "other servers, whose rows this one would miss", "Give each server a contract of its own."
    if what:
        raise ContractError(
            "deletes-unfit",
            f"The server has '{DELETES}: {NOTICE}', and the table has {what}.",
            cure=cure,
            path=contract.path,
            line=0 if reserved is None else reserved.line,
        )


def standing_sql(contract: Contract, history: str) -> str:
    """Gives the select of what stands in a polled table: the latest version of each key, unless it is gone since."""
    from lake.engine import quote  # the engine, which reading contracts needs not

    keyed = ", ".join(quote(name) for name in contract.key)
    mark = "" if contract.watermark is None else f"{quote(contract.watermark)} desc nulls last, "
    return f"""with
history as (
    select * from {history}
),

gone as (
    select {keyed}, max(_ingested_at) as gone_at from history
    where {IS_DELETION}
    group by {keyed}
),

latest as (
    select *, max(_ingested_at) over (partition by {keyed}) as seen_at from history
    where {DELETED_AT} is null
    qualify row_number() over (partition by {keyed} order by {mark}_ingested_at desc, _line desc) = 1
),

standing as (
    select latest.* exclude (seen_at, {DELETED_AT}) from latest
    left join gone using ({keyed})
    where gone.gone_at is null or latest.seen_at > gone.gone_at
)

select * from standing"""
