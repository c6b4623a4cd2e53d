"""One property of an ODCS file as a column: its type, its formats and the values it may have."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import get_args
from zoneinfo import ZoneInfo

from lake.contract import Column, Privacy, RowRule
from lake.naming import ROW_NUMBER
from lake.odcs.document import Part, check_keys, did_you_mean, odcs_schema, value_text
from lake.odcs.properties import custom_properties
from lake.odcs.rules import enum_rule
from lake.odcs.types import logical_type, physical_name, sql_type, strptime_format, type_arguments

NAME = re.compile(r"[a-z][a-z0-9_]*")
NAME_CURE = "Use lower-case letters, digits and '_', beginning with a letter; keep theirs under 'physicalName'."
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "integer": (*BOUNDS, "format"),
    "number": (*BOUNDS, "format"),
    "date": (*BOUNDS, "format"),
    "timestamp": (*BOUNDS, "format", "timezone", "defaultTimezone"),
}
STRING_FORMATS: Mapping[str, str] = {
    "email": r"[^@\s]+@[^@\s]+\.[^@\s.]+",
    "uuid": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "uri": r"[A-Za-z][A-Za-z0-9+.-]*:\S+",
    "ipv4": r"((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)",
}
BEYOND_RE2 = re.compile(r"\(\?(=|!|<=|<!)|\\[1-9]")
COLUMN_PROPERTIES = ("defaultValue", "formats")
DEFAULT_ZONE = "Etc/UTC"  # ODCS's own


def read_column(part: Part, privacy: Privacy) -> Column:
    """Reads one property; `privacy` is that of a column that has no classification of its own.

    Raises ContractError for what cannot be read or would not be enforced.
    """
    name = part.text("name")
    check_keys(part, _known_keys(), f"column '{name}'")
    if not NAME.fullmatch(name) or name == ROW_NUMBER:
        raise part.fault("name-unfit", f"The column name '{name}' cannot be used.", NAME_CURE, "name")
    if not part.text("description"):
        cure = "Say in one sentence what it means and in which unit."
        raise part.fault("description-missing", f"Column '{name}' has no 'description'.", cure, "description")
    kind, options = sql_type(part), _options(part)
    properties = custom_properties(part, COLUMN_PROPERTIES)
    enum = _enum(part, kind)
    return Column(
        name=name,
        source_name=part.text("physicalName") or name,
        sql_type=kind,
        required=part.value.get("required") is True or part.value.get("primaryKey") is True,
        unique=part.value.get("unique") is True,
        default=_default(part, properties, kind, enum),
        formats=_formats(part, options, properties),
        time_zone=_time_zone(part, options, kind),
        enum=enum,
        minimum=_bound(options, "minimum", kind),
        maximum=_bound(options, "maximum", kind),
        pattern=_pattern(part, options),
        min_length=options.value.get("minLength"),
        max_length=_max_length(part, options),
        privacy=_privacy(part, privacy),
        description=part.text("description"),
        line=part.line,
        examples=tuple(value_text(each.value) for each in part.each("examples")),
    )


def _known_keys() -> frozenset[str]:
    definitions = odcs_schema()["$defs"]
    own, shared = definitions["SchemaBaseProperty"]["properties"], definitions["SchemaElement"]["properties"]
    return frozenset((*own, *shared, "properties", "items"))


def exclusive_rules(part: Part, column: Column) -> tuple[RowRule, ...]:
    """Gives the exclusive bounds of a property as row rules, such as `"units" > 0`."""
    options = _options(part)
    rules = []
    for key, operator, word, name in (
        ("exclusiveMinimum", ">", "above", f"{column.name}_exclusive_minimum"),
        ("exclusiveMaximum", "<", "below", f"{column.name}_exclusive_maximum"),
    ):
        bound = _bound(options, key, column.sql_type)
        if bound is not None:
            expression = f'"{column.name}" {operator} {sql_value(bound, column.sql_type)}'
            line = options.line_at((*options.at, key))
            rules.append(RowRule(name, expression, description=f"{column.name} must be {word} {bound}.", line=line))
    return tuple(rules)


def _options(part: Part) -> Part:
    found = part.get("logicalTypeOptions")
    if found is None:
        return Part({}, part.path, part.lines, part.at)
    known = OPTIONS.get(logical_type(part), ())
    for key in found.value:
        if key not in known:
            message = f"Option '{key}' of column '{part.text('name')}' is not one that is enforced."
            cure = did_you_mean(key, known, "Write it as a row rule under 'quality'.")
            raise found.fault("option-unknown", message, cure, key)
    return found


def sql_value(text: str, kind: str) -> str:
    """Gives a text as SQL literal of a type, e.g. `date '2026-01-31'`; numbers and booleans stand bare."""
    if _is_numeric(kind) or kind == "boolean":
        return text
    quoted = "'" + text.replace("'", "''") + "'"
    return f"{kind} {quoted}" if kind in ("date", "timestamp", "timestamptz", "json") else quoted


def _is_numeric(kind: str) -> bool:
    return kind.startswith("decimal") or kind in ("bigint", "integer", "smallint", "tinyint", "double", "float")


def _checked(part: Part, value: object, kind: str, key: str) -> str:
    """Gives a value of the contract as text; raises ContractError when it is none of the column's type."""
    text = value_text(value)
    try:
        if _is_numeric(kind):
            Decimal(text)
        elif kind == "date":
            date.fromisoformat(text)
        elif kind.startswith("timestamp"):
            datetime.fromisoformat(text)
        elif kind == "boolean" and text not in ("true", "false"):
            raise ValueError(text)
    except (ValueError, InvalidOperation) as error:
        cure = "Write dates and times as ISO 8601, numbers with a point and no separators."
        raise part.fault("value-unfit", f"Key '{key}' holds '{text}', which is no {kind}.", cure) from error
    return text


