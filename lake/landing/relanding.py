"""Landing again, when asked for: a held batch admitted or refused, archived bytes under today's contract, mended
records.

All three go through the same judging as a first landing and end in the same kind of commit.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

from lake.archive import fetch, receive
from lake.contract import Contract, Server
from lake.engine import Session, literal, quote, scan_sql
from lake.errors import SourceError, TableError
from lake.formats.lines import write_texts
from lake.formats.messages import MESSAGES
from lake.landing.batch import Batch, PreparedBatch, identify, raw_name
from lake.landing.committing import landed_meanwhile, set_aside
from lake.landing.judging import archiving, judge
from lake.ledger import BatchRecord, find_batches, sweep_commits
from lake.odcs.servers.push import address_of
from lake.quarantine import open_quarantine_sql, quarantine_sql
from lake.run import Run
from lake.sources.archives import MEMBER, is_archive, recall_member, split_origin
from lake.sources.delivery import BATCH_ID_DIGITS, POSTED, PULL, REPLAY, STREAM, Delivery
from lake.sources.files import file_delivery
from lake.sources.visit import position_of
from lake.staged_files import stage_files
from lake.table_versions import DataFile, Store, TableVersion

SHORTEST_PREFIX = 4


def find_batch(session: Session, store: Store, prefix: str) -> BatchRecord:
    """Gives the one batch whose id starts with a prefix; raises TableError when none or several do.

    `source:prefix` means a batch of that source: two tables may have landed the same bytes.
    """
    source, _, prefix = prefix.rpartition(":")
    if len(prefix) < SHORTEST_PREFIX:
        message = f"{prefix!r} is too short for the id of a batch."
        raise TableError("batch-unknown", message, cure=f"Give its first {SHORTEST_PREFIX} digits or more.")
    known = find_batches(session, store, source or None)
    found = [record for record in known if record.batch_id.startswith(prefix)]
    if not found:
        raise TableError("batch-unknown", f"No batch starts with {prefix!r}.", cure="See `sluice batch list`.")
    if len(found) > 1:
        raise TableError(
            "batch-ambiguous",
            f"{len(found)} batches start with {prefix!r}: "
            f"{', '.join(f'{record.source}:{record.batch_id[:12]}' for record in found[:5])}.",
            cure="Give more digits, or the source before them as here.",
        )
    return found[0]


def recall(session: Session, store: Store, contract: Contract, record: BatchRecord, run: Run) -> Batch:
    """Gives a batch again, its bytes brought back from the archive, for another attempt."""
    folder = session.scratch / "recalled"
    folder.mkdir(exist_ok=True)
    contract = contract.at(_server_of(contract, record))
    found = _recalled(session, store, contract, record, folder)
    delivery = replace(
        found,
        origin=record.origin,
        kind=record.kind,
        batch_id=record.batch_id,
        position=position_of(record),
        state=record.file_state,
    )
    return identify(contract, delivery, run)


def _server_of(contract: Contract, record: BatchRecord) -> Server:
    """Gives the server that a batch came from, by the kind of it; the first of several of a kind."""
    if record.origin.startswith(f"{address_of(contract.source)}/"):
        return contract.pushed or Server("api", record.origin, "jsonl", {})
    others = [server for server in contract.servers if not server.is_pushed]
    of_kind = [server for server in others if server.has_position == bool(record.position)]
    return next(iter((*of_kind, *others, contract.server)))


def _recalled(session: Session, store: Store, contract: Contract, record: BatchRecord, folder: Path) -> Delivery:
    if record.kind in (PULL, POSTED):
        form = contract.server.format
        pages = fetch(store, record.checksum, folder / f"{record.batch_id}.{form}")
        return Delivery(record.origin, pages, form)
    if record.kind == REPLAY:
        _recall_replayed(session, store, record)
        return Delivery(record.origin, fetch(store, record.checksum, folder / f"{record.batch_id}.jsonl"), "jsonl")
    if record.kind == STREAM:
        return Delivery(record.origin, fetch(store, record.checksum, folder / f"{record.batch_id}.parquet"), MESSAGES)
    container, member = split_origin(record.origin) if record.kind == MEMBER else (record.origin, "")
    target = fetch(store, record.checksum, folder / Path(container).name)
    if member:
        return recall_member(record.origin, target, folder)
    if is_archive(target):
        raise SourceError(
            "archive-refused",
            f"{record.origin} was refused whole, before anything was taken out of it.",
            cure="Deliver it anew, or mend the contract's server and deliver the same file again.",
        )
    return file_delivery(contract, target, folder)


def _recall_replayed(session: Session, store: Store, record: BatchRecord) -> None:
    """Creates `ops.replayed` for a replay that comes again: what it settled when it landed, by the places in it.

    Its records stood in the order of their lines; those that it left open are not known by place any more.
    """
    landed = [found for found in find_batches(session, store) if found.batch_id == record.batch_id]
    first = next((found for found in landed if found.status == "landed"), record)
    session.execute(
        f"""
        create or replace table ops.replayed as
        with
        attempt as (select * from ({quarantine_sql(store)}) where attempt_id = {literal(first.attempt_id)}),
        places as (
            select place, row_number() over (order by place) as ordinal
            from range(1, {(first.read_count or 0) + 1}) as listed(place)
            where place not in (
                select line from attempt where replay_of is null and reasons <> ['duplicate:repeat']
            )
        ),
        settled as (
            select
                replay_of as record_id,
                row_number() over (order by cast(split_part(replay_of, ':', 2) as bigint), replay_of) as ordinal,
            from attempt where replay_of is not null
        )
        select place, record_id from places join settled using (ordinal)
        """
    )


def judge_again(session: Session, store: Store, batch: Batch, run: Run) -> PreparedBatch:
    """Judges a batch that is in raw already by today's contract; its commit will take the place of its rows."""
    prepared = judge(session, store, batch, run, without=batch.batch_id)
    if prepared.base is None:
        return prepared
    replaced = _files_of(session, prepared.base, batch)
    if not replaced:
        return prepared
    others = scan_sql([file.path for file in replaced], prepared.base.columns, evolved=prepared.base.evolved)
    mine = scan_sql([file.path for file in prepared.accepted.files if file.row_count], prepared.accepted.columns)
    staged = stage_files(
        session,
        store,
        raw_name(batch.contract),
        f"select * from ({others}) where _batch_id <> {literal(batch.batch_id)} union all by name from ({mine})",
        partition=batch.contract.partition,
    )
    return replace(prepared, accepted=staged, replaced=replaced)


