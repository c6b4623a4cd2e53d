"""Making a judged batch count: quarantine rows first, the raw commit last; or setting it aside, held or refused."""

from lake.engine import Session
from lake.errors import CommitConflict
from lake.landing.batch import Batch, PreparedBatch, batch_record, raw_name
from lake.ledger import BatchRecord, BatchStatus, record_decision, to_metadata
from lake.proofs import proof_of, proven_at
from lake.quarantine import QUARANTINE
from lake.run import Event, Run
from lake.table_versions import Store
from lake.tables import append_files, commit_files, transaction_of


def is_landed(store: Store, batch: Batch) -> bool:
    """Says whether the batch is in raw already."""
    return landing_of(store, batch) is not None


def expect_new(store: Store, prepared: PreparedBatch) -> None:
    """Raises CommitConflict when a batch is in the very raw table that it was judged against."""
    batch = prepared.batch
    if prepared.base is not None and landing_of(store, batch, prepared.base.version) is not None:
        raise landed_meanwhile(batch)


def landed_meanwhile(batch: Batch) -> CommitConflict:
    """Gives the error for a batch that another run has landed: there is nothing left to do."""
    return CommitConflict(
        "batch-landed-meanwhile",
        f"Another run has landed {batch.delivery.origin} while this one read it.",
        cure="Run it again; nothing was lost or written twice.",
    )


def commit(store: Store, prepared: PreparedBatch, run: Run) -> BatchRecord:
    """Makes a prepared batch count: quarantine rows first, then the raw commit that names them.

    Raises CommitConflict when raw moved since the batch was judged: prepare it again.
    """
    batch = prepared.batch
    source = batch.contract.source
    if prepared.refused is not None:
        append_files(store, QUARANTINE, prepared.refused, {"attempt": batch.attempt_id})
        run.note(
            "records-quarantined",
            source,
            prepared.quarantined_count + prepared.duplicate_count,
            batch_id=batch.batch_id,
        )
    record = batch_record(batch, run, "landed", prepared=prepared)
    events = _events(prepared, run)
    version = commit_files(
        store,
        raw_name(batch.contract),
        prepared.accepted,
        expected_version=None if prepared.base is None else prepared.base.version,
        replace=prepared.replaced,
        metadata=to_metadata(record) | proof_of(events),
        transaction=batch.batch_id,
        transaction_version=_next_transaction(store, batch),
    )
    for event in proven_at(version, events):
        run.keep(event)
    return record


def set_aside(session: Session, store: Store, batch: Batch, run: Run, status: BatchStatus, error: str) -> BatchRecord:
    """Records a batch that is archived and not in raw: held by a gate, or refused."""
    record = record_decision(session, store, batch_record(batch, run, status, error=error))
    run.note(f"batch-{status}", batch.contract.source, batch_id=batch.batch_id, error=error)
    return record


def _events(prepared: PreparedBatch, run: Run) -> list[Event]:
    """Gives what a batch's commit proves: that it landed, and the raw table's columns when it makes or changes them."""
    batch = prepared.batch
    columns = prepared.accepted.columns
    known = () if prepared.base is None else prepared.base.columns
    added = [name for name, _ in columns if name not in dict(known)]
    changed = run.event(
        "schema-changed",
        raw_name(batch.contract),
        len(added),
        contract_version=batch.contract.version,
        columns=[list(column) for column in columns],
        change="created" if prepared.base is None else f"added {', '.join(added)}",
    )
    landed = run.event(
        "batch-landed", batch.contract.source, prepared.accepted_count, batch_id=batch.batch_id, **prepared.counts
    )
    return [changed, landed] if added else [landed]


def _next_transaction(store: Store, batch: Batch) -> int:
    return (landing_of(store, batch) or 0) + 1


def landing_of(store: Store, batch: Batch, version: int | None = None) -> int | None:
    """Gives how often the batch was landed by a version of raw (None: the newest), None when it never was."""
    return transaction_of(store, raw_name(batch.contract), batch.batch_id, version)