def _bound(options: Part, key: str, kind: str) -> str | None:
    found = options.get(key)
    if found is None:
        return None
    text = _checked(found, found.value, kind, key)
    other = options.get({"maximum": "minimum", "exclusiveMaximum": "exclusiveMinimum"}.get(key, ""))
    if other is not None and _is_below(text, value_text(other.value), kind):
        message = f"Key '{key}' is '{text}', below '{value_text(other.value)}': no value can meet both."
        raise found.fault("value-unfit", message, "Swap or mend the two.")
    return text


def _is_below(one: str, other: str, kind: str) -> bool:
    return Decimal(one) < Decimal(other) if _is_numeric(kind) else one < other


def _enum(part: Part, kind: str) -> tuple[str, ...]:
    listed = tuple(value for entry in part.each("enum") if (value := entry.get("value")) is not None)
    rule = enum_rule(part)
    arguments = None if rule is None else rule.get("arguments")
    listed = tuple(arguments.each("validValues")) if arguments is not None else listed
    if listed and (
        kind in ("boolean", "json", "double", "float", "timestamp", "timestamptz")
        or kind.endswith((")[]", "[]"))
        or kind.startswith("struct")
    ):
        cure = "Write the condition as a row rule under 'quality'."
        raise listed[0].fault("value-unfit", f"Key 'enum' cannot be used on a {kind}.", cure)
    values = tuple(_as_printed(_checked(value, value.value, kind, "enum"), kind) for value in listed)
    for index, value in enumerate(listed):
        if value.value is None:
            cure = "Leave it out: a column may be missing unless it is 'required: true'."
            raise value.fault("value-unfit", "Key 'enum' holds an empty value.", cure)
        if values[index] in values[:index]:
            raise value.fault("value-unfit", f"Key 'enum' holds '{values[index]}' twice.", "Remove one of them.")
    return values


def _as_printed(text: str, kind: str) -> str:
    """Gives a value as DuckDB prints it in its type, so that the texts of two equal values are equal: 1 → 1.00."""
    if kind.startswith("decimal"):
        return format(Decimal(text).quantize(Decimal(1).scaleb(-int(kind.rstrip(")").split(",")[1]))), "f")
    return format(Decimal(text), "f") if _is_numeric(kind) else text


