"""The captured table in its database: what it must allow, which columns are published, and the slot that is read."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from lake.errors import SourceError
from lake.odcs.changes import OURS
from lake.sources.capture.door import Database, to_lsn, to_number
from lake.sources.capture.faults import slot_lost
from lake.sources.capture.place import SLOT_DIGITS, Captured, identifier
from lake.sources.database.faults import Passing

WHOLE_ROW = "f"  # replica identity full
COLUMN_LISTS_SINCE = 150000
TABLE = """
select c.oid::bigint, c.relkind::text, c.relreplident::text,
    exists (
        select from pg_partition_tree(c.oid) p join pg_class t on t.oid = p.relid where t.reltoastrelid <> 0
    ) or c.reltoastrelid <> 0,
    array(
        select a.attname::text from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
        where i.indrelid = c.oid and case c.relreplident when 'i' then i.indisreplident else i.indisprimary end
    ),
    c.relkind = 'r' and exists (select from pg_inherits where inhparent = c.oid)
from pg_class c where c.oid = to_regclass(%s)
"""
COLUMNS = """
select attname::text, atttypid::bigint from pg_attribute
where attrelid = %s and attnum > 0 and not attisdropped and attgenerated = ''
order by attnum
"""
CONVERTED = """
with recursive resolved (type_id, base_id) as (
    select oid, oid from pg_type where oid = any (%s::oid[])
    union all
    select type_id, typbasetype from resolved join pg_type on oid = base_id where typtype = 'd'
)
select type_id::bigint, base_id::bigint from resolved join pg_type on oid = base_id
where typtype <> 'd' and (typcategory = 'A' or typname in ('bool', 'bpchar', 'money'))
"""
PUBLICATION = """
select pubinsert and pubupdate and pubdelete and pubtruncate,
    pubviaroot or not exists (select from pg_class where oid = to_regclass(%s) and relkind = 'p')
from pg_publication where pubname = %s
"""
IN_PUBLICATION = """
select {published} from pg_publication_tables where pubname = %s and schemaname = %s and tablename = %s
"""
SLOT = """
select (confirmed_flush_lsn - '0/0')::bigint, coalesce(wal_status, 'reserved'), database = current_database()
from pg_replication_slots where slot_name = %s
"""
OURS_UNUSED = """
select slot_name::text from pg_replication_slots
where starts_with(slot_name::text, %s) and slot_name <> %s and not active and database = current_database()
"""
LOCK = "select pg_try_advisory_lock(hashtextextended(%s, 0))"


@dataclass(frozen=True)
class TableState:
    """A table as it stands: its number, the published columns with the oids of their types, and a row filter."""

    oid: int
    columns: tuple[str, ...]
    types: tuple[int, ...]
    condition: str


def examine(database: Database) -> TableState:
    """Gives the table as it stands; raises SourceError, with the cure, for what would lose changes."""
    captured = database.captured
    found = database.rows(TABLE, captured.full_name)
    if not found:
        raise SourceError(
            "database-table-missing",
            f"{captured.origin} is not there, or the role may not see it.",
            cure="Check 'table' and 'schema' in the contract.",
        )
    ((oid, kind, identity, has_toast, identifying, has_heirs),) = found
    if kind not in ("r", "p"):
        raise _unfit(captured, "is a view or a foreign table, of which no changes are written down", "Name a table.")
    if has_heirs:
        cure = "Capture each of them in a contract of its own, or make them partitions of it."
        raise _unfit(captured, "has tables that inherit from it, whose changes are not written down as its own", cure)
    _expect_identity(captured, identity, has_toast, set(identifying))
    columns = database.rows(COLUMNS, oid)
    reserved = sorted(OURS & {name for name, _ in columns})
    if reserved:
        raise _unfit(captured, f"has the column '{reserved[0]}', as Sluice adds one", "Rename it there.")
    return _published(database, oid, columns)


def _expect_identity(captured: Captured, identity: str, has_toast: bool, identifying: set[str]) -> None:
    """Raises SourceError unless every update and delete says which row it is of and what it holds."""
    if identity == WHOLE_ROW:
        return
    cure = f"Have its owner run: alter table {captured.full_name} replica identity full;"
    if not captured.key:
        raise _unfit(captured, "has no key in the contract, so only whole rows tell what was deleted", cure)
    if set(captured.key) - identifying:
        told = ", ".join(sorted(identifying)) or "nothing"
        raise _unfit(captured, f"writes {told} down of a deleted row, and the key is {', '.join(captured.key)}", cure)
    if has_toast:
        raise _unfit(
            captured, "may keep large values apart, and then writes them down only in updates that change them", cure
        )


def conversions(database: Database, types: Collection[int]) -> dict[int, int]:
    """Gives the types, among some, whose values are not landed as they are written, each with the type it rests on."""
    return dict(database.rows(CONVERTED, list(types)))


def _published(database: Database, oid: int, columns: list[tuple[str, int]]) -> TableState:
    rows = _publication(database)
    listed, condition = rows[0] if rows else (None, None)
    kept = [(name, kind) for name, kind in columns if listed is None or name in listed]
    return TableState(oid, tuple(name for name, _ in kept), tuple(kind for _, kind in kept), condition or "true")


def is_published(database: Database) -> bool:
    """Says whether the publication is there and has the table; raises SourceError when it leaves changes out."""
    captured = database.captured
    for is_whole, is_one_table in database.rows(PUBLICATION, captured.full_name, captured.publication):
        if not is_whole:
            missing, option = (
                "leaves out inserts, updates, deletes or truncates",
                "publish = 'insert, update, delete, truncate'",
            )
            raise _unfit_publication(captured, missing, option)
        if not is_one_table:
            missing = f"tells the changes of {captured.full_name} as those of its partitions"
            raise _unfit_publication(captured, missing, "publish_via_partition_root = true")
    return bool(_publication(database))


def _publication(database: Database) -> list[tuple[list[str] | None, str | None]]:
    version = database.connection.server_version
    published = "attnames::text[], rowfilter" if version >= COLUMN_LISTS_SINCE else "null::text[], null"
    captured = database.captured
    query = IN_PUBLICATION.format(published=published)
    return database.rows(query, captured.publication, captured.schema, captured.table)


def publish(database: Database) -> None:
    """Makes the publication, or takes the table into it; raises SourceError, with what to run, when it may not."""
    captured = database.captured
    name = identifier(captured.publication)
    is_there = database.rows("select 1 from pg_publication where pubname = %s", captured.publication)
    create = f"create publication {name} for table {captured.full_name} with (publish_via_partition_root = true)"
    statement = f"alter publication {name} add table {captured.full_name}" if is_there else create
    try:
        database.execute(statement)
    except Passing:
        raise
    except SourceError as error:
        raise SourceError(
            "publication-missing",
            f"{captured.origin} is in no publication '{captured.publication}', and the role may not put it there.",
            cure=f"Have its owner run: {statement};",
        ) from error


def expect_logical(database: Database) -> None:
    """Raises SourceError when the server writes nothing down from which changes can be read."""
    ((level, is_standby),) = database.rows("select current_setting('wal_level'), pg_is_in_recovery()")
    if level != "logical":
        raise SourceError(
            "wal-level-unfit",
            f"{database.captured.place} runs with 'wal_level = {level}', from which no changes can be read.",
            cure="Set wal_level = logical (managed databases: rds.logical_replication, cloudsql.logical_decoding) and "
            "restart the server.",
        )
    if is_standby:
        raise SourceError(
            "wal-level-unfit", f"{database.captured.place} is a standby.", cure="Name the primary in the contract."
        )


def take_turn(database: Database) -> bool:
    """Says whether this visit has the table to itself; it has, until its connection ends."""
    return bool(database.rows(LOCK, database.captured.prefix)[0][0])


def drop_unused_slots(database: Database, kept: str) -> None:
    """Drops the slots that this lake has made for the table and does not read: of a first landing that was killed."""
    for (name,) in database.rows(OURS_UNUSED, database.captured.prefix, kept):
        database.rows("select pg_drop_replication_slot(%s)", name)


def new_slot_name(captured: Captured) -> str:
    """Gives a name that no slot has had."""
    return captured.prefix + secrets.token_hex(SLOT_DIGITS // 2)


def expect_log(database: Database, lsn: int) -> None:
    """Raises SourceError when the server's log ends before a place that has been read: it was set back to a copy."""
    end = log_end(database)
    if end < lsn:
        raise SourceError(
            "database-changed",
            f"{database.captured.place} is an older state of itself: its log ends at {to_lsn(end)}, and has been read "
            f"up to {to_lsn(lsn)}.",
            cure="If this is the one to go on with, run `sluice land SOURCE --snapshot`.",
        )


