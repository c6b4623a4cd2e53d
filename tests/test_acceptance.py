"""The quick verdict on a contract's shape: it never accepts what jsonschema refuses."""

import copy
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft201909Validator

from lake.marked_yaml import read_yaml
from lake.odcs.acceptance import Acceptance
from lake.odcs.document import odcs_schema

DOCUMENT = """\
apiVersion: v3.1.0
kind: DataContract
id: sales
version: 1.2.0
status: active
team: {name: Retail data, members: [{username: asha, role: owner}]}
servers:
  - {server: drop, type: local, path: "*.csv", format: csv}
slaProperties: [{property: latency, value: 1, unit: d}]
schema:
  - name: sales
    properties:
      - name: amount
        logicalType: number
        primaryKey: true
        tags: [a, b]
        logicalTypeOptions: {minimum: 0.5}
        customProperties: [{property: formats, value: ["%Y"]}]
        quality: [{metric: nullValues, mustBe: 0}]
"""
VALUES = (None, True, Decimal("1.5"), "x", {}, [{}])


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Gives the place of every value within another."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield (*at, key)
        yield from places(entry, (*at, key))


def damaged(document: Any) -> Iterator[Any]:
    """Gives a document with each value replaced, removed, repeated, and beside one that is not known."""
    for at in places(document):
        for number in range(len(VALUES) + 3):
            found = copy.deepcopy(document)
            holder = found
            for step in at[:-1]:
                holder = holder[step]
            if number < len(VALUES):
                holder[at[-1]] = VALUES[number]
            elif number == len(VALUES):
                del holder[at[-1]]
            elif isinstance(holder, list):
                holder.append(holder[0])
            else:
                holder["unknown" if number > len(VALUES) + 1 else "logicalType"] = "map"
            yield found


def test_acceptance_agrees_with_jsonschema() -> None:
    """Whatever is done to a contract, it is accepted if and only if jsonschema finds nothing."""
    document, quick, slow = read_yaml(DOCUMENT).value, Acceptance(odcs_schema()), Draft201909Validator(odcs_schema())
    assert quick.accepts(document)
    verdicts = [(quick.accepts(each), slow.is_valid(each)) for each in damaged(document)]
    assert {(True, True), (False, False)} == {*verdicts}


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {"contains": {"const": 1}}},
        {"properties": {"a": {"if": {"maxLength": 3}, "then": False}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"not": {"unevaluatedProperties": {"type": "string"}}}}},
    ],
)
def test_acceptance_of_an_unknown_keyword_is_uncertain(schema: dict[str, Any]) -> None:
    """With a keyword that is not known nothing is accepted, wherever it stands."""
    assert not Acceptance(schema).accepts({"a": "long enough"})
    assert not Acceptance(schema).accepts({"a": "long enough"})
