"""The ledger: what became of every batch, and every event of every run.

A landed batch's row is first written into the metadata of the raw commit itself, so that rows and ledger cannot part;
a sweep copies it into `ops.batches`, where it outlives the Delta log. Batches that never reached raw (held, refused)
are written there directly. `ops.batches` is only ever appended to. What is in raw is landed, whatever was said of it
before or beside that; of a batch that is not, the latest row is its state.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import pyarrow as pa

from lake.engine import Session, columns_of, literal, quote, scan_sql
from lake.proofs import proven_by
from lake.run import Event, Run
from lake.staged_files import stage_files
from lake.table_log import log_entries
from lake.table_versions import Commit, Store, TableVersion
from lake.tables import append_files, read_commits, read_version

BatchStatus = Literal["landed", "held", "refused"]
BATCHES = "ops.batches"
EVENTS = "ops.events"
LEDGER_KEY = "ledger"

INSTANT = pa.timestamp("us", "UTC")
BATCH_SCHEMA = pa.schema(
    [
        ("run_id", pa.string()),
        ("batch_id", pa.string()),
        ("source", pa.string()),
        ("origin", pa.string()),
        ("kind", pa.string()),
        ("status", pa.string()),
        ("started_at", INSTANT),
        ("ended_at", INSTANT),
        ("read_count", pa.int64()),
        ("accepted_count", pa.int64()),
        ("quarantined_count", pa.int64()),
        ("duplicate_count", pa.int64()),
        ("byte_count", pa.int64()),
        ("checksum", pa.string()),
        ("watermark", pa.string()),
        ("table_version", pa.int64()),
        ("error", pa.string()),
        ("attempt_id", pa.string()),
        ("contract_version", pa.string()),
        ("contract_digest", pa.string()),
        ("file_state", pa.string()),
        ("position", pa.string()),
    ]
)
EVENT_SCHEMA = pa.schema(
    [
        ("run_id", pa.string()),
        ("at", INSTANT),
        ("actor", pa.string()),
        ("event", pa.string()),
        ("subject", pa.string()),
        ("record_count", pa.int64()),
        ("details", pa.string()),
    ]
)


@dataclass(frozen=True)
class BatchRecord:
    """What became of one batch: one row of `ops.batches`. Counts are records; `table_version` is the raw commit's.

    `attempt_id` ties the batch to the quarantine rows of the landing that counted; others of the same batch do not
    count. `file_state` is the received file's inode, size and time of change: a file that still has it is not read
    again. `position` is where its source stood after it, as a JSON object of text.
    """

    run_id: str
    batch_id: str
    source: str
    origin: str
    kind: str
    status: BatchStatus
    started_at: datetime
    ended_at: datetime
    read_count: int | None
    accepted_count: int | None
    quarantined_count: int | None
    duplicate_count: int | None
    byte_count: int | None
    checksum: str
    watermark: str | None
    table_version: int | None
    error: str | None
    attempt_id: str
    contract_version: str
    contract_digest: str
    file_state: str | None = None
    position: str | None = None


def to_metadata(record: BatchRecord) -> dict[str, str]:
    """Gives a batch's row as commit metadata."""
    return {LEDGER_KEY: json.dumps(asdict(record), default=datetime.isoformat)}


def from_commit(commit: Commit) -> BatchRecord | None:
    """Gives the batch's row that a commit carries, None for commits that landed none."""
    if LEDGER_KEY not in commit.metadata:
        return None
    fields = json.loads(commit.metadata[LEDGER_KEY])
    for name in ("started_at", "ended_at"):
        fields[name] = datetime.fromisoformat(fields[name])
    return replace(BatchRecord(**fields), table_version=commit.version)


def last_landing(store: Store, raw: TableVersion) -> BatchRecord | None:
    """Gives the row of the batch that landed last in a version of a raw table, None when none did."""
    for version in range(raw.version, -1, -1):
        for commit in log_entries(store, raw.name, range(version, version + 1)):
            if (record := from_commit(commit)) is not None:
                return record
    return None


def record_batches(session: Session, store: Store, records: Sequence[BatchRecord]) -> None:
    """Appends rows to `ops.batches`."""
    _append(session, store, BATCHES, pa.Table.from_pylist([asdict(record) for record in records], BATCH_SCHEMA))


def record_decision(session: Session, store: Store, record: BatchRecord) -> BatchRecord:
    """Appends what was decided of a batch that is not in raw, and gives that row: it is later than those before it."""
    query = f"select max(ended_at) from ({batches_sql(store)}) where source = ? and batch_id = ?"
    before = session.value(query, [record.source, record.batch_id])
    if before is not None and before >= record.ended_at:  # the clock has gone back, or does not tell them apart
        record = replace(record, ended_at=before + timedelta(microseconds=1))
    record_batches(session, store, [record])
    return record


def sweep_commits(
    session: Session, store: Store, sources: Iterable[str], run: Run | None = None, *, with_former: bool = False
) -> int:
    """Copies the batches of new raw commits into `ops.batches`, and gives how many there were.

    What they prove is written into `ops.events` first, that of other runs than this one, too: those may be dead.
    `with_former` sweeps those sources, too, that landed when they had a contract: a run may have died in their midst.
    Two sweeps at once may copy a batch or an event twice; the views count it once.
    """
    swept = swept_versions(session, store)
    sources = sorted({*sources, *swept}) if with_former else sources
    commits = [c for source in sources for c in read_commits(store, f"raw.{source}", swept.get(source, -1))]
    others = [event for commit in commits for event in proven_by(commit) if run is None or event.run_id != run.id]
    append_events(session, store, unwritten(session, store, others))
    found = [record for commit in commits if (record := from_commit(commit)) is not None]
    if found:
        if run is not None:
            write_events(session, store, run)
        record_batches(session, store, found)
    return len(found)


