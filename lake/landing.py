"""Landing one batch: archive, read, judge, split, stage; then, when the raw gate has passed, commit.

Between two lines of this file a process may die. What is written before the raw commit is invisible (archive bytes nobody
refers to, staged files, quarantine rows of an attempt that no commit names); the raw commit makes all of it count at once. Run
again, a batch that is there is left alone and one that is not starts afresh.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lake.archive import Receipt, check_unchanged, keep, make_working_file, receive
from lake.contract import Contract
from lake.duplicates import find_duplicates
from lake.engine import Session, literal, quote, scan_sql
from lake.errors import SettingsError, SourceError, TableError
from lake.formats.opening import open_reading
from lake.formats.reading import Located, Reading
from lake.ledger import BatchRecord, BatchStatus, record_batches, to_metadata
from lake.quarantine import QUARANTINE, stage_refused
from lake.run import Run
from lake.sources.delivery import Delivery
from lake.tables import (
    DataFile,
    StagedFiles,
    Store,
    TableVersion,
    append_files,
    commit_files,
    local_folder,
    read_version,
    stage_files,
    transaction_of,
)
from lake.validation import typed_select

BATCH_ID_DIGITS = 32  # of the sha256: 128 bits, beyond any accident
RECORD_ID_DIGITS = 16
METADATA_COLUMNS = (
    ("_run_id", "VARCHAR"),
    ("_batch_id", "VARCHAR"),
    ("_ingested_at", "TIMESTAMP WITH TIME ZONE"),
    ("_source", "VARCHAR"),
    ("_line", "BIGINT"),
    ("_record_id", "VARCHAR"),
)


@dataclass(frozen=True)
class Batch:
    """One delivery with its identity: `batch_id` names it for ever, `attempt_id` this one try to land it."""

    contract: Contract
    delivery: Delivery
    receipt: Receipt
    batch_id: str
    attempt_id: str
    started_at: datetime


@dataclass(frozen=True)
class PreparedBatch:
    """A batch read, judged and staged, not committed. Counts are records: read = accepted + quarantined + duplicate.

    `base` is the raw version it was judged against (None: no table yet), `replaced` the raw files that its commit removes.
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
    batch_id = delivery.batch_id or receipt.digest[:BATCH_ID_DIGITS]
    return Batch(contract, delivery, receipt, batch_id, f"{run.id}-{secrets.token_hex(4)}", run.clock())


def is_landed(store: Store, batch: Batch) -> bool:
    """Says whether the batch is in raw already."""
    return transaction_of(store, raw_name(batch.contract), batch.batch_id) is not None


def prepare(session: Session, store: Store, batch: Batch, run: Run) -> PreparedBatch:
    """Archives, reads, judges and stages a batch; nothing of it is visible to any reader yet.

    Raises SourceError when the delivery cannot be taken as a whole; its bytes are in the archive then, too.
    """
    archive_batch(store, batch, run)
    return judge(session, store, batch, run)


def archive_batch(store: Store, batch: Batch, run: Run) -> None:
    """Puts the received bytes into the archive."""
    keep(batch.delivery, batch.receipt, archive_root(store))
    run.note(
        "batch-archived",
        batch.contract.source,
        batch_id=batch.batch_id,
        origin=batch.delivery.origin,
        byte_count=batch.receipt.byte_count,
    )


def judge(
    session: Session,
    store: Store,
    batch: Batch,
    run: Run,
    *,
    without: str | None = None,
    replayed: str | None = None,
) -> PreparedBatch:
    """Reads and judges a batch against raw, leaving out the rows of the batch `without`, and stages what lands.

    `replayed` is a table (`place`, `record_id`) of the quarantined records that the lines of a replay are.
    """
    contract = batch.contract
    session.clear_landing()
    file = make_working_file(
        batch.delivery, batch.receipt, session.scratch, contract.server.options.get("encoding", "utf-8")
    )
    reading = open_reading(session, contract, batch.delivery, file)
    extra, drifted = accept_columns(contract, reading.columns, batch.delivery.origin)
    reading, located = _load(session, contract, reading, extra)
    check_unchanged(batch.delivery, batch.receipt)
    session.execute(f"create or replace view landing.numbered as {located.numbered}")
    if drifted:
        session.execute(f"update landing.rows set _reasons = [{literal(f'drift:{drifted}')}]")
    base = read_version(store, raw_name(contract))
    show_raw(session, contract, base, without)
    columns = [column.name for column in contract.columns]
    find_duplicates(session, contract, columns, "landing.rows", f"raw.{quote(contract.source)}")
    prepared = _split(session, store, batch, run, reading, located, base, [*columns, *extra], replayed)
    run.note("batch-judged", contract.source, prepared.read_count, batch_id=batch.batch_id, **prepared.counts)
    return prepared