def refuse(session: Session, store: Store, batch: Batch, run: Run, why: str) -> BatchRecord:
    """Refuses a held batch for good; its bytes stay in the archive."""
    return set_aside(session, store, batch, run, "refused", why)


def make_replay(
    session: Session, store: Store, contract: Contract, record: BatchRecord, mended: Path | None, run: Run
) -> Batch:
    """Gives the open quarantined records of a batch as a new batch of kind replay.

    `mended` is a CSV with a column `line` or `record_id` and any columns of the source: its values take the place of
    the received ones. Raises SourceError when nothing is open, or the file names lines that are not.
    """
    session.execute(
        f"""
        create or replace table ops.replayed as
        select line, record_id, raw_data, case when json_valid(raw_data) then raw_data else '{{}}' end as payload
        from ({open_quarantine_sql(store)})
        where source = {literal(record.source)} and batch_id = {literal(record.batch_id)}
            and category <> 'DUPLICATE_RECORD'
        """
    )
    if mended is not None:
        _apply_mended(session, contract, mended)
    else:
        session.execute("delete from ops.replayed where not json_valid(raw_data)")
    count = session.value("select count(*) from ops.replayed")
    if count == 0:
        raise SourceError(
            "nothing-to-replay",
            f"Batch {record.batch_id[:12]} has no open record to replay.",
            cure="See `sluice quarantine list`.",
        )
    path = session.scratch / "replay" / f"{record.batch_id[:12]}.jsonl"
    path.parent.mkdir(exist_ok=True)
    session.execute(
        """
        create or replace table ops.replayed as
        select row_number() over (order by line, record_id) as place, record_id, payload from ops.replayed order by 1;
        """
    )
    payloads = session.reader("select payload from ops.replayed order by place")
    write_texts(path, b"", (part.column(0) for part in payloads))
    records = session.value("select sha256(string_agg(record_id, ',' order by place)) from ops.replayed")
    delivery = Delivery(f"replay of {record.batch_id[:12]}", path, "jsonl", kind=REPLAY)
    receipt = receive(delivery)
    digest = hashlib.sha256(f"{receipt.digest} {records}".encode()).hexdigest()
    return identify(contract, replace(delivery, batch_id=digest[:BATCH_ID_DIGITS]), run)


