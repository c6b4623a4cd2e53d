"""What the plug-in `pgoutput` says: transactions, the shape of a table, and changes of its rows."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct

BEGIN, COMMIT, RELATION, TRUNCATE = ord("B"), ord("C"), ord("R"), ord("T")
INSERT, UPDATE, DELETE = ord("I"), ord("U"), ord("D")
ROWS = (INSERT, UPDATE, DELETE)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

_BEGIN, _COMMIT, _COLUMN, _TRUNCATE = Struct("!xQqI"), Struct("!xBQQq"), Struct("!Ii"), Struct("!xIB")
_COUNT, _ID = Struct("!H"), Struct("!I")


@dataclass(frozen=True)
class Begin:
    """The beginning of a transaction: where its commit stands in the log, and when that was, in microseconds."""

    lsn: int
    committed_at: int


@dataclass(frozen=True)
class Relation:
    """A table as the changes after this message have it. `identity` is d, n, f or i, as in `pg_class`."""

    schema: str
    table: str
    identity: str
    columns: tuple[str, ...]
    types: tuple[int, ...]


def read_begin(message: bytes) -> Begin:
    """Reads the beginning of a transaction."""
    lsn, at, _ = _BEGIN.unpack_from(message)
    return Begin(lsn, at)


def read_commit(message: bytes) -> int:
    """Gives where the log goes on after a transaction's commit."""
    end: int = _COMMIT.unpack_from(message)[2]
    return end


def relation_id(message: bytes) -> int:
    """Gives the table that a relation, or a change of a row, is about."""
    found: int = _ID.unpack_from(message, 1)[0]
    return found


def changed_ids(message: bytes) -> tuple[int, ...]:
    """Gives the tables whose rows a message changes."""
    if message[0] in ROWS:
        return (relation_id(message),)
    return truncated_ids(message) if message[0] == TRUNCATE else ()


def truncated_ids(message: bytes) -> tuple[int, ...]:
    """Gives the tables that a truncate empties."""
    count, _ = _TRUNCATE.unpack_from(message)
    return tuple(_ID.unpack_from(message, _TRUNCATE.size + _ID.size * place)[0] for place in range(count))


def read_relation(message: bytes) -> Relation:
    """Reads the shape of a table."""
    schema, at = _text(message, 1 + _ID.size)
    table, at = _text(message, at)
    identity = chr(message[at])
    (count,) = _COUNT.unpack_from(message, at + 1)
    at += 1 + _COUNT.size
    names, types = [], []
    for _ in range(count):
        name, at = _text(message, at + 1)
        names.append(name)
        types.append(_COLUMN.unpack_from(message, at)[0])
        at += _COLUMN.size
    return Relation(schema or "pg_catalog", table, identity, tuple(names), tuple(types))


def instant(microseconds: int) -> str:
    """Gives an instant of the server's clock as text."""
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat()


def _text(message: bytes, at: int) -> tuple[str, int]:
    end = message.index(b"\0", at)
    return message[at:end].decode(), end + 1