def show_candidate(session: Session, prepared: PreparedBatch) -> None:
    """Makes the session see the batch as the raw gate wants it.

    `landing.<source>` holds the rows that would be added, `raw.<source>` the raw table as it would then be.
    """
    source = quote(prepared.batch.contract.source)
    accepted = prepared.accepted
    staged = [file.path for file in accepted.files if file.row_count]
    gone = {file.path for file in prepared.replaced}
    kept = [] if prepared.base is None else [file.path for file in prepared.base.files if file.path not in gone]
    evolved = prepared.base is not None and (
        prepared.base.evolved or len(prepared.base.columns) != len(accepted.columns)
    )
    candidate = scan_sql(staged, accepted.columns)
    whole = scan_sql([*kept, *staged], accepted.columns, evolved=evolved)
    session.execute(f"create or replace view landing.{source} as {candidate}")
    session.execute(f"create or replace view raw.{source} as {whole}")


def commit(session: Session, store: Store, prepared: PreparedBatch, run: Run) -> BatchRecord:
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
    version = commit_files(
        store,
        raw_name(batch.contract),
        prepared.accepted,
        expected_version=None if prepared.base is None else prepared.base.version,
        replace=prepared.replaced,
        metadata=to_metadata(record),
        transaction=batch.batch_id,
        transaction_version=_next_transaction(store, batch),
    )
    run.note(
        "batch-landed",
        source,
        prepared.accepted_count,
        batch_id=batch.batch_id,
        table_version=version,
        **prepared.counts,
    )
    return record


def set_aside(session: Session, store: Store, batch: Batch, run: Run, status: BatchStatus, error: str) -> BatchRecord:
    """Records a batch that is archived and not in raw: held by a gate, or refused."""
    record = batch_record(batch, run, status, error=error)
    record_batches(session, store, [record])
    run.note(f"batch-{status}", batch.contract.source, batch_id=batch.batch_id, error=error)
    return record


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
        ended_at=run.clock(),
        read_count=counts.get("read_count"),
        accepted_count=counts.get("accepted_count"),
        quarantined_count=counts.get("quarantined_count"),
        duplicate_count=counts.get("duplicate_count"),
        byte_count=batch.receipt.byte_count,
        checksum=batch.receipt.digest,
        watermark=batch.delivery.position.get("watermark"),
        table_version=None,
        error=error,
        attempt_id=batch.attempt_id,
        contract_version=batch.contract.version,
        contract_digest=batch.contract.digest,
    )


