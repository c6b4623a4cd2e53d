"""The present state of tables of which raw keeps more: a view made of the contract, read like any model.

A captured table has a history of changes there; a polled one whose deletions are noticed, versions and deletions.
"""

from collections.abc import Iterable

from lake.contract import Contract
from lake.engine import literal, quote
from lake.errors import ContractError
from lake.odcs.changes import EMPTYING
from lake.odcs.deletions import standing_sql
from sql.header import Header
from sql.models import Model, make_model

ENDING = "_current"


def current_views(contracts: Iterable[Contract]) -> dict[str, Model]:
    """Gives the view of each such table by name, such as `raw.customers_current`; no others have one.

    Raises ContractError when another source has that name.
    """
    listed = list(contracts)
    sources = {contract.source: contract for contract in listed}
    views = {}
    for contract in listed:
        if contract.history_of is None:
            continue
        name = f"{contract.source}{ENDING}"
        if name in sources:
            raise ContractError(
                "source-repeated",
                f"raw.{name} is the view of what stands in the table {contract.source!r}, and a source.",
                cure="Rename the source.",
                path=sources[name].path,
            )
        views[f"raw.{name}"] = _view(contract, contract.history_of)
    return views


def _view(contract: Contract, table: Contract) -> Model:
    grain = f"one row per {', '.join(table.key)}" if table.key else "one row per row of the table"
    header = Header(f"What stands in the table now: {contract.description}", grain, contract.owner, "view")
    if contract.is_captured:
        select = current_sql(contract.source, table)
    else:
        select = standing_sql(table, f"raw.{quote(contract.source)}")
    return make_model(f"raw.{contract.source}{ENDING}", contract.path, select, header)


def current_sql(source: str, table: Contract) -> str:
    """Gives the select of what stands in a table, by the changes in `raw.<source>`.

    The log's order decides, not that of landing: changes that were quarantined and replayed later take their place. A
    snapshot counts from its `baseline` on, which lands last: what has come of one before, or of one that broke off,
    would stand beside what it takes the place of.
    """
    return f"""with
history as (
    select * from raw.{quote(source)}
),

emptied as (
    select _lsn as at_lsn, _sequence as at_sequence from history
    where _change in ({", ".join(literal(kind) for kind in EMPTYING)})
    order by _lsn desc, _sequence desc
    limit 1
),

whole as (
    select max(_lsn) as at_lsn from history where _change = 'baseline'
),

later as (
    select history.* from history
    left join emptied on true
    left join whole on true
    where (emptied.at_lsn is null
        or history._lsn > emptied.at_lsn
        or (history._lsn = emptied.at_lsn and history._sequence > emptied.at_sequence))
        and (history._change <> 'snapshot' or history._lsn <= whole.at_lsn)
),

{_latest(table.key) if table.key else _left_over([column.name for column in table.columns])}

select * from standing"""


def _latest(key: Iterable[str]) -> str:
    """Gives the latest version of each key, unless that is its end."""
    return f"""latest as (
    select * from later
    qualify row_number() over (
        partition by {", ".join(map(quote, key))} order by _lsn desc, _sequence desc, _ingested_at desc, _line desc
    ) = 1
),

standing as (
    select * from latest where _change <> 'delete'
)"""


def _left_over(columns: Iterable[str]) -> str:
    """Gives every row as often as it was inserted more than it was deleted: rows without a key are known by all."""
    names = ", ".join(map(quote, columns))
    return f"""counted as (
    select {names}, sum(case when _change = 'delete' then -1 else 1 end) as row_copies, max(_lsn) as _lsn
    from later
    group by {names}
),

copied as (
    select *, unnest(range(cast(row_copies as bigint))) as row_copy from counted where row_copies > 0
),

standing as (
    select * exclude (row_copies, row_copy) from copied
)"""
