"""Writes a drafted contract down as YAML a person will like to edit: block style, remarks as comments."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

PLAIN = re.compile(r"[A-Za-z_/]([A-Za-z0-9_ .,;/*()'%-]*[A-Za-z0-9_/*().])?")  # where no flow collection is around it
NOT_PLAIN = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


@dataclass(frozen=True)
class Noted:
    """A value with remarks: behind a scalar, on lines of their own before an entry of a list."""

    value: object
    notes: tuple[str, ...]


def render(document: Mapping[str, object], heading: Sequence[str]) -> str:
    """Gives a document as YAML, below some lines of comment."""
    return "\n".join([*(f"# {_one_line(line)}" for line in heading), *_mapping(document, "")]) + "\n"


def scalar(value: object) -> str:
    """Gives a value as YAML: plain where every YAML reads it as the same text, else in double quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    text = str(value)
    plain = PLAIN.fullmatch(text) and text.lower() not in NOT_PLAIN
    return text if plain else json.dumps(text, ensure_ascii=False).replace("\x7f", "\\x7f")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _mapping(values: Mapping[str, object], indent: str) -> Iterator[str]:
    for key, given in values.items():
        value, notes = (given.value, given.notes) if isinstance(given, Noted) else (given, ())
        behind = "".join(f" # {_one_line(note)}" for note in notes)
        if isinstance(value, Mapping):
            yield f"{indent}{scalar(key)}:{behind}"
            yield from _mapping(value, f"{indent}  ")
        elif isinstance(value, list | tuple):
            yield f"{indent}{scalar(key)}:{behind}"
            yield from _sequence(value, f"{indent}  ")
        else:
            yield f"{indent}{scalar(key)}: {scalar(value)}{behind}"


def _sequence(values: Sequence[object], indent: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, Noted):
            yield from (f"{indent}# {_one_line(note)}" for note in value.notes)
            value = value.value
        if isinstance(value, Mapping):
            first, *rest = _mapping(value, f"{indent}  ")
            yield f"{indent}- {first.strip()}"
            yield from rest
        else:
            yield f"{indent}- {scalar(value)}"