def accept_columns(contract: Contract, received: Sequence[str], origin: str) -> tuple[tuple[str, ...], str | None]:
    """Applies the contract's drift policy to the received columns.

    Gives the columns to add, and the drift for which every row is quarantined, if any. Raises SourceError under `refuse`.
    """
    known = {column.source_name for column in contract.columns}
    extra = tuple(name for name in received if name not in known)
    missing = tuple(column.source_name for column in contract.columns if column.source_name not in set(received))
    if not extra and not missing:
        return (), None
    told = " and ".join(
        [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has the unknown {', '.join(extra)}"] * bool(extra)
    )
    if contract.drift == "refuse":
        raise SourceError(
            "schema-drift",
            f"{origin} {told}, and the contract of {contract.source!r} refuses drift.",
            cure="Mend the contract, or set its driftPolicy to evolve or quarantine; then `sluice batch reland`.",
            path=contract.path,
        )
    if contract.drift == "quarantine":
        return (), f"The delivery {told}."
    return extra, None


def show_raw(session: Session, contract: Contract, base: TableVersion | None, without: str | None) -> None:
    """Makes `raw.<source>` of the session the raw table as it stands, without one batch's rows."""
    if base is None:
        columns = [(column.name, column.sql_type) for column in contract.columns]
        scan = scan_sql([], [*columns, *METADATA_COLUMNS])
    else:
        scan = scan_sql([file.path for file in base.files], base.columns, evolved=base.evolved)
    where = "" if without is None else f" where _batch_id is distinct from {literal(without)}"
    session.execute(f"create or replace view raw.{quote(contract.source)} as from ({scan}){where}")


def archive_root(store: Store) -> Path:
    """Gives the folder the archive lives in."""
    folder = local_folder(store)
    if folder is None:
        raise SettingsError(
            "lake-not-local", f"The lake {store.uri!r} is no local folder.", cure="Set LAKE_URI to a folder for now."
        )
    return folder


def _load(session: Session, contract: Contract, reading: Reading, extra: Sequence[str]) -> tuple[Reading, Located]:
    """Loads the typed rows into `landing.rows`, the careful way when the fast one does not account for every line."""
    try:
        _load_rows(session, contract, reading, extra)
        located = reading.locate(session, "landing.rows")
    except session.failure:
        located = None
    if located is not None:
        return reading, located
    careful = reading.careful(session)
    _load_rows(session, contract, careful, extra)
    located = careful.locate(session, "landing.rows")
    if located is None:
        raise TableError(
            "lines-unaccounted",
            f"Lines of a delivery of {contract.source!r} cannot be accounted for.",
            cure="Report it.",
        )
    return careful, located


def _load_rows(session: Session, contract: Contract, reading: Reading, extra: Sequence[str]) -> None:
    select = typed_select(contract, reading.columns, reading.select(), extra)
    session.execute(f"create or replace table landing.rows as {select}")


def _split(
    session: Session,
    store: Store,
    batch: Batch,
    run: Run,
    reading: Reading,
    located: Located,
    base: TableVersion | None,
    columns: Sequence[str],
    replayed: str | None,
) -> PreparedBatch:
    accepted = stage_files(
        session,
        store,
        raw_name(batch.contract),
        accepted_select(session, batch, run, columns),
        partition=batch.contract.partition,
    )
    refused, quarantined, duplicates = stage_refused(session, store, batch, run, reading, located.broken, replayed)
    read = session.value("select count(*) from landing.rows")
    read += 0 if located.broken is None else session.value(f"select count(*) from {located.broken}")
    if read != accepted.row_count + quarantined + duplicates:
        raise TableError(
            "ledger-unbalanced",
            f"{batch.delivery.origin}: {read} read, {accepted.row_count} accepted, {quarantined} quarantined, "
            f"{duplicates} duplicate do not add up; nothing was landed.",
            cure="Report it with the archived batch.",
        )
    return PreparedBatch(batch, read, accepted.row_count, quarantined, duplicates, accepted, refused, base)


def accepted_select(session: Session, batch: Batch, run: Run, columns: Sequence[str]) -> str:
    """Gives the rows that land, with the columns we add."""
    names = ", ".join(quote(name) for name in columns)
    unsound = session.value("select count(*) from landing.duplicates")
    alone = " and _ordinal not in (select _ordinal from landing.duplicates)" if unsound else ""
    return f"""
        select {names},
            {literal(run.id)} as _run_id,
            {literal(batch.batch_id)} as _batch_id,
            timestamptz {literal(batch.started_at.isoformat())} as _ingested_at,
            {literal(batch.delivery.origin)} as _source,
            cast(_line as bigint) as _line,
            {literal(batch.batch_id[:RECORD_ID_DIGITS] + ":")} || _line as _record_id,
        from landing.numbered
        where _reasons is null{alone}
    """


def _next_transaction(store: Store, batch: Batch) -> int:
    return (transaction_of(store, raw_name(batch.contract), batch.batch_id) or 0) + 1
