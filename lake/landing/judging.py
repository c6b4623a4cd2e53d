"""Judging one batch: archive, read, judge, split, stage. What then makes it count is in `committing`.

Between two lines of this file a process may die. What is written before the raw commit is invisible (archive bytes
nobody refers to, staged files, quarantine rows of an attempt that no commit names); the raw commit makes all of it
count at once. Run again, a batch that is there is left alone and one that is not starts afresh.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lake.archive import check_unchanged, keep, make_working_file
from lake.contract import Contract
from lake.engine import Session, literal, quote, room_for_engine, scan_sql
from lake.errors import SourceError, TableError
from lake.formats.messages import ASIDE
from lake.formats.opening import open_reading
from lake.formats.reading import Located, Reading
from lake.landing.batch import RECORD_ID_DIGITS, Batch, PreparedBatch, begun_after, raw_name
from lake.landing.committing import expect_new, landing_of
from lake.landing.drift import Drift
from lake.landing.duplicates import find_duplicates
from lake.landing.promises import promise_of, to_property
from lake.landing.received_columns import judge_columns, note_unfit
from lake.landing.validation import typed_select
from lake.landing.widening import MANY_ROWS, fit_raw
from lake.ledger import first_landed_at, last_landing
from lake.quarantine import stage_refused
from lake.run import Run
from lake.sources.delivery import REPLAY
from lake.staged_files import stage_files
from lake.table_versions import StagedFiles, Store, TableVersion

LARGE_BYTES = 256 << 20  # from here on a batch is kept compressed while it is judged
METADATA_COLUMNS = (
    ("_run_id", "VARCHAR"),
    ("_batch_id", "VARCHAR"),
    ("_ingested_at", "TIMESTAMP WITH TIME ZONE"),
    ("_source", "VARCHAR"),
    ("_line", "BIGINT"),
    ("_record_id", "VARCHAR"),
)


@dataclass(frozen=True)
class _Loaded:
    """A delivery read into `landing.rows`, and the columns that go to raw."""

    reading: Reading
    located: Located
    columns: tuple[str, ...]


def prepare(session: Session, store: Store, batch: Batch, run: Run) -> PreparedBatch:
    """Archives, reads, judges and stages a batch; nothing of it is visible to any reader yet.

    Raises SourceError when the delivery cannot be taken as a whole; its bytes are in the archive then, too.
    CommitConflict when another run has landed this very batch meanwhile: there is nothing left to do.
    """
    with archiving(store, batch, run), room_for_engine(session.scratch):
        prepared = judge(session, store, batch, run)
    expect_new(store, prepared)
    return prepared


@contextmanager
def archiving(store: Store, batch: Batch, run: Run) -> Iterator[None]:
    """Puts the received bytes into the archive while the block judges them; both are done when it is left.

    Compressing takes one core for a while that reading leaves idle; nothing is committed before it is done.
    """
    with ThreadPoolExecutor(1) as pool:
        kept = pool.submit(keep, batch.delivery, batch.receipt, store)
        try:
            yield
        finally:
            kept.result()
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
) -> PreparedBatch:
    """Reads and judges a batch against raw, leaving out the rows of the batch `without`, and stages what lands.

    A delivery of a table that is replaced is judged by itself, and its commit will remove every row there is.
    """
    contract = batch.contract
    if batch.delivery.fault is not None:
        raise batch.delivery.fault
    base = fit_raw(session, store, contract, run)
    batch = batch if base is None else _placed(session, store, batch, base)
    session.clear_landing(is_large=batch.receipt.byte_count > LARGE_BYTES)
    file = make_working_file(
        batch.delivery, batch.receipt, session.scratch, contract.server.options.get("encoding", "utf-8")
    )
    reading = open_reading(session, contract, batch.delivery, file)
    drift = judge_columns(session, contract, reading, base, batch, run)
    reading, located = _load(session, contract, reading, drift)
    check_unchanged(batch.delivery, batch.receipt)
    note_unfit(session, contract, reading, drift, batch, run)
    session.execute(f"create or replace view landing.numbered as {located.numbered}")
    is_whole = contract.load == "replace" and without is None and batch.delivery.kind != REPLAY
    show_raw(session, contract, replace(base, files=()) if is_whole and base is not None else base, without)
    columns = [column.name for column in contract.columns]
    compared = [column.name for column in contract.columns if column.source_name not in ASIDE]  # sent again: a repeat
    find_duplicates(session, contract, compared, "landing.rows", f"raw.{quote(contract.source)}")
    loaded = _Loaded(reading, located, (*columns, *(kept for _, kept in drift.added)))
    prepared = _split(session, store, batch, run, loaded, base)
    if is_whole and base is not None:
        prepared = replace(prepared, replaced=base.files)
    run.note("batch-judged", contract.source, prepared.read_count, batch_id=batch.batch_id, **prepared.counts)
    return prepared


def _placed(session: Session, store: Store, batch: Batch, base: TableVersion) -> Batch:
    """Gives a batch its place in the order of raw: that of its first landing, or after all others."""
    is_there = landing_of(store, batch, base.version) is not None
    first = first_landed_at(session, store, base, batch.batch_id) if is_there else None
    return replace(begun_after(batch, last_landing(store, base)), first_landed_at=first)


def show_candidate(session: Session, prepared: PreparedBatch) -> None:
    """Makes the session see the batch as the raw gate wants it.

    `raw.<source>` then holds the rows that would be added. What is in raw has passed this gate before, and landing
    itself compared the batch with it, so a batch costs what it weighs and not what the table weighs.
    """
    staged = [file.path for file in prepared.accepted.files if file.row_count]
    candidate = scan_sql(staged, prepared.accepted.columns)
    session.execute(f"create or replace view raw.{quote(prepared.batch.contract.source)} as {candidate}")


def show_raw(session: Session, contract: Contract, base: TableVersion | None, without: str | None) -> None:
    """Makes `raw.<source>` of the session the raw table as it stands, without one batch's rows.

    A column that the contract has gained since is there and empty, as it will be once this batch has landed.
    """
    columns = [(column.name, column.sql_type) for column in contract.columns]
    if base is None:
        scan = scan_sql([], [*columns, *METADATA_COLUMNS])
    else:
        had = {name for name, _ in base.columns}
        gained = [f"cast(null as {kind}) as {quote(name)}" for name, kind in columns if name not in had]
        scan = scan_sql([file.path for file in base.files], base.columns, evolved=base.evolved)
        scan = f"select {', '.join(['*', *gained])} from ({scan})"
    where = "" if without is None else f" where _batch_id is distinct from {literal(without)}"
    session.execute(f"create or replace view raw.{quote(contract.source)} as from ({scan}){where}")


def _load(session: Session, contract: Contract, reading: Reading, drift: Drift) -> tuple[Reading, Located]:
    """Loads the typed rows into `landing.rows`, the careful way when the fast one does not account for every line."""
    try:
        _load_rows(session, contract, reading, drift)
        located = reading.locate(session, "landing.rows")
    except session.failure:
        located = None
    if located is not None:
        return reading, located
    careful = reading.careful(session)
    try:
        _load_rows(session, contract, careful, drift)
    except session.failure as error:
        raise SourceError(
            "file-unreadable",
            f"A delivery of {contract.source!r} cannot be read: {str(error).splitlines()[0]}",
            cure="Its bytes are in the archive. Deliver it again in a form that other programs read, too.",
        ) from error
    located = careful.locate(session, "landing.rows")
    if located is None:
        raise TableError(
            "lines-unaccounted",
            f"Lines of a delivery of {contract.source!r} cannot be accounted for.",
            cure="Report it.",
        )
    return careful, located


def _load_rows(session: Session, contract: Contract, reading: Reading, drift: Drift) -> None:
    select = typed_select(contract, reading.columns, reading.select(), drift)
    with room_for_engine(session.scratch):
        session.execute(f"create or replace table landing.rows as {select}")


def _split(
    session: Session,
    store: Store,
    batch: Batch,
    run: Run,
    loaded: _Loaded,
    base: TableVersion | None,
) -> PreparedBatch:
    broken = loaded.located.broken
    with ThreadPoolExecutor(1) as pool, session.beside() as second:
        staging = pool.submit(_stage_accepted, second, store, batch, run, loaded.columns)
        refused, quarantined, duplicates = stage_refused(session, store, batch, run, loaded.reading, broken)
        accepted = staging.result()
    read = session.value("select count(*) from landing.rows")
    read += 0 if broken is None else session.value(f"select count(*) from {broken}")
    if read != accepted.row_count + quarantined + duplicates:
        raise TableError(
            "ledger-unbalanced",
            f"{batch.delivery.origin}: {read} read, {accepted.row_count} accepted, {quarantined} quarantined, "
            f"{duplicates} duplicate do not add up; nothing was landed.",
            cure="Report it with the archived batch.",
        )
    return PreparedBatch(
        batch,
        read,
        accepted.row_count,
        quarantined,
        duplicates,
        accepted,
        refused,
        base,
        watermark=_watermark(session, batch.contract),
    )


def _watermark(session: Session, contract: Contract) -> str | None:
    if contract.watermark is None:
        return None
    greatest = f"select max({quote(contract.watermark)})::varchar from landing.rows where _reasons is null"
    found: str | None = session.value(greatest)
    return found


def _stage_accepted(session: Session, store: Store, batch: Batch, run: Run, columns: Sequence[str]) -> StagedFiles:
    staged = stage_files(
        session,
        store,
        raw_name(batch.contract),
        accepted_select(session, batch, run, columns),
        partition=batch.contract.partition,
        any_order=session.value("select count(*) from landing.rows") >= MANY_ROWS,
    )
    return replace(staged, properties=to_property(promise_of(batch.contract)))


def accepted_select(session: Session, batch: Batch, run: Run, columns: Sequence[str]) -> str:
    """Gives the rows that land, with the columns we add."""
    names = ", ".join(quote(name) for name in columns)
    unsound = session.value("select count(*) from landing.duplicates")
    alone = " and _ordinal not in (select _ordinal from landing.duplicates)" if unsound else ""
    return f"""
        select {names},
            {literal(run.id)} as _run_id,
            {literal(batch.batch_id)} as _batch_id,
            timestamptz {literal(batch.ingested_at.isoformat())} as _ingested_at,
            {literal(batch.delivery.origin)} as _source,
            cast(_line as bigint) as _line,
            {literal(batch.batch_id[:RECORD_ID_DIGITS] + ":")} || _line as _record_id,
        from landing.numbered
        where _reasons is null{alone}
    """
