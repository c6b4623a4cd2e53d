"""Where the rows of a receipt are now: in the spool, or in the lake, and what became of each of them there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lake.engine import Session, literal
from lake.errors import SourceError
from lake.ledger import BatchRecord, find_batches
from lake.quarantine import quarantine_sql
from lake.receiving.register import KEPT_DAYS, Settled, opened_register
from lake.receiving.segments import FILES, RECEIPT, find_kept
from lake.releases import list_releases
from lake.table_versions import Store

SPOOLED = "spooled"


@dataclass(frozen=True)
class Whereabouts:
    """Where a receipt is: `state` is spooled, landed, held or refused.

    The counts are records of this receipt alone, None until they are landed; `release` is the first that was published
    with them in, None before there is one; `name` is that of an uploaded file.
    """

    receipt: str
    source: str
    state: str
    row_count: int | None = None
    received_at: str | None = None
    name: str | None = None
    batches: tuple[str, ...] = ()
    accepted_count: int | None = None
    quarantined_count: int | None = None
    duplicate_count: int | None = None
    release: int | None = None
    why: str | None = None


def find_waiting(spool: Path, receipt: str) -> Whereabouts | Settled:
    """Gives where a receipt waits in the spool, or how it left; raises SourceError for one that is not known."""
    if RECEIPT.fullmatch(receipt) is not None and spool.is_dir():
        path, frame = find_kept(spool, receipt) or (None, None)
        if path is not None and frame is not None:
            head = frame.head
            return Whereabouts(receipt, path.parent.parent.name, SPOOLED, head.row_count, head.received_at)
        for file in spool.glob(f"*/{FILES}/{receipt}/*"):
            return Whereabouts(receipt, file.parent.parent.parent.name, SPOOLED, name=file.name)
        with opened_register(spool) as register:
            settled = register.find_settled(receipt)
        if settled is not None:
            return settled
    raise SourceError(
        "receipt-unknown",
        f"There is no receipt '{receipt}', or it is older than {KEPT_DAYS} days.",
        cure="Give it as the answer had it; `sluice batch list` knows every batch for ever.",
    )


def look_up(session: Session, store: Store, settled: Settled) -> Whereabouts:
    """Gives what became of a receipt that has left the spool, by the ledger as it stands now."""
    known = {record.batch_id: record for record in find_batches(session, store, settled.source)}
    records = [known[batch] for batch in dict.fromkeys(settled.batches) if batch in known]
    states = {record.status for record in records}
    state = next((each for each in ("held", "refused", "landed") if each in states), settled.fate)
    found = Whereabouts(
        receipt=settled.receipt,
        source=settled.source,
        state=state,
        row_count=settled.row_count or sum(record.read_count or 0 for record in records),
        received_at=settled.received_at or None,
        name=settled.name or None,
        batches=tuple(record.batch_id for record in records),
        why=(next((record.error for record in records if record.error), None) or settled.why or None),
    )
    return found if state != "landed" else _counted(session, store, settled, records, found)


def _counted(
    session: Session, store: Store, settled: Settled, records: Sequence[BatchRecord], found: Whereabouts
) -> Whereabouts:
    attempts = ", ".join(literal(record.attempt_id) for record in records) or "''"
    last = settled.first_line + settled.row_count - 1
    lines = f"and line between {settled.first_line} and {last}" if settled.first_line else ""
    ((refused, duplicate),) = session.rows(
        f"""
        select count(*), count(*) filter (where reasons = ['duplicate:repeat'])
        from ({quarantine_sql(store)}) where attempt_id in ({attempts}) {lines}
        """
    )
    return Whereabouts(
        **{
            **vars(found),
            "accepted_count": (found.row_count or 0) - refused,
            "quarantined_count": refused - duplicate,
            "duplicate_count": duplicate,
            "release": _first_release(session, store, settled.source, records),
        }
    )


def _first_release(session: Session, store: Store, source: str, records: Sequence[BatchRecord]) -> int | None:
    """Gives the first release that was published with some batches in raw."""
    wanted, raw = max((record.table_version or 0 for record in records), default=0), f"raw.{source}"
    for release in list_releases(session, store):
        if any(table.inputs.get(raw, -1) >= wanted for table in release.tables.values()):
            return release.id
    return None
