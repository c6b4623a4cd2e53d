"""A batch: one delivery of one source, its identity, and what was judged of it."""

import json
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from lake.archive import receive
from lake.contract import Contract
from lake.ledger import BatchRecord, BatchStatus
from lake.run import Run
from lake.sources.delivery import Delivery, Receipt
from lake.table_versions import DataFile, StagedFiles, TableVersion

RECORD_ID_DIGITS = 16
SETTLING_SECONDS = 2  # coarser than any file system tells time
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Batch:
    """One delivery with its identity: `batch_id` names it for ever, `attempt_id` this one try to land it.

    `first_landed_at` is what `_ingested_at` says of a batch that is landed again: it keeps its place among the others,
    so that an older version of a row does not become the newest. None: this is its first landing.
    """

    contract: Contract
    delivery: Delivery
    receipt: Receipt
    batch_id: str
    attempt_id: str
    started_at: datetime
    first_landed_at: datetime | None = None

    @property
    def ingested_at(self) -> datetime:
        """What `_ingested_at` says of its rows."""
        return self.first_landed_at or self.started_at


@dataclass(frozen=True)
class PreparedBatch:
    """A batch read, judged and staged, not committed. Counts are records: read = accepted + quarantined + duplicate.

    `base` is the raw version it was judged against (None: no table yet), `replaced` the raw files that its commit
    removes, `watermark` the greatest value of the contract's watermark column among the accepted rows, as text.
    """

    batch: Batch
    read_count: int
    accepted_count: int
    quarantined_count: int
    duplicate_count: int
    accepted: StagedFiles
    refused: StagedFiles | None
    base: TableVersion | None
    replaced: tuple[DataFile, ...] = field(default=())
    watermark: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """The four counts by their ledger names."""
        return {
            "read_count": self.read_count,
            "accepted_count": self.accepted_count,
            "quarantined_count": self.quarantined_count,
            "duplicate_count": self.duplicate_count,
        }


def raw_name(contract: Contract) -> str:
    """Gives the raw table of a contract."""
    return f"raw.{contract.source}"


def identify(contract: Contract, delivery: Delivery, run: Run) -> Batch:
    """Reads a delivery once, for its digest, and gives it its identity."""
    receipt = receive(delivery)
    batch_id = delivery.batch_id or receipt.batch_id
    return Batch(contract, delivery, receipt, batch_id, _attempt_id(run), run.clock())


def another_attempt(batch: Batch, run: Run) -> Batch:
    """Gives a batch for one more try to land it: what the last try left in quarantine does not count."""
    return replace(batch, attempt_id=_attempt_id(run), started_at=run.clock())


def begun_after(batch: Batch, last: BatchRecord | None) -> Batch:
    """Gives a batch that began after the one that landed before it, whatever the clocks of their machines say.

    Of two versions of a row the later `_ingested_at` is the newer: it is to follow the order of raw.
    """
    if last is None or last.started_at < batch.started_at:
        return batch
    return replace(batch, started_at=last.started_at + timedelta(microseconds=1))


def _state_of(batch: Batch) -> str | None:
    """Gives the mark by which the same bytes are known when they are seen again; None when it cannot be relied on."""
    return batch.delivery.state or (batch.receipt.state_text if _is_settled(batch) else None)


def _is_settled(batch: Batch) -> bool:
    """Says whether the file had been left alone long enough that a later change would show in its time of change."""
    changed_at = batch.receipt.state[-1] / NANOSECONDS
    return changed_at + SETTLING_SECONDS < batch.started_at.timestamp()


def batch_record(
    batch: Batch, run: Run, status: BatchStatus, *, prepared: PreparedBatch | None = None, error: str | None = None
) -> BatchRecord:
    """Gives a batch's row of the ledger."""
    counts = {} if prepared is None else prepared.counts
    return BatchRecord(
        run_id=run.id,
        batch_id=batch.batch_id,
        source=batch.contract.source,
        origin=batch.delivery.origin,
        kind=batch.delivery.kind,
        status=status,
        started_at=batch.started_at,
        ended_at=max(run.clock(), batch.started_at),
        read_count=counts.get("read_count"),
        accepted_count=counts.get("accepted_count"),
        quarantined_count=counts.get("quarantined_count"),
        duplicate_count=counts.get("duplicate_count"),
        byte_count=batch.receipt.byte_count,
        checksum=batch.receipt.digest,
        watermark=batch.delivery.position.get("watermark") or (None if prepared is None else prepared.watermark),
        table_version=None,
        error=error,
        attempt_id=batch.attempt_id,
        contract_version=batch.contract.version,
        contract_digest=batch.contract.digest,
        file_state=_state_of(batch),
        position=json.dumps(dict(batch.delivery.position)) if batch.delivery.position else None,
    )


def _attempt_id(run: Run) -> str:
    return f"{run.id}-{secrets.token_hex(4)}"
