"""Quarantine: every record refused, with its line, all reasons and its raw content. Nothing is ever deleted from it.

Rows are appended under the attempt that refused them, before the raw commit; they count once a committed batch names
that attempt. So a crash in between leaves rows that no view shows, and a rerun cannot double any.
"""

from lake.engine import Session, literal, scan_sql
from lake.formats.reading import Reading
from lake.landing.batch import RECORD_ID_DIGITS, Batch
from lake.landing.validation import reason_table
from lake.ledger import latest_batches_sql
from lake.run import Run
from lake.sources.delivery import REPLAY
from lake.staged_files import stage_files
from lake.table_versions import StagedFiles, Store
from lake.tables import read_version

QUARANTINE = "ops.quarantine"
DUPLICATE_WORDS = {
    "repeat": "The record is there already, with the same content.",
    "conflict": "The key is there already, with other content, and the contract takes the first.",
}
QUARANTINE_COLUMNS = (
    ("run_id", "VARCHAR"),
    ("batch_id", "VARCHAR"),
    ("attempt_id", "VARCHAR"),
    ("source", "VARCHAR"),
    ("origin", "VARCHAR"),
    ("line", "BIGINT"),
    ("record_id", "VARCHAR"),
    ("stage", "VARCHAR"),
    ("category", "VARCHAR"),
    ("rule", "VARCHAR"),
    ("reasons", "VARCHAR[]"),
    ("column_name", "VARCHAR"),
    ("details", "VARCHAR"),
    ("raw_data", "VARCHAR"),
    ("contract_version", "VARCHAR"),
    ("quarantined_at", "TIMESTAMP WITH TIME ZONE"),
    ("replay_of", "VARCHAR"),
)


def stage_refused(
    session: Session,
    store: Store,
    batch: Batch,
    run: Run,
    reading: Reading,
    broken: str | None,
) -> tuple[StagedFiles | None, int, int]:
    """Stages the refused records of a judged batch; gives the files, how many are quarantined, how many duplicates.

    It reads `landing.numbered` and `landing.duplicates`; None when nothing was refused. For the records of a replay
    (`ops.replayed`: `place`, `record_id`) that need no further mending it adds a row each that says so.
    """
    session.execute(
        """
        create or replace table landing.refused as
        select _line, _reasons as reasons from landing.numbered where _reasons is not null
        union all
        select _line, ['duplicate:' || rule] as reasons
        from landing.numbered join landing.duplicates using (_ordinal)
        """
    )
    duplicates = session.value("select count(*) from landing.refused where reasons = ['duplicate:repeat']")
    refused = session.value("select count(*) from landing.refused")
    broken_count = 0 if broken is None else session.value(f"select count(*) from {broken}")
    is_replay = batch.delivery.kind == REPLAY
    if refused + broken_count == 0 and not is_replay:
        return None, 0, 0
    if refused:
        reading.raw_data(session, "landing.refused", "landing.raw_texts")
    else:
        session.execute("create or replace table landing.raw_texts (_line bigint, raw_data varchar)")
    _register_words(session, batch)
    rows = _refused_select() + ("" if broken is None else f" union all {_broken_select(broken)}")
    settled = f" union all by name {_settled_select(batch)}" if is_replay else ""
    staged = stage_files(session, store, QUARANTINE, _with_batch(batch, run, rows) + settled)
    return staged, refused + broken_count - duplicates, duplicates


def quarantine_sql(store: Store) -> str:
    """Gives a select over all quarantine rows, those of attempts that came to nothing included."""
    found = read_version(store, QUARANTINE)
    if found is None:
        return scan_sql([], QUARANTINE_COLUMNS)
    return scan_sql([file.path for file in found.files], found.columns, evolved=found.evolved)


