"""An ODCS file as plain values that know the line they stand on, checked against the standard's JSON schema."""

import difflib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema_rs import Draft201909Validator, ValidationError

from lake.errors import ContractError
from lake.marked_yaml import KeyTwice, Location, NotYaml, line_of, read_yaml

CLOSE_ENOUGH = 0.6  # difflib's own default: finds one wrong, missing or swapped letter even in short words
LEFT_TO_OUR_CHECKS = ("unevaluatedProperties", "additionalProperties", "oneOf", "uniqueItems")
LONGEST_QUOTE = 160  # characters of a schema validator's message that still help a reader


@dataclass(frozen=True)
class Part:
    """One value of a contract file: a mapping, a list or a scalar, with its place in the file."""

    value: Any
    path: Path
    lines: Mapping[Location, int]
    at: Location = ()

    @property
    def line(self) -> int:
        """The line the value is declared on, counted from 1."""
        return self.line_at(self.at)

    def line_at(self, location: Location) -> int:
        """Gives the line of a location, or of the nearest thing around it."""
        return line_of(self.lines, location)

    def get(self, key: str) -> "Part | None":
        """Gives what stands under a key; None when the key is missing."""
        if not isinstance(self.value, dict) or key not in self.value:
            return None
        return Part(self.value[key], self.path, self.lines, (*self.at, key))

    def each(self, key: str) -> "Iterator[Part]":
        """Gives the entries of the list under a key, none when the key is missing."""
        entries = self.value.get(key) if isinstance(self.value, dict) else None
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            yield Part(entry, self.path, self.lines, (*self.at, key, index))

    def text(self, key: str) -> str:
        """Gives the text under a key, trimmed, and "" when there is none."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return "" if value is None else str(value).strip()

    def fault(self, code: str, message: str, cure: str, key: str | None = None) -> ContractError:
        """Makes the error that points at this value, or at one of its keys."""
        line = self.line if key is None else self.line_at((*self.at, key))
        return ContractError(code, message, cure=cure, path=self.path, line=line)


def read_document(path: Path, text: str) -> Part:
    """Reads YAML into plain values and lines.

    Raises ContractError for text that is no YAML, for a key that stands twice and for a file that is no mapping.
    """
    try:
        found = read_yaml(text)
    except KeyTwice as error:
        message = f"{error.problem[0].upper()}{error.problem[1:]}."
        raise ContractError("key-repeated", message, cure="Keep one of the two.", path=path, line=error.line) from error
    except NotYaml as error:
        message = f"The file is not readable as YAML: {error.problem}."
        cure = "Mend the indentation, quotes or colons there."
        raise ContractError("contract-not-yaml", message, cure=cure, path=path, line=error.line) from error
    if not isinstance(found.value, dict):
        message, cure = "The file holds no contract.", "Begin it with 'apiVersion: v3.1.0' and 'kind: DataContract'."
        raise ContractError("contract-empty", message, cure=cure, path=path, line=1)
    return Part(found.value, path, found.lines)


@cache
def odcs_schema() -> dict[str, Any]:
    """Gives the JSON schema of ODCS, as the standard's own package ships it."""
    text = files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator() -> Draft201909Validator:
    return Draft201909Validator(odcs_schema())


def check_keys(part: Part, known: Collection[str], what: str) -> None:
    """Raises ContractError for the first key of a mapping that is not among the known ones."""
    for key in part.value:
        if key not in known:
            message = f"Unknown key '{key}' in {what}."
            raise part.fault("key-unknown", message, did_you_mean(key, known, "Remove it."), key)


def schema_errors(document: Part) -> tuple[ValidationError, ...]:
    """Gives everything that breaks the standard's JSON schema, the deepest first: it is the cause of the others."""
    return tuple(sorted(_validator().iter_errors(document.value), key=lambda error: -len(error.instance_path)))


def check_shape(document: Part, errors: Sequence[ValidationError]) -> None:
    """Raises ContractError for a missing key and for a value of the wrong kind.

    Unknown keys are left to `check_keys`, which knows what was meant, and to `check_rest`.
    """
    told = [error for error in errors if error.kind.name not in LEFT_TO_OUR_CHECKS]
    if told:
        raise _explained(document, told[0])


def check_rest(document: Part, errors: Sequence[ValidationError]) -> None:
    """Raises ContractError for what the JSON schema refuses and no check of ours has found."""
    if errors:
        raise _explained(document, errors[0])


def _explained(document: Part, error: ValidationError) -> ContractError:
    location, keyword, wanted = tuple(error.instance_path), error.kind.name, error.kind.value
    name, reason = dotted(location), _shortened(error.message)
    message, cure = f"Key '{name}' is not as ODCS wants it: {reason}.", "docs/contracts.md tells what may stand there."
    if keyword == "required":
        given = error.instance if isinstance(error.instance, dict) else {}
        message = f"Key '{wanted}' is missing{f' in {name!r}' if name else ''}."
        near = difflib.get_close_matches(wanted, list(given), n=1, cutoff=CLOSE_ENOUGH)
        cure = f"Is '{near[0]}' meant to be '{wanted}'?" if near else "Add it."
        location = (*location, *near)
    elif error.instance is None:
        message, cure = f"Key '{name}' is empty.", f"Write {_wanted(error)} there, or remove the key."
    elif keyword == "enum":
        message = f"Key '{name}' holds '{error.instance}', which ODCS does not know."
        cure = did_you_mean(str(error.instance), [str(value) for value in wanted])
    elif keyword == "type":
        cure = f"Write {_wanted(error)} there."
    return ContractError("contract-invalid", message, cure=cure, path=document.path, line=document.line_at(location))


def _wanted(error: ValidationError) -> str:
    names = {
        "string": "a text (in quotes, if it looks like a number)",
        "array": "a list",
        "object": "a mapping",
        "boolean": "true or false",
        "integer": "a whole number",
        "number": "a number",
    }
    kinds = error.kind.value if error.kind.name == "type" else []
    return " or ".join(names.get(str(kind), str(kind)) for kind in kinds) or "a value"


def _shortened(message: str) -> str:
    return message if len(message) <= LONGEST_QUOTE else message[:LONGEST_QUOTE] + " …"


def value_text(value: object) -> str:
    """Gives a scalar of the file as the text a source would write: `true`, `0.10`, `2026-01-31`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def dotted(location: Location) -> str:
    """Gives a location as people write it, e.g. `schema[0].properties[2].name`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).lstrip(".")


def did_you_mean(word: str, known: Collection[str], otherwise: str = "") -> str:
    """Gives the cure for a misspelt word: the nearest known one, else all of them when they are few."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=CLOSE_ENOUGH)
    if near:
        return f"Did you mean '{by_lower[near[0]]}'?"
    return otherwise or f"Use one of: {', '.join(known)}."