def expect_slot(database: Database, slot: str, lsn: int) -> int:
    """Gives the place up to which a slot has heard that it may forget; raises SourceError when that is beyond ours."""
    place = database.captured.place
    found = database.rows(SLOT, slot)
    if not found:
        raise slot_lost(place, f"its replication slot '{slot}' is gone.")
    ((confirmed, status, is_here),) = found
    if not is_here:
        raise slot_lost(place, f"its replication slot '{slot}' is of another database.")
    if status == "lost":
        raise slot_lost(place, f"its replication slot '{slot}' held more log than 'max_slot_wal_keep_size' allows.")
    if confirmed > lsn:
        raise slot_lost(
            place, f"its replication slot '{slot}' was read on by somebody else, or the lake is an older one."
        )
    return int(confirmed)


def slot_lag(database: Database, slot: str) -> int:
    """Gives how many bytes of log the server has written beyond what was confirmed; raises SourceError without slot."""
    lag = "select (pg_current_wal_lsn() - confirmed_flush_lsn)::bigint from pg_replication_slots where slot_name = %s"
    found = database.rows(lag, slot)
    if not found or found[0][0] is None:
        raise slot_lost(database.captured.place, f"its replication slot '{slot}' is gone.")
    return int(found[0][0])


def clock_microseconds(database: Database) -> int:
    """Gives the server's own clock, as its log tells of commits."""
    since = "select (extract(epoch from clock_timestamp() - '2000-01-01 00:00:00+00') * 1000000)::bigint"
    return int(database.rows(since)[0][0])


def log_end(database: Database) -> int:
    """Gives the place up to which the server has written its log."""
    return to_number(str(database.rows("select pg_current_wal_flush_lsn()::text")[0][0]))


def _unfit_publication(captured: Captured, what: str, option: str) -> SourceError:
    name = captured.publication
    cure = f"alter publication {identifier(name)} set ({option});"
    return SourceError("publication-unfit", f"The publication '{name}' {what}.", cure=cure)


def _unfit(captured: Captured, what: str, cure: str) -> SourceError:
    return SourceError("table-unfit", f"{captured.origin} {what}.", cure=cure)