def swept_versions(session: Session, store: Store) -> Mapping[str, int]:
    """Gives the newest raw version that `ops.batches` knows, by source; of a version of it that is asked once."""
    found = read_version(store, BATCHES)
    if found is None:
        return {}
    if store.opened.swept[0] != found.version:
        query = f"select source, max(table_version) from ({batches_sql(store)}) group by source"
        rows = session.rows(query)
        store.opened.swept = found.version, {source: version for source, version in rows if version is not None}
    return store.opened.swept[1]


def first_landed_at(session: Session, store: Store, raw: TableVersion, batch_id: str) -> datetime | None:
    """Gives when the first landing of a batch in a raw table began, None of one that had not landed by that version.

    The commits that no sweep has copied yet are looked at, too: whoever made them may be dead, or at it.
    """
    source = raw.name.removeprefix("raw.")
    swept = swept_versions(session, store).get(source, -1)
    landed = f"select * from ({batches_sql(store)}) where status = 'landed' and source = ? and batch_id = ?"
    found: datetime | None = session.value(
        f"select arg_min(started_at, table_version) from ({landed})", [source, batch_id]
    )
    if found is not None:
        return found
    newer = map(from_commit, log_entries(store, raw.name, range(swept + 1, raw.version + 1)))
    return next((record.started_at for record in newer if record and record.batch_id == batch_id), None)


def batches_sql(store: Store) -> str:
    """Gives a select over all rows of `ops.batches`, older states included."""
    return _scan(store, BATCHES, BATCH_SCHEMA)


def latest_batches_sql(store: Store) -> str:
    """Gives a select over `ops.batches` with one row per source and batch: its present state.

    Raw's own order decides which landing is the latest: clocks may go back, and differ from machine to machine.
    """
    return f"""
        select * from ({batches_sql(store)})
        qualify row_number() over (
            partition by source, batch_id order by status = 'landed' desc, table_version desc nulls last, ended_at desc
        ) = 1
    """


def find_batches(session: Session, store: Store, source: str | None = None) -> list[BatchRecord]:
    """Gives the present state of all batches, newest last."""
    where = "" if source is None else f"where source = {literal(source)}"
    table = session.arrow(f"from ({latest_batches_sql(store)}) {where} order by ended_at, batch_id")
    return [BatchRecord(**row) for row in table.select(BATCH_SCHEMA.names).to_pylist()]


def find_landed(session: Session, store: Store, source: str) -> list[BatchRecord]:
    """Gives the batches of a source that are in raw, in the order in which each landed first."""
    landed = f"select * from ({batches_sql(store)}) where status = 'landed' and source = {literal(source)}"
    first = dict(session.rows(f"select batch_id, min(table_version) from ({landed}) group by batch_id"))
    known = [record for record in find_batches(session, store, source) if record.batch_id in first]
    return sorted(known, key=lambda record: first[record.batch_id])


def write_events(session: Session, store: Store, run: Run) -> None:
    """Appends the run's gathered events to `ops.events` and forgets them; they are one commit."""
    written = list(run.events)
    append_events(session, store, written)
    del run.events[: len(written)]


def append_events(session: Session, store: Store, events: Sequence[Event]) -> None:
    """Appends events to `ops.events`, in one commit."""
    if events:
        _append(session, store, EVENTS, pa.Table.from_pylist([_event_row(event) for event in events], EVENT_SCHEMA))


def unwritten(session: Session, store: Store, events: Sequence[Event]) -> list[Event]:
    """Gives those of some events that are not in `ops.events`."""
    if not events:
        return []
    names = ", ".join(quote(name) for name in EVENT_SCHEMA.names)
    runs = ", ".join(sorted({literal(event.run_id) for event in events}))
    known = set(session.rows(f"select {names} from ({events_sql(store)}) where run_id in ({runs})"))
    return [event for event in events if tuple(_event_row(event).values()) not in known]


def events_sql(store: Store) -> str:
    """Gives a select over all events."""
    return _scan(store, EVENTS, EVENT_SCHEMA)


def _event_row(event: Event) -> dict[str, object]:
    return {
        "run_id": event.run_id,
        "at": event.at,
        "actor": event.actor,
        "event": event.kind,
        "subject": event.subject,
        "record_count": event.record_count,
        "details": json.dumps(dict(event.details), default=str),
    }


def _append(session: Session, store: Store, name: str, rows: pa.Table) -> None:
    session.register("ledger_rows", rows)
    append_files(store, name, stage_files(session, store, name, "from ledger_rows"))


def _scan(store: Store, name: str, schema: pa.Schema) -> str:
    """Gives a select over a table of ours; columns that an older Sluice did not write are null."""
    found, wanted = read_version(store, name), columns_of(schema)
    if found is None:
        return scan_sql([], wanted)
    columns = dict(found.columns) | dict(wanted)
    is_evolved = found.evolved or len(columns) > len(found.columns)
    return scan_sql([file.path for file in found.files], tuple(columns.items()), evolved=is_evolved)
