"""The types of SQL DDL as ODCS keys."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from sqlglot import exp
from sqlglot.expressions.datatypes import DType as T

from lake.schemas.table import decimal, instant, integer, json_value, number, string, wall_clock

MOST_DIGITS = 38
UNSIZED = {"mysql": (10, 0), "tsql": (18, 0), "snowflake": (38, 0), "redshift": (18, 0)}
UNKNOWN_SIZE = (38, 9)
TEXT_EXTENSIONS = frozenset({"citext", "ltree", "tsvector", "macaddr", "macaddr8", "cidr", "xml", "bpchar"})
CENTS, TEN_THOUSANDTHS = (19, 2), (19, 4)

Typed = tuple[dict[str, object], tuple[str, ...]]  # the keys of a type, and what they leave out

SERIALS = (T.SERIAL, T.BIGSERIAL, T.SMALLSERIAL)  # never null
FINE_CLOCKS = (T.TIMESTAMPNTZ, T.TIMESTAMP_NS, T.TIMESTAMP_MS, T.TIMESTAMP_S)
WHOLE: Mapping[T, Callable[[], dict[str, object]]] = {
    **dict.fromkeys((T.BIGINT, T.BIGSERIAL), lambda: integer("bigint")),
    **dict.fromkeys((T.INT, T.SERIAL, T.MEDIUMINT), lambda: integer("integer")),
    **dict.fromkeys((T.SMALLINT, T.SMALLSERIAL, T.YEAR), lambda: integer("smallint")),
    T.TINYINT: lambda: integer("tinyint"),
    T.UTINYINT: lambda: integer("smallint", is_unsigned=True),
    T.USMALLINT: lambda: integer("integer", is_unsigned=True),
    T.UMEDIUMINT: lambda: integer("integer", is_unsigned=True),
    T.UINT: lambda: integer("bigint", is_unsigned=True),
    T.INT128: lambda: integer("decimal(38,0)"),
    T.UBIGINT: lambda: integer("decimal(20,0)", is_unsigned=True),
}
PLAIN: Mapping[T, Callable[[], dict[str, object]]] = {
    **WHOLE,
    T.BOOLEAN: lambda: {"logicalType": "boolean"},
    T.FLOAT: lambda: number("float"),
    T.DOUBLE: lambda: number("double"),
    T.MONEY: lambda: decimal(*CENTS),
    T.SMALLMONEY: lambda: decimal(*TEN_THOUSANDTHS),
    T.UUID: lambda: string(named="uuid"),
    **dict.fromkeys((T.DATE, T.DATE32), lambda: {"logicalType": "date"}),
    **dict.fromkeys((T.TIMESTAMP, T.DATETIME, T.DATETIME2, T.SMALLDATETIME, *FINE_CLOCKS), wall_clock),
    **dict.fromkeys((T.TIMESTAMPTZ, T.TIMESTAMPLTZ), instant),
    **dict.fromkeys((T.JSON, T.JSONB, T.OBJECT, T.STRUCT, T.MAP), json_value),
}
TEXTS = frozenset({T.VARCHAR, T.CHAR, T.NCHAR, T.NVARCHAR, T.BPCHAR})
LONG_TEXTS = frozenset({T.TEXT, T.TINYTEXT, T.MEDIUMTEXT, T.LONGTEXT, T.NAME, T.INET, T.XML, T.UNKNOWN})
TIMES = frozenset({T.TIME, T.TIMETZ, T.INTERVAL})
BYTES = frozenset({T.BINARY, T.VARBINARY, T.BLOB, T.MEDIUMBLOB, T.LONGBLOB, T.TINYBLOB, T.IMAGE})


def sql_type_keys(kind: exp.DataType, dialect: str) -> Typed:
    """Gives the ODCS keys of a type and what they do not say; a type the lake cannot hold is text."""
    sizes = type_sizes(kind)
    own = _of_dialect(kind.this, sizes, dialect)
    if own is not None:
        return own
    if kind.this in PLAIN:
        return PLAIN[kind.this](), ()
    if kind.this in (T.DECIMAL, T.BIGDECIMAL, T.UDECIMAL):
        return _decimal(sizes, dialect, is_unsigned=kind.this == T.UDECIMAL)
    if kind.this in TEXTS:
        return string(longest=sizes[0] if sizes else None), ()
    if kind.this in LONG_TEXTS:
        return string(), ()
    if kind.this == T.ENUM:
        return {**string(), "enum": tuple(entry.name for entry in kind.expressions)}, ()
    if kind.this in (T.ARRAY, T.LIST):
        return json_value("array"), (f"{kind.sql(dialect)}: a list, read as JSON such as [1,2]",)
    return string(), (f"{kind.sql(dialect)}: {_why_text(kind)}",)


def _of_dialect(kind: T, sizes: Sequence[int], dialect: str) -> Typed | None:
    """Gives what a type means to one database and to no other."""
    if kind == T.TINYINT and sizes == [1] and dialect == "mysql":
        return {"logicalType": "boolean"}, ("MySQL's tinyint(1): delivered as 0 and 1, or as true and false",)
    if kind == T.BIT and list(sizes) in ([], [1]):
        return {"logicalType": "boolean"}, ()
    if kind == T.DATE and dialect == "oracle":
        return wall_clock(), ("Oracle's date has a time of day",)
    if kind == T.MONEY and dialect == "tsql":
        return decimal(*TEN_THOUSANDTHS), ()
    return None


def type_sizes(kind: exp.DataType) -> list[int]:
    """Gives the numbers in the brackets of a type."""
    return [int(entry.name) for entry in kind.expressions if isinstance(entry, exp.DataTypeParam) and _is_whole(entry)]


def _is_whole(entry: exp.DataTypeParam) -> bool:
    return entry.name.lstrip("-").isdigit()


def _decimal(sizes: Sequence[int], dialect: str, *, is_unsigned: bool) -> Typed:
    note: tuple[str, ...] = ()
    if not sizes and dialect not in UNSIZED:
        note = ("numeric of any size: choose the digits and decimals that it has",)
    digits, places = (*sizes, 0)[:2] if sizes else UNSIZED.get(dialect, UNKNOWN_SIZE)
    if not 0 < digits <= MOST_DIGITS or not 0 <= places <= digits:
        return string(), (f"numeric({digits},{places}): more digits than a decimal of the lake has, so kept as text",)
    keys = decimal(digits, places)
    return {**keys, **({"logicalTypeOptions": {"minimum": Decimal(0)}} if is_unsigned else {})}, note


def _why_text(kind: exp.DataType) -> str:
    if kind.this in TIMES:
        return "times of day and intervals are kept as text"
    if kind.this in BYTES:
        return "bytes are kept as the text they are delivered as"
    return "kept as the text it is delivered as"
