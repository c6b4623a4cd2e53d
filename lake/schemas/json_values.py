"""One value of JSON Schema as ODCS keys: its type, its bounds, its list of values."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from lake.odcs.columns import BEYOND_RE2, STRING_FORMATS
from lake.odcs.document import Part, value_text
from lake.schemas.table import OperationalRule, decimal, instant, integer, json_value, number, string, with_option

Keys = dict[str, object]

BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
TEMPORAL: Mapping[str, Keys] = {"date": {"logicalType": "date"}, "date-time": instant()}
UNCHECKED_STRING = ("contentEncoding", "contentMediaType")
UNCHECKED_ARRAY = ("minItems", "maxItems", "uniqueItems", "contains")
LEAST, MOST = -(2**63), 2**63 - 1  # of a bigint
USUAL_DIGITS, MOST_DIGITS = 18, 38

Found = tuple[Keys, tuple[OperationalRule, ...], tuple[str, ...], bool]  # keys, rules, notes, whether null may stand


def value_keys(part: Part, name: str) -> Found:
    """Gives the keys of a value that is no object of fields, its rules and notes, and whether it may be null."""
    types, nullable = _types(part)
    values = _listed(part)
    nullable = nullable or (values is not None and None in values)
    listed = None if values is None else [value for value in values if value is not None]
    if types == ["string"]:
        keys, notes = _string(part)
        return _with_values(keys, listed), (), notes, nullable
    if types == ["integer"]:
        return *_integer(part, name, listed), nullable
    if types in (["number"], ["integer", "number"], ["number", "integer"]):
        return *_number(part, name, listed), nullable
    if types == ["boolean"]:
        rules = () if listed is None or len(set(map(str, listed))) != 1 else (_only(part, name, listed[0]),)
        return {"logicalType": "boolean"}, rules, (), nullable
    if types == ["array"]:
        notes = tuple(f"'{key}' is not checked" for key in UNCHECKED_ARRAY if key in part.value)
        return json_value("array"), (), notes, nullable
    if types == ["object"]:
        return json_value(), (), (), nullable
    told = " or ".join(types) or "any type"
    return string(), (), (f"{told}: kept as the text it is delivered as",), nullable or not types


def _types(part: Part) -> tuple[list[str], bool]:
    """Gives the types a value may have besides null; told by its values where it names none."""
    written = part.value.get("type")
    types = [str(entry) for entry in written] if isinstance(written, list) else [written] if written else []
    if not types and (values := _listed(part)) is not None:
        kinds = {bool: "boolean", int: "integer", Decimal: "number", str: "string"}
        types = list(dict.fromkeys(kinds.get(type(value), "null") for value in values))
    return [kind for kind in types if kind != "null"], "null" in types


def _listed(part: Part) -> list[Any] | None:
    if "const" in part.value:
        return [part.value["const"]]
    values = part.value.get("enum")
    return values if isinstance(values, list) and values else None


def _with_values(keys: Keys, values: list[Any] | None) -> Keys:
    if values is None or keys["logicalType"] in ("timestamp", "boolean"):
        return keys
    texts = tuple(dict.fromkeys(value_text(value) for value in values))
    return {**keys, "enum": texts} if texts else keys


def _string(part: Part) -> tuple[Keys, tuple[str, ...]]:
    named, pattern = part.text("format"), part.value.get("pattern")
    notes = [f"'{key}' is not checked" for key in UNCHECKED_STRING if key in part.value]
    if named in TEMPORAL:
        return dict(TEMPORAL[named]), tuple(notes)
    keys = string()
    for key in ("minLength", "maxLength"):
        if key in part.value:
            keys = with_option(keys, key, int(part.value[key]))
    usable = _pattern(pattern) if isinstance(pattern, str) else None
    if usable is not None:
        keys = with_option(keys, "pattern", usable)
    elif isinstance(pattern, str):
        notes.append(f"the pattern '{pattern}' is not checked, for the lake cannot match it")
    elif named in STRING_FORMATS:
        keys = with_option(keys, "format", named)
    elif named:
        notes.append(f"the format '{named}' is not checked")
    return keys, tuple(notes)


def _pattern(pattern: str) -> str | None:
    """Gives a pattern that must match the whole value, as ours do; JSON Schema's may match anywhere in it."""
    try:
        re.compile(pattern)
    except re.error:
        return None
    if BEYOND_RE2.search(pattern):
        return None
    plain = pattern.startswith("^") and pattern.endswith("$") and not pattern.endswith("\\$") and "|" not in pattern
    return pattern[1:-1] if plain else f"(?s:.*)(?:{pattern})(?s:.*)"


def _integer(
    part: Part, name: str, values: list[Any] | None
) -> tuple[Keys, tuple[OperationalRule, ...], tuple[str, ...]]:
    named = part.text("format")
    keys = integer("integer" if named == "int32" else "bigint")
    found = [Decimal(str(part.value[key])) for key in BOUNDS if _is_number(part.value.get(key))]
    if any(not LEAST <= bound <= MOST for bound in found):
        keys = integer("decimal(38,0)")
    keys, notes = _bounded(part, keys)
    step = part.value.get("multipleOf")
    rules = (_step(part, name, step),) if _is_number(step) and Decimal(str(step)) != 1 and step == int(step) else ()
    return _with_values(keys, values), rules, notes


def _number(
    part: Part, name: str, values: list[Any] | None
) -> tuple[Keys, tuple[OperationalRule, ...], tuple[str, ...]]:
    step = part.value.get("multipleOf")
    if not _is_number(step):
        note = ("number without multipleOf: write decimal(18,2) if it is money",)
        keys, notes = _bounded(part, number("double"))
        return keys, (), (*note, *notes, *(("its list of values is not checked",) if values else ()))
    places = max(-int(Decimal(str(step)).normalize().as_tuple().exponent), 0)
    digits = USUAL_DIGITS if _digits(part, places) <= USUAL_DIGITS else MOST_DIGITS
    keys, notes = _bounded(part, decimal(digits, min(places, digits)))
    is_power = Decimal(str(step)) == Decimal(1).scaleb(-places)
    return _with_values(keys, values), () if is_power else (_step(part, name, step),), notes


def _digits(part: Part, places: int) -> int:
    """Gives how many digits the greatest number may have; as many as there can be where nothing bounds it."""
    bounds = {key: abs(Decimal(str(part.value[key]))) for key in BOUNDS if _is_number(part.value.get(key))}
    low = any(key.endswith("inimum") for key in bounds)
    high = any(key.endswith("aximum") for key in bounds)
    return len(str(int(max(bounds.values())))) + places if low and high else MOST_DIGITS


def _bounded(part: Part, keys: Keys) -> tuple[Keys, tuple[str, ...]]:
    for key in BOUNDS:
        if _is_number(part.value.get(key)):
            keys = with_option(keys, key, Decimal(str(part.value[key])))
    older = tuple(f"'{key}: true' of draft-04 is not checked" for key in BOUNDS[2:] if part.value.get(key) is True)
    return keys, older


def _is_number(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _step(part: Part, name: str, step: Any) -> OperationalRule:
    line = part.line_at((*part.at, "multipleOf"))
    return OperationalRule(f"{name} multiple of {value_text(step)}", f'"{name}" % {value_text(step)} = 0', line)


def _only(part: Part, name: str, value: object) -> OperationalRule:
    return OperationalRule(f"{name} is {value_text(value)}", f'"{name}" = {value_text(value)}', part.line)
