"""Which JSON values of a column are certainly as promised, as Pydantic sees at once.

What is accepted here is accepted by the landing pass, which is the judge. The contrary does not hold: a value that is
written in an unusual way (`1e3`, ` 5 `, a date in a format of the contract) is only not certain, and the landing's own
statement is asked. So every schema below is narrower than what the landing takes and never wider, and a kind of column
that has none (JSON, lists, dates in formats) is always asked about. A property test holds them to it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from pydantic_core import CoreSchema, SchemaError, SchemaValidator, ValidationError, core_schema

from lake.contract import Column, RowRule

BITS = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64}
SURE_DIGITS = 15  # a JSON number with a point is a double, exact to so many digits
INTEGER_TEXT = r"^-?(0|[1-9]\d{0,17})$"
NUMBER_TEXT = re.compile(r"-?\d{1,15}(\.\d{1,9})?")
DATE = r"\d{4}-\d{2}-\d{2}"
CLOCK = r"\d{2}:\d{2}:\d{2}(\.\d{1,6})?"
OFFSET = r"(Z|[+-](0\d|1[0-3]):[0-5]\d)"
PRINTABLE = "^[ -~]*$"
SIMPLE_RULE = re.compile(r'"?(\w+)"? (>=|>|<=|<) (-?\d+(?:\.\d+)?)')
OPERATORS = {">=": "ge", ">": "gt", "<=": "le", "<": "lt"}
ALIKE = re.compile(  # patterns that mean the same to the engine and to Pydantic, on printable ASCII
    r"(?:\\[dDwWsS]|\\[^\w\s]|[^\\\[\]]|\[\^?(?:\\[dDwWsS]|\\[^\w\s]|[^\\\[\]&~])+\])*"
)
UNLIKE = re.compile(r"\(\?(?!:)|\{,|--")
PLAIN_DEFAULT = re.compile(r"'([\w .,:@/+-]+)'|-?\d{1,9}", re.ASCII)
NULL = core_schema.none_schema()
NOTHING = core_schema.str_schema(min_length=1, max_length=0)  # no value is certain


@dataclass(frozen=True)
class Limit:
    """One bound of a column's numbers: an operator of Pydantic's (`ge`, `gt`, `le`, `lt`), and the number."""

    operator: str
    number: Decimal


def limit_of(rule: RowRule, column: Column) -> Limit | None:
    """Gives a row rule as a bound of a column, where it says no more than that: `"units" > 0`."""
    found = SIMPLE_RULE.fullmatch(rule.expression.strip())
    if found is None or found[1].lower() != column.name or NUMBER_TEXT.fullmatch(found[3]) is None:
        return None
    whole_only = column.sql_type in BITS
    small = column.sql_type == "double" or (column.sql_type.startswith("decimal") and _sizes(column)[0] <= SURE_DIGITS)
    if not (small or (whole_only and "." not in found[3])):
        return None
    return Limit(OPERATORS[found[2]], Decimal(found[3]))


def certain_schema(column: Column, limits: tuple[Limit, ...] = ()) -> CoreSchema:
    """Gives the schema of the values of a column that are certainly as promised."""
    return _any_of([*_certain_values(column, limits), *([NULL] if may_be_absent(column, limits) else [])])


def _any_of(choices: list[CoreSchema]) -> CoreSchema:
    if not choices:
        return NOTHING
    return choices[0] if len(choices) == 1 else core_schema.union_schema(list(choices), mode="left_to_right")


def may_be_absent(column: Column, limits: tuple[Limit, ...] = ()) -> bool:
    """Says whether a missing value is certainly as promised; a default is judged like a value."""
    if column.default is None:
        return not column.required
    return not (_is_restricted(column) or limits) or _is_certain(column.default, column, limits)


def _is_certain(default: str, column: Column, limits: tuple[Limit, ...]) -> bool:
    """Says whether a default, in SQL, is as promised when it is judged like a value."""
    found = PLAIN_DEFAULT.fullmatch(default)
    if found is None:
        return False
    try:
        SchemaValidator(_any_of(_certain_values(column, limits))).validate_json(
            f'"{found[1]}"' if found[1] else default
        )
    except ValidationError:
        return False
    return True


def _is_restricted(column: Column) -> bool:
    bounds = (column.minimum, column.maximum, column.pattern, column.min_length, column.max_length)
    return bool(column.enum) or any(bound is not None for bound in bounds)


def _certain_values(column: Column, limits: tuple[Limit, ...]) -> list[CoreSchema]:
    kind = column.sql_type.lower()
    has_lengths = column.pattern is not None or column.min_length is not None or column.max_length is not None
    if kind == "varchar":
        return [] if column.minimum is not None or column.maximum is not None else _texts(column)
    if has_lengths or column.formats:
        return []
    if kind in BITS:
        return _integers(column, limits)
    if column.enum:
        return []
    if kind in ("date", "timestamp", "timestamptz"):
        return _moments(column, kind)
    if kind == "boolean":
        flag = core_schema.bool_schema(strict=True)
        return [] if column.minimum or column.maximum else [flag, core_schema.literal_schema(["true", "false"])]
    bounds = _bounds(column, limits)
    if bounds is None or not (kind == "double" or kind.startswith("decimal")):
        return []
    return _doubles(bounds) if kind == "double" else _decimals(column, bounds)


def _texts(column: Column) -> list[CoreSchema]:
    lengths = {"min_length": column.min_length, "max_length": column.max_length}
    if column.enum:
        chosen = core_schema.literal_schema(list(column.enum))
        return [chosen] if column.pattern is None and not any(lengths.values()) else []
    if column.pattern is None:
        return [core_schema.str_schema(strict=True, **lengths)]  # type: ignore[arg-type]
    if ALIKE.fullmatch(column.pattern) is None or UNLIKE.search(column.pattern):
        return []
    plain = core_schema.str_schema(strict=True, pattern=PRINTABLE, **lengths)  # type: ignore[arg-type]
    matching = core_schema.str_schema(pattern=f"^(?:{column.pattern})$")
    try:
        SchemaValidator(matching)
    except SchemaError:
        return []  # the engine knows it, Pydantic does not
    return [core_schema.chain_schema([plain, matching])]


def _integers(column: Column, limits: tuple[Limit, ...]) -> list[CoreSchema]:
    bounds = _bounds(column, limits)
    if bounds is None or not all(re.fullmatch(r"-?\d+", value) for value in column.enum):
        return []
    most = 2 ** (BITS[column.sql_type] - 1)
    lowest = max([-most, *_whole(bounds, "ge", 0), *_whole(bounds, "gt", 1)])
    highest = min([most - 1, *_whole(bounds, "le", 0), *_whole(bounds, "lt", -1)])
    number: CoreSchema = core_schema.int_schema(ge=lowest, le=highest)
    if column.enum:
        number = core_schema.chain_schema([number, core_schema.literal_schema([int(value) for value in column.enum])])
    strict = core_schema.int_schema(strict=True)
    text = core_schema.str_schema(strict=True, pattern=INTEGER_TEXT)
    return [core_schema.chain_schema([strict, number]), core_schema.chain_schema([text, number])]


def _whole(bounds: dict[str, Decimal], operator: str, step: int) -> list[int]:
    return [int(bounds[operator]) + step] if operator in bounds else []


def _doubles(bounds: dict[str, Decimal]) -> list[CoreSchema]:
    edges = {operator: float(number) for operator, number in bounds.items()}
    return [core_schema.float_schema(strict=True, allow_inf_nan=False, **edges)]  # type: ignore[arg-type]


def _decimals(column: Column, bounds: dict[str, Decimal]) -> list[CoreSchema]:
    digits, scale = _sizes(column)
    whole = digits - scale
    exact = core_schema.decimal_schema(max_digits=digits, decimal_places=scale, **bounds)  # type: ignore[arg-type]
    fraction = rf"(\.\d{{1,{scale}}})?" if scale else ""
    text = core_schema.str_schema(strict=True, pattern=rf"^-?\d{{1,{whole}}}{fraction}$" if whole else r"^-?0\.0$")
    number = core_schema.int_schema(strict=True, gt=-(10**whole), lt=10**whole)
    found: list[CoreSchema] = [text, number]
    if bounds:
        found = [core_schema.chain_schema([each, exact]) for each in (text, number)]
    if digits <= SURE_DIGITS:
        real = core_schema.float_schema(strict=True, allow_inf_nan=False)
        found.append(core_schema.chain_schema([real, exact]))
    return found


def _moments(column: Column, kind: str) -> list[CoreSchema]:
    try:
        edges = {
            operator: date.fromisoformat(text) if kind == "date" else _edge(text, kind)
            for operator, text in (("ge", column.minimum), ("le", column.maximum))
            if text is not None
        }
    except ValueError:
        return []
    if kind == "date":
        text = core_schema.str_schema(strict=True, pattern=f"^{DATE}$")
        return [core_schema.chain_schema([text, core_schema.date_schema(**edges)])]  # type: ignore[arg-type]
    offset = "" if kind == "timestamp" else OFFSET if edges else f"{OFFSET}?"
    text = core_schema.str_schema(strict=True, pattern=f"^{DATE}[T ]{CLOCK}{offset}$")
    return [core_schema.chain_schema([text, core_schema.datetime_schema(**edges)])]  # type: ignore[arg-type]


def _edge(text: str, kind: str) -> datetime:
    found = datetime.fromisoformat(text)
    if kind == "timestamp":
        return found.replace(tzinfo=None)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _bounds(column: Column, limits: tuple[Limit, ...]) -> dict[str, Decimal] | None:
    """Gives the tightest bound for each operator, None where one is no plain number."""
    own = [("ge", column.minimum), ("le", column.maximum)]
    given = [(operator, text) for operator, text in own if text is not None]
    if not all(NUMBER_TEXT.fullmatch(text) for _, text in given):
        return None
    if column.sql_type in BITS and any("." in text for _, text in given):
        return None
    every = [
        *((operator, Decimal(text)) for operator, text in given),
        *((each.operator, each.number) for each in limits),
    ]
    found: dict[str, Decimal] = {}
    for operator, number in every:
        pick = max if operator in ("ge", "gt") else min
        found[operator] = pick(found.get(operator, number), number)
    return found


def _sizes(column: Column) -> tuple[int, int]:
    inside = column.sql_type[len("decimal(") : -1].split(",")
    return int(inside[0]), int(inside[1]) if len(inside) > 1 else 0
