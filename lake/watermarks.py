"""How far a source has come by its watermark column: said by what is in raw, never by a clock."""

from collections.abc import Iterable

from lake.contract import Contract
from lake.engine import Session
from lake.ledger import BatchRecord


def watermark_since(session: Session, contract: Contract, records: Iterable[BatchRecord]) -> str | None:
    """Gives the greatest watermark of landed batches, less the contract's lateness, as DuckDB writes it.

    None while nothing has landed, and without a watermark. Only what was read on from a position counts: a file that is
    dropped beside an API, or a mended moment that is replayed, says nothing of how far the API has been read.
    """
    if contract.watermark is None:
        return None
    kind = contract.column(contract.watermark).sql_type
    read_on = (record for record in records if record.status == "landed" and record.position)
    marks = [record.watermark for record in read_on if record.watermark is not None]
    if not marks:
        return None
    less = "" if contract.lateness is None else f" - interval '{contract.lateness}'"
    found: str | None = session.value(
        f"select cast(cast(max(try_cast(mark as {kind})){less} as {kind}) as varchar) from (select unnest(?) as mark)",
        [marks],
    )
    return found
