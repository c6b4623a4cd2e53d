"""Load mode `replace`: each delivery is the whole table, and takes the place of all rows in its one raw commit.

What this mode must not do is empty a table by a slip, or let an old delivery take the place of a newer one.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from lake.errors import TableError
from lake.landing.batch import Batch, PreparedBatch
from lake.ledger import BatchRecord
from lake.sources.delivery import BATCH_ID_DIGITS

MAY_BE_EMPTY = re.compile(r"row_count\s*(>=\s*0\b|between\s+0\s+and\b)")  # as a contract's rule says it
NANOSECONDS_A_SECOND = 1_000_000_000


def emptying(prepared: PreparedBatch) -> str | None:
    """Says why a batch should not empty its table without a person's word; None when it does not, or may."""
    contract = prepared.batch.contract
    if contract.load != "replace" or prepared.accepted_count or prepared.base is None or not prepared.base.row_count:
        return None
    if prepared.read_count == 0 and any(MAY_BE_EMPTY.match(rule.sodacl.strip()) for rule in contract.table_rules):
        return None
    return (
        f"None of its {prepared.read_count} records was accepted, and as `loadMode` is replace it would empty "
        f"raw.{contract.source}"
    )


def renewed(batch: Batch, known: Sequence[BatchRecord]) -> Batch:
    """Gives a batch as it is to be known in a table that is replaced.

    The content of an earlier delivery that comes again after another one is news: it gets an id of its own, made of its
    digest and of the batch it follows, the same however often it is looked at. A file that is older than what the table
    holds is no news.
    """
    newest = current_batch(known)
    if batch.contract.load != "replace" or batch.delivery.batch_id is not None or newest is None:
        return batch
    if newest.checksum == batch.receipt.digest:
        return replace(batch, batch_id=newest.batch_id)
    seen = any(record.checksum == batch.receipt.digest for record in known if record.status == "landed")
    if not seen or not _is_newer(batch, newest):
        return batch
    after = hashlib.sha256(f"{batch.receipt.digest} after {newest.batch_id}".encode()).hexdigest()
    return replace(batch, batch_id=after[:BATCH_ID_DIGITS])


def current_batch(known: Sequence[BatchRecord]) -> BatchRecord | None:
    """Gives the batch that a replaced table holds, None when nothing landed."""
    landed = [record for record in known if record.status == "landed" and record.kind != "replay"]
    return max(landed, key=lambda record: record.table_version or 0, default=None)


def expect_current(record: BatchRecord, known: Sequence[BatchRecord]) -> None:
    """Raises TableError when a batch of a replaced table has been overtaken: its records are no longer in question.

    One that is held began after those that were in raw when it was judged, whatever the clocks of their machines say.
    """
    newest = current_batch(known)
    if newest is None or newest.batch_id == record.batch_id:
        return
    if record.status != "landed" and newest.started_at < record.started_at:
        return
    raise TableError(
        "batch-superseded",
        f"Batch {record.batch_id[:12]} ({record.origin}) was replaced by {newest.batch_id[:12]} ({newest.origin}): "
        f"each delivery of {record.source!r} is the whole table.",
        cure="Let the source deliver again; a held batch can be refused.",
    )


def _is_newer(batch: Batch, newest: BatchRecord) -> bool:
    """Whether a delivery's file changed later than the one that the table holds; a provider's own mark is enough."""
    return batch.delivery.state is not None or batch.receipt.state[-1] > _changed_at(newest)


def _changed_at(record: BatchRecord) -> int:
    parts = (record.file_state or "").split(":")
    if len(parts) == len(("inode", "bytes", "changed")) and parts[-1].isdigit():
        return int(parts[-1])
    return _nanoseconds(record.started_at)


def _nanoseconds(instant: datetime) -> int:
    return int(instant.timestamp()) * NANOSECONDS_A_SECOND + instant.microsecond * 1000
