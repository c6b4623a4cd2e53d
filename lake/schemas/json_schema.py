"""Reads JSON Schema (draft-07 to 2020-12): an object as a table, its properties as columns."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lake.odcs.document import Part, did_you_mean, read_document, value_text
from lake.schemas.json_values import value_keys
from lake.schemas.table import OperationalColumn, OperationalRule, OperationalTable, json_value, malformed

DEFINITIONS = ("$defs", "definitions")
YAML_ENDINGS = (".yaml", ".yml")
NOT_CARRIED = (
    "patternProperties",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "not",
    "minProperties",
    "maxProperties",
)


@dataclass(frozen=True)
class _Place:
    """Where the walk stands: the whole document, the columns to keep whole, and the definitions it is inside of."""

    document: Part
    whole: frozenset[str]
    around: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    columns: tuple[OperationalColumn, ...]
    rules: tuple[OperationalRule, ...]
    notes: tuple[str, ...]


def read_json_schema(
    path: Path, text: str, name: str = "", whole: Collection[str] = ()
) -> tuple[OperationalTable, ...]:
    """Gives the table that a schema describes: its own object, or the definition of that name.

    `whole` names the objects that are kept as one column; the fields of the others are columns of their own, such as
    `customer.email`. Raises ContractError naming the line that cannot be read.
    """
    document = _document(path, text)
    place = _Place(document, frozenset(whole), ("#",))
    wanted = _wanted(document, name)
    part, place = _resolved(wanted, place)
    if not _is_object(part):
        cure = f"Name one of its objects: {', '.join(_objects(document)) or 'there is none'}."
        raise malformed(path, part.line, "The schema describes no object with properties.", cure)
    found = _walk(part, place, "", required=True)
    title = name or wanted.text("title") or path.name.split(".", 1)[0]
    return (
        OperationalTable(
            name=title,
            path=path,
            line=part.line,
            columns=found.columns,
            aliases=(path.name.split(".", 1)[0], *((name,) if name else ())),
            description=wanted.text("description") or part.text("description"),
            rules=found.rules,
            notes=found.notes,
        ),
    )


def is_json_schema(value: object) -> bool:
    """Says whether a JSON document describes others, rather than being a record."""
    if not isinstance(value, dict):
        return False
    declared = "json-schema.org" in str(value.get("$schema", ""))
    return declared or (isinstance(value.get("properties"), dict) and value.get("type") == "object")


def _document(path: Path, text: str) -> Part:
    if path.suffix.lower() not in YAML_ENDINGS:
        try:
            json.loads(text)
        except ValueError as error:
            line = getattr(error, "lineno", None)
            message = f"This is no JSON: {getattr(error, 'msg', error)}."
            raise malformed(path, line, message, "Mend the quotes, commas or brackets there.") from error
    return read_document(path, text.replace("\t", " "))


def _wanted(document: Part, name: str) -> Part:
    if not name or name in (document.text("title"), document.path.name.split(".", 1)[0]):
        return document
    for key in DEFINITIONS:
        found = document.get(key)
        part = None if found is None else found.get(name)
        if part is not None:
            return part
    cure = did_you_mean(name, _objects(document), "It has no definitions.")
    raise malformed(document.path, 1, f"The schema defines no '{name}'.", cure)


def _objects(document: Part) -> list[str]:
    return [str(name) for key in DEFINITIONS for name in (document.value.get(key) or {})]


def _resolved(part: Part, place: _Place) -> tuple[Part, _Place]:
    """Follows `$ref` within the document; raises ContractError for one that leads nowhere."""
    while isinstance(part.value, dict) and isinstance(part.value.get("$ref"), str):
        reference = part.text("$ref")
        if not reference.startswith("#") or reference in place.around:
            return Part({}, part.path, part.lines, part.at), place  # elsewhere, or inside itself
        place = replace(place, around=(*place.around, reference))
        found: Part | None = place.document
        for step in reference.lstrip("#").strip("/").split("/") if reference.strip("#/") else ():
            found = None if found is None else found.get(step.replace("~1", "/").replace("~0", "~"))
        if found is None:
            cure = f"Mend it; the schema defines: {', '.join(_objects(place.document)) or 'nothing'}."
            raise part.fault("schema-malformed", f"'$ref' leads to '{reference}', which is not there.", cure, "$ref")
        part = found
    return part, place


def _is_object(part: Part) -> bool:
    return isinstance(part.value, dict) and (isinstance(part.value.get("properties"), dict) or "allOf" in part.value)


def _walk(part: Part, place: _Place, prefix: str, *, required: bool) -> _Found:
    """Gives the columns of an object's properties; `required` says whether the object itself is always there."""
    columns: list[OperationalColumn] = []
    rules: list[OperationalRule] = []
    notes = [
        f"line {part.line_at((*part.at, key))}: '{key}' is not checked" for key in NOT_CARRIED if key in part.value
    ]
    for piece, around in _pieces(part, place):
        needed = {str(name) for piece_of, _ in _pieces(part, place) for name in piece_of.value.get("required") or ()}
        properties = piece.get("properties")
        for name in () if properties is None else properties.value:
            schema = properties.get(name) if properties is not None else None
            if schema is not None:
                found = _property(schema, around, prefix, str(name), required=required and name in needed)
                columns += found.columns
                rules += found.rules
                notes += found.notes
    return _Found(tuple({column.name: column for column in columns}.values()), tuple(rules), tuple(notes))


