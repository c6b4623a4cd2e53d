"""The JSON schema of a contract for editors: ODCS's own, with the custom properties that Sluice reads.

Nothing is written twice: the names and their values come from the tables that the readers themselves go by. Those of a
server's type are the constants of its file whose names end in `OPTIONS`, `PROPERTIES` or `KINDS`: names in a tuple, or
names to what says how to fill them (its `cure`). `CHOICES` there, or a constant of the property's name, such as
`INTAKES`, lists the values of those that have a few.
"""

import copy
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from lake.contract import Category, Privacy
from lake.odcs.columns import COLUMN_PROPERTIES
from lake.odcs.document import odcs_schema
from lake.odcs.properties import MEANINGS
from lake.odcs.reader import CHOICES, LATENESS, PROPERTIES
from lake.odcs.references import DriftKind
from lake.odcs.rules import RULE_PROPERTIES
from lake.odcs.servers.reading import READERS

TITLE = "A data contract as Sluice reads it: ODCS v3.1 and v3.2, one table, with custom properties of Sluice"
TABLE_SUFFIXES = ("OPTIONS", "PROPERTIES", "KINDS")
ELSEWHERE = ("NOT_OPTIONS",)  # keys of ODCS, which bear such a name for another reason

SERVERS = "lake.odcs.servers"

Schema = dict[str, Any]


def editor_schema() -> Schema:
    """Gives the JSON schema: it takes what the readers take, and knows the values of every custom property."""
    schema = copy.deepcopy(odcs_schema())
    schema["title"] = TITLE
    definitions = schema["$defs"]
    of_table = _known({name: _promise(name) for name in PROPERTIES})
    of_column = _known({name: _meaning(name) for name in COLUMN_PROPERTIES})
    of_rule = _known({name: {**_meaning(name), "enum": list(get_args(Category))} for name in RULE_PROPERTIES})
    schema["properties"]["customProperties"] = of_table
    schema["properties"]["schema"] |= {"minItems": 1, "maxItems": 1}
    definitions["SchemaObject"]["properties"]["customProperties"] = of_table
    column = definitions["SchemaBaseProperty"]["properties"]
    column["customProperties"] = of_column
    column["classification"] = {**column.get("classification", {}), "enum": list(get_args(Privacy))}
    definitions["DataQuality"]["properties"]["customProperties"] = of_rule
    definitions["Server"].setdefault("allOf", []).extend(_servers())
    return schema


def server_properties(kind: str) -> dict[str, Schema]:
    """Gives the custom properties of a server's type, each with what its value may be."""
    module = sys.modules[READERS[kind].__module__]
    choices: Mapping[str, tuple[str, ...]] = getattr(module, "CHOICES", {})
    listed = _listed_values()
    found: dict[str, Schema] = {}
    for constant, table in vars(module).items():
        if constant.endswith(TABLE_SUFFIXES) and constant not in ELSEWHERE and isinstance(table, tuple | Mapping):
            for name in table:
                told = table[name] if isinstance(table, Mapping) else None
                found[name] = {**_meaning(name, told), **_values(choices.get(name) or listed.get(name.lower()))}
    return found


def _listed_values() -> dict[str, tuple[str, ...]]:
    """Gives the values of properties whose file lists them in a constant of their own name: `INTAKES` of `intake`."""
    modules = [module for name, module in sys.modules.items() if name.startswith(f"{SERVERS}.")]
    return {
        name: values
        for module in modules
        for constant, values in vars(module).items()
        if constant.isupper() and isinstance(values, tuple) and all(isinstance(value, str) for value in values)
        for name in (constant.lower(), constant.lower().removesuffix("s"))
    }


def _servers() -> Iterator[Schema]:
    for kind in READERS:
        known = _known(server_properties(kind))
        yield {
            "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
            "then": {"properties": {"customProperties": known}},
        }


def _known(properties: Mapping[str, Schema]) -> Schema:
    """Gives the schema of a list of custom properties of which we know some; others are left alone."""
    named = [{"const": name, "description": told["description"]} for name, told in properties.items()]
    ours: Callable[[str], Schema] = lambda name: {  # noqa: E731  # the condition stands beside its consequence
        "properties": {"property": {"const": name}, "vendor": {"enum": ["", "sluice"]}},
        "required": ["property"],
    }
    return {
        "type": "array",
        "items": {
            "allOf": [
                {"$ref": "#/$defs/CustomProperty"},
                {"properties": {"property": {"anyOf": [*named, {"type": "string"}]}}},
                *({"if": ours(name), "then": {"properties": {"value": told}}} for name, told in properties.items()),
            ]
        },
    }


def _promise(name: str) -> Schema:
    found = {**_meaning(name), **_values(CHOICES.get(name))}
    if name == "lateness":
        found["pattern"] = f"^{LATENESS.pattern}$"
    if name == "acceptedDrift":
        kinds = "|".join(get_args(DriftKind))
        found |= {"type": "array", "items": {"type": "string", "pattern": f"^({kinds})( .+)?$"}}
    return found


def _meaning(name: str, told: object = None) -> Schema:
    words = MEANINGS.get(name) or (told if isinstance(told, str) else getattr(told, "cure", ""))
    return {"description": words or f"See '{name}' in docs/contracts.md and docs/sources.md."}


def _values(choices: tuple[str, ...] | None) -> Schema:
    if choices is None:
        return {}
    if set(choices) == {"true", "false"}:
        return {"enum": [True, False, *choices]}
    return {"enum": list(choices)}
