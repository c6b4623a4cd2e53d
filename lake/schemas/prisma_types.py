"""The scalar types of Prisma, as its databases store them, as ODCS keys."""

import re
from collections.abc import Callable, Mapping

from lake.schemas.table import decimal, instant, integer, json_value, number, string

Keys = dict[str, object]
MOST_DIGITS = 38
SCALARS: Mapping[str, Callable[[], Keys]] = {
    "String": string,
    "Boolean": lambda: {"logicalType": "boolean"},
    "Int": lambda: integer("integer"),
    "BigInt": lambda: integer("bigint"),
    "Float": lambda: number("double"),
    "Decimal": lambda: decimal(38, 9),
    "DateTime": instant,
    "Json": json_value,
    "Bytes": string,
}
NATIVE: Mapping[str, Callable[[], Keys]] = {  # what `@db.…` makes of them, without a size
    "SmallInt": lambda: integer("smallint"),
    "TinyInt": lambda: integer("tinyint"),
    "MediumInt": lambda: integer("integer"),
    "UnsignedInt": lambda: integer("bigint", is_unsigned=True),
    "UnsignedSmallInt": lambda: integer("integer", is_unsigned=True),
    "UnsignedTinyInt": lambda: integer("smallint", is_unsigned=True),
    "UnsignedBigInt": lambda: integer("decimal(20,0)", is_unsigned=True),
    "Real": lambda: number("float"),
    "Date": lambda: {"logicalType": "date"},
    "Uuid": lambda: string(named="uuid"),
    "UniqueIdentifier": lambda: string(named="uuid"),
    "Money": lambda: decimal(19, 2),
}
TEXT_SIZED = ("VarChar", "Char", "NVarChar", "NChar")
TIMES = ("Time", "Timetz")


def scalar_keys(kind: str, attributes: Mapping[str, str]) -> tuple[Keys, tuple[str, ...]]:
    """Gives the ODCS keys of a scalar field with its `@db.` attribute, and notes on what they leave out."""
    native = next((name.removeprefix("db.") for name in attributes if name.startswith("db.")), "")
    sizes = [int(size) for size in re.findall(r"\d+", attributes.get(f"db.{native}", ""))]
    if kind == "Decimal" and native != "Money":
        return _decimal(sizes)
    if kind == "Bytes":
        return string(), ("bytes are kept as the text they are delivered as",)
    if native in TIMES:
        return string(), ("times of day are kept as text",)
    if native in TEXT_SIZED and sizes:
        return string(longest=sizes[0]), ()
    if native == "TinyInt" and kind == "Boolean":
        return SCALARS[kind](), ()
    return NATIVE.get(native, SCALARS[kind])(), ()


def _decimal(sizes: list[int]) -> tuple[Keys, tuple[str, ...]]:
    if not sizes:
        return decimal(38, 9), ("Decimal without @db.Decimal(p, s): choose the digits and decimals that it has",)
    digits, places = (*sizes, 0)[:2]
    if not 0 < digits <= MOST_DIGITS or places > digits:
        return string(), (f"Decimal({digits},{places}) is more than a decimal of the lake holds, so kept as text",)
    return decimal(digits, places), ()