def _pieces(part: Part, place: _Place) -> Iterator[tuple[Part, _Place]]:
    """Gives an object and those that its `allOf` adds to it."""
    yield part, place
    for entry in part.each("allOf"):
        yield from _pieces(*_resolved(entry, place))


def _property(schema: Part, place: _Place, prefix: str, name: str, *, required: bool) -> _Found:
    path = f"{prefix}{name}"
    target, inner = _resolved(schema, place)
    if not isinstance(target.value, dict):  # true and false are schemas, too
        target = Part({}, target.path, target.lines, target.at)
    target, inner, nullable = _without_null(target, inner)
    words = schema.text("description") if isinstance(schema.value, dict) else ""
    words = words or target.text("description") or target.text("title")
    if _is_object(target) and path not in place.whole and not _has_dots(target) and "." not in name:
        return _walk(target, inner, f"{path}.", required=required and not nullable)
    keys, rules, notes, is_nullable = value_keys(target, path)
    if _is_object(target):
        keys = json_value()
    column = OperationalColumn(
        name=path,
        line=schema.line,
        keys=keys,
        required=required and not nullable and not is_nullable,
        default=None if nullable or is_nullable else _default(schema, target),
        description=words,
        notes=notes,
    )
    return _Found((column,), rules, ())


def _has_dots(part: Part) -> bool:
    return any("." in str(name) for name in part.value.get("properties") or {})


def _without_null(part: Part, place: _Place) -> tuple[Part, _Place, bool]:
    """Gives what stands beside `null` in an `anyOf` or `oneOf` of two, and whether null does."""
    for key in ("anyOf", "oneOf"):
        entries = list(part.each(key))
        others = [entry for entry in entries if not _is_null(entry)]
        if len(others) == 1:
            found, inner = _resolved(others[0], place)
            return found, inner, len(entries) > 1
    types = part.value.get("type")
    return part, place, isinstance(types, list) and "null" in types


def _is_null(part: Part) -> bool:
    return isinstance(part.value, dict) and part.value.get("type") == "null"


def _default(schema: Part, target: Part) -> str | None:
    found: Any = None
    for part in (target, schema):
        values: Mapping[str, Any] = part.value if isinstance(part.value, dict) else {}
        found = values.get("default", found)
    return None if found is None or isinstance(found, dict | list) else value_text(found)