def judge_replay(session: Session, store: Store, batch: Batch, run: Run) -> PreparedBatch:
    """Archives and judges a replay; its commit marks the records that land as replayed.

    Raises CommitConflict when records of it have landed meanwhile, by this replay or another. That is asked once it is
    judged: what lands after that, on the same version of raw, the commit itself refuses.
    """
    with archiving(store, batch, run):
        prepared = judge(session, store, batch, run)
    source = batch.contract.source
    sweep_commits(session, store, [source], run)
    still_open = f"select record_id from ({open_quarantine_sql(store)}) where source = {literal(source)}"
    if session.rows(f"select 1 from ops.replayed where record_id not in ({still_open}) limit 1"):
        raise landed_meanwhile(batch)
    return prepared


def _apply_mended(session: Session, contract: Contract, mended: Path) -> None:
    """Keeps the records that the mended file names, with its values in the place of those received."""
    if not mended.is_file():
        raise SourceError("mended-missing", f"There is no file {mended}.", cure="Give a CSV of mended records.")
    session.execute(
        "create or replace table ops.mended as "
        f"from read_csv({literal(str(mended))}, all_varchar = true, header = true)"
    )
    names = [row[0] for row in session.rows("describe ops.mended")]
    by = next((name for name in ("record_id", "line") if name in names), None)
    known = {column.source_name for column in contract.columns}
    wrong = [name for name in names if name not in known | {"record_id", "line"}]
    if by is None or wrong:
        raise SourceError(
            "mended-columns",
            f"{mended.name} has the columns {', '.join(names)}.",
            cure=f"It needs `line` or `record_id`, and may have {', '.join(sorted(known))}.",
            path=mended,
            line=1,
        )
    fields = ", ".join(f"{literal(name)}, {quote(name)}" for name in names if name in known)
    stray = session.rows(
        f"select {by} from ops.mended where {by} not in (select cast({by} as varchar) from ops.replayed) limit 5"
    )
    if stray:
        raise SourceError(
            "mended-unknown",
            f"{mended.name} mends {by} {', '.join(str(row[0]) for row in stray)}, which is not open in this batch.",
            cure="See `sluice quarantine show`.",
            path=mended,
        )
    session.execute(
        f"""
        create or replace table ops.replayed as
        select replayed.* replace (
            cast(json_merge_patch(cast(payload as json), json_object({fields})) as varchar) as payload
        )
        from ops.replayed as replayed
        join ops.mended as mended on mended.{by} = cast(replayed.{by} as varchar)
        """
    )


def _files_of(session: Session, found: TableVersion, batch: Batch) -> tuple[DataFile, ...]:
    """Gives the files of a version of raw that hold rows of a batch."""
    if not found.files:
        return ()
    paths = ", ".join(literal(file.path) for file in found.files)
    rows = session.rows(
        f"select distinct filename from read_parquet([{paths}], filename = true, hive_partitioning = false, "
        f"union_by_name = true) where _batch_id = {literal(batch.batch_id)}"
    )
    named = {row[0] for row in rows}
    return tuple(file for file in found.files if file.path in named)