def quarantine_view_sql(store: Store, batches: str | None = None) -> str:
    """Gives a select over the quarantine as an operator reads it: one row per record refused, replays derived.

    `batches` is a select over the present states of batches that is shown beside it. The ledger is read first: rows of
    whatever it names are in the quarantine by then, whoever lands in this moment.

    Rows count when the batch's present state names their attempt. A record that failed again in a replay stays open
    as it was; the replay's own rows are not counted twice.
    """
    batches = batches or latest_batches_sql(store)
    return f"""
        with
        counted as (
            select refused.*, batches.kind
            from ({quarantine_sql(store)}) as refused
            join ({batches}) as batches
                on batches.attempt_id = refused.attempt_id and batches.status = 'landed'
        ),
        settled as (
            select
                source, replay_of, min(quarantined_at) as replayed_at,
                arg_min(run_id, quarantined_at) as replay_run_id,
            from counted where replay_of is not null group by source, replay_of
        )
        select counted.* exclude (attempt_id, replay_of, kind), settled.replayed_at, settled.replay_run_id
        from counted
        left join settled on settled.source = counted.source and settled.replay_of = counted.record_id
        where counted.replay_of is null and counted.kind <> 'replay'
    """


def open_quarantine_sql(store: Store) -> str:
    """Gives a select over the quarantined records that no replay has settled."""
    return f"select * from ({quarantine_view_sql(store)}) where replayed_at is null"


def _register_words(session: Session, batch: Batch) -> None:
    session.register("reason_words", reason_table(batch.contract))
    repeats = " union all ".join(
        f"select 'duplicate:{rule}', {literal(rule)}, 'DUPLICATE_RECORD', null, {literal(words)}"
        for rule, words in DUPLICATE_WORDS.items()
    )
    session.execute(
        f"""
        create or replace table landing.words as
        from reason_words
        union all {repeats}
        union all
        select distinct reasons[1], 'schema-drift', 'SCHEMA_MISMATCH', null, substr(reasons[1], 7)
        from landing.refused where starts_with(reasons[1], 'drift:');
        create or replace table landing.told as
        select
            listed.reasons, first_word.category, first_word.rule, first_word.column_name,
            array_to_string(list_transform(listed.reasons, lambda code: coalesce(words.by_code[code], code)), ' ')
                as details,
        from (select distinct reasons from landing.refused) as listed
        cross join (select map_from_entries(list((code, message))) as by_code from landing.words) as words
        left join landing.words as first_word on first_word.code = listed.reasons[1]
        """
    )


def _refused_select() -> str:
    """Gives the refused rows with words; each distinct list of reasons is put into words once."""
    return """
        select refused._line, told.category, told.rule, refused.reasons, told.column_name, told.details, texts.raw_data
        from landing.refused as refused
        left join landing.told as told on told.reasons = refused.reasons
        left join landing.raw_texts as texts on texts._line = refused._line
    """


def _broken_select(broken: str) -> str:
    return f"""
        select _line, category, rule, ['structure:' || rule] as reasons, null as column_name, message as details,
        raw_data from {broken}
    """


def _with_batch(batch: Batch, run: Run, rows: str) -> str:
    return f"""
        select
            {literal(run.id)} as run_id,
            {literal(batch.batch_id)} as batch_id,
            {literal(batch.attempt_id)} as attempt_id,
            {literal(batch.contract.source)} as source,
            {literal(batch.delivery.origin)} as origin,
            cast(_line as bigint) as line,
            {literal(batch.batch_id[:RECORD_ID_DIGITS] + ":")} || _line as record_id,
            'raw' as stage,
            category, rule, reasons, cast(column_name as varchar) as column_name, details, raw_data,
            {literal(batch.contract.version)} as contract_version,
            timestamptz {literal(batch.started_at.isoformat())} as quarantined_at,
            cast(null as varchar) as replay_of,
        from ({rows})
    """


def _settled_select(batch: Batch) -> str:
    """Gives a row per replayed record that is in raw now, naming the quarantined record it settles."""
    return f"""
        select
            {literal(batch.attempt_id)} as attempt_id,
            {literal(batch.contract.source)} as source,
            {literal(batch.batch_id)} as batch_id,
            'replay' as stage,
            timestamptz {literal(batch.started_at.isoformat())} as quarantined_at,
            {literal(batch.attempt_id.rsplit("-", 1)[0])} as run_id,
            record_id as replay_of,
        from ops.replayed
        where place not in (select _line from landing.refused where reasons <> ['duplicate:repeat'])
    """