def _default(part: Part, properties: Mapping[str, Part], kind: str, enum: tuple[str, ...]) -> str | None:
    found = properties.get("defaultValue")
    if found is None:
        return None
    text = _checked(found, found.value, kind, "defaultValue")
    if enum and _as_printed(text, kind) not in enum:
        message = f"Custom property 'defaultValue' of column '{part.text('name')}' is '{text}', which its enum lacks."
        raise found.fault("value-unfit", message, did_you_mean(text, enum))
    return sql_value(text, kind)


def _formats(part: Part, options: Part, properties: Mapping[str, Part]) -> tuple[str, ...]:
    temporal = logical_type(part) in ("date", "timestamp")
    several = properties.get("formats")
    if several is not None and (not temporal or not isinstance(several.value, list)):
        message = f"Custom property 'formats' of column '{part.text('name')}' is not a list of date formats."
        raise several.fault(
            "date-format-unknown", message, "Write e.g. ['%d/%m/%Y', '%Y-%m-%d'], on a date or timestamp."
        )
    if not temporal:
        return ()
    first = (options.text("format"),) if options.text("format") else ()
    found = [strptime_format(text, options, "format") for text in first]
    if several is not None:
        found += [strptime_format(str(text), several, "formats") for text in several.value]
    return tuple(dict.fromkeys(found))


def _time_zone(part: Part, options: Part, kind: str) -> str | None:
    zone = options.text("defaultTimezone")
    if kind != "timestamptz":
        if zone or options.value.get("timezone") is True:
            key = "defaultTimezone" if zone else "timezone"
            message = f"Column '{part.text('name')}' is a timestamp without zone and has '{key}'."
            raise options.fault("zone-unfit", message, "Write 'physicalType: timestamptz', or remove it.", key)
        return None
    try:
        ZoneInfo(zone or DEFAULT_ZONE)
    except (KeyError, ValueError, OSError) as error:
        message = f"Key 'defaultTimezone' holds '{zone}', which is no time zone."
        raise options.fault("zone-unfit", message, _nearest_zone(zone), "defaultTimezone") from error
    return zone or DEFAULT_ZONE


def _nearest_zone(zone: str) -> str:
    from zoneinfo import available_timezones

    return did_you_mean(zone, sorted(available_timezones()), "Write an IANA name such as 'Asia/Kolkata'.")


def _pattern(part: Part, options: Part) -> str | None:
    if logical_type(part) != "string":
        return None
    pattern, named = options.text("pattern"), options.text("format")
    if named and (pattern or named not in STRING_FORMATS):
        message = f"Key 'format' of column '{part.text('name')}' is '{named}'."
        cure = "Write either 'format' or 'pattern'." if pattern else did_you_mean(named, tuple(STRING_FORMATS))
        raise options.fault("pattern-unfit", message, cure, "format")
    if not pattern:
        return STRING_FORMATS[named] if named else None
    try:
        re.compile(pattern)
    except re.error as error:
        message = f"Key 'pattern' holds '{pattern}', no regular expression: {error}."
        raise options.fault("pattern-unfit", message, "Mend it; it must match the whole value.", "pattern") from error
    if BEYOND_RE2.search(pattern):
        message = f"Key 'pattern' holds '{pattern}', which looks around or back."
        raise options.fault("pattern-unfit", message, "Write it without: DuckDB's RE2 has neither.", "pattern")
    return pattern


def _max_length(part: Part, options: Part) -> int | None:
    written: int | None = options.value.get("maxLength")
    if written is None and physical_name(part) == "varchar":
        return next(iter(type_arguments(part)), None)
    return written


def _privacy(part: Part, otherwise: Privacy) -> Privacy:
    found = part.text("classification")
    if not found:
        return otherwise
    if found not in get_args(Privacy):
        message = f"Column '{part.text('name')}' has the unknown classification '{found}'."
        raise part.fault("privacy-unknown", message, did_you_mean(found, get_args(Privacy)), "classification")
    privacy: Privacy = found  # type: ignore[assignment]  # checked against the literal above
    return privacy
