"""Whether a document keeps to a JSON schema: a certain yes, or none.

jsonschema takes some 15 ms for a contract, most of it for the sake of what it could say of a wrong one, and a run reads
every contract. Here the schema becomes functions once, which say yes or nothing; who hears nothing asks jsonschema,
whose verdict and words count. The keywords are those that ODCS uses; with any other nothing is certain.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import combinations
from typing import Any

Seen = frozenset[str]  # the keys of a mapping that the schema has a word on
Judge = Callable[[Any], Seen | None]  # None: refused
Test = Callable[[Any], bool]
Schema = Mapping[str, Any]

NONE: Seen = frozenset()
TYPES: Mapping[str, Test] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | Decimal) and not isinstance(value, bool),
}
WORDS = {"$schema", "$defs", "title", "description", "examples", "default", "deprecated", "format", "then", "else"}


class Acceptance:
    """A JSON schema (draft 2019-09) as functions."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._named: dict[str, Judge] = {}
        self._is_known = True  # so far: definitions are read when they are first asked
        self._judge = self._compiled(schema)

    def accepts(self, document: Any) -> bool:
        """Says whether a document certainly keeps to the schema."""
        return self._judge(document) is not None and self._is_known

    def _compiled(self, schema: Schema | bool) -> Judge:
        if isinstance(schema, bool):
            return _always if schema else _never
        parts = [
            self._keyword(name, argument, schema)
            for name, argument in schema.items()
            if name not in WORDS and name != "unevaluatedProperties"
        ]
        is_open = schema.get("unevaluatedProperties", True)
        self._is_known &= isinstance(is_open, bool)
        return partial(_judge_all, parts, is_open)

    def _keyword(self, name: str, argument: Any, schema: Schema) -> Judge:
        """Gives the function of one keyword; one that is not known is written down as such."""
        match name:
            case "$ref":
                return partial(self._ask_named, argument)
            case "properties":
                return partial(_judge_properties, self._each(argument))
            case "additionalProperties":
                return partial(_judge_others, frozenset(schema.get("properties", ())), self._compiled(argument))
            case "items" if isinstance(argument, dict):
                return partial(_judge_items, self._compiled(argument))
            case "allOf":
                return partial(_judge_all, [self._compiled(each) for each in argument], True)
            case "anyOf" | "oneOf":
                return partial(_judge_some, [self._compiled(each) for each in argument], name == "oneOf")
            case "not":
                return partial(_judge_not, self._compiled(argument))
            case "if":
                ways = (self._compiled(schema.get(way, True)) for way in ("then", "else"))
                return partial(_judge_if, self._compiled(argument), *ways)
            case _ if name in TESTS:
                kind, test = TESTS[name]
                return partial(_judge_alone, kind, test(argument))
            case _:
                self._is_known = False
                return _never

    def _each(self, properties: Mapping[str, Any]) -> dict[str, Judge]:
        return {key: self._compiled(each) for key, each in properties.items()}

    def _ask_named(self, reference: str, value: Any) -> Seen | None:
        """Asks a definition, which may name itself and so is made when it is first asked."""
        if reference not in self._named:
            place: Any = self._schema
            for step in reference.removeprefix("#/").split("/"):
                place = place[step]
            self._named[reference] = self._compiled(place)
        return self._named[reference](value)


def _is_same(value: Any, other: Any) -> bool:
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _is_one_of(kinds: str | Sequence[str]) -> Test:
    tests = [TYPES[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return lambda value: any(test(value) for test in tests)


def _are_unique(values: Sequence[Any]) -> bool:
    return not any(_is_same(a, b) for a, b in combinations(values, 2))


# What looks at a value alone: the type it speaks of (None: any), and the test that an argument makes.
TESTS: Mapping[str, tuple[str | None, Callable[[Any], Test]]] = {
    "type": (None, _is_one_of),
    "const": (None, lambda wanted: lambda value: _is_same(value, wanted)),
    "enum": (None, lambda wanted: lambda value: any(_is_same(value, each) for each in wanted)),
    "required": ("object", lambda wanted: lambda value: all(key in value for key in wanted)),
    "pattern": ("string", lambda wanted: lambda value: re.search(wanted, value) is not None),
    "minItems": ("array", lambda least: lambda value: len(value) >= least),
    "maxItems": ("array", lambda most: lambda value: len(value) <= most),
    "uniqueItems": ("array", lambda is_asked: lambda value: not is_asked or _are_unique(value)),
    "minimum": ("number", lambda least: lambda value: value >= least),
    "exclusiveMinimum": ("number", lambda least: lambda value: value > least),
}


def _judge_alone(kind: str | None, test: Test, value: Any) -> Seen | None:
    return NONE if (kind is not None and not TYPES[kind](value)) or test(value) else None


def _always(_: Any) -> Seen | None:
    return NONE


def _never(_: Any) -> Seen | None:
    return None


def _judge_all(parts: Collection[Judge], is_open: bool, value: Any) -> Seen | None:
    """Asks all; unless it is open, every key of a mapping must have been seen by one of them."""
    seen = NONE
    for part in parts:
        found = part(value)
        if found is None:
            return None
        seen |= found
    return None if not is_open and isinstance(value, dict) and not seen.issuperset(value) else seen


def _judge_some(parts: Collection[Judge], is_one: bool, value: Any) -> Seen | None:
    found = [seen for part in parts if (seen := part(value)) is not None]
    if not found or (is_one and len(found) > 1):
        return None
    return NONE.union(*found)


def _judge_not(part: Judge, value: Any) -> Seen | None:
    return NONE if part(value) is None else None


def _judge_if(condition: Judge, then: Judge, otherwise: Judge, value: Any) -> Seen | None:
    seen = condition(value)
    found = otherwise(value) if seen is None else then(value)
    return None if found is None else found | (seen or NONE)


def _judge_properties(properties: Mapping[str, Judge], value: Any) -> Seen | None:
    if not isinstance(value, dict):
        return NONE
    seen = value.keys() & properties.keys()
    return None if any(properties[key](value[key]) is None for key in seen) else frozenset(seen)


def _judge_others(known: Seen, part: Judge, value: Any) -> Seen | None:
    if not isinstance(value, dict):
        return NONE
    others = value.keys() - known
    return None if any(part(value[key]) is None for key in others) else frozenset(others)


def _judge_items(part: Judge, value: Any) -> Seen | None:
    is_fit = not isinstance(value, list) or all(part(each) is not None for each in value)
    return NONE if is_fit else None
