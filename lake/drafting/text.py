"""Writes a drafted contract down as an ODCS file a person will like to edit."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lake.drafting.columns import Profile

PLAIN = re.compile(r"[A-Za-z_/]([A-Za-z0-9_ .,;/*()'%-]*[A-Za-z0-9_/*().])?")  # where no flow collection is around it
NOT_PLAIN = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
PERCENT_OF = 100


@dataclass(frozen=True)
class DraftedTable:
    """What a draft says of its table and where the data come from."""

    name: str
    path: str
    format: str
    options: Mapping[str, str]
    row_count: int


@dataclass(frozen=True)
class DraftedColumn:
    """What a draft says of one column; `key_position` counts from 1, None when it is no part of the key."""

    name: str
    source_name: str
    profile: Profile
    is_required: bool
    key_position: int | None
    is_restricted: bool


def render_contract(table: DraftedTable, columns: Sequence[DraftedColumn]) -> str:
    """Gives the contract's YAML."""
    key = [column.name for column in sorted(columns, key=lambda c: c.key_position or 0) if column.key_position]
    identity = f"each identified by {' and '.join(key)}" if key else "each a record by itself"
    head = f"""\
# Drafted from {table.row_count} rows of {_comment(table.path)}. Read it, mend it, then it is a promise.
apiVersion: v3.1.0
kind: DataContract
id: {scalar(table.name)}
version: 0.1.0
status: draft
team:
  name: Data team # who answers for these data
servers:
  - server: files
    type: local
    path: {scalar(table.path)}
    format: {table.format}
"""
    lines = [head.rstrip("\n"), *_server_options(table.options)]
    lines += [
        "schema:",
        f"  - name: {scalar(table.name)}",
        f"    description: {scalar(f'Rows as delivered in {table.format} files, {identity}.')}",
        "    properties:",
    ]
    for column in columns:
        lines += _column(column, table.row_count)
    return "\n".join(lines) + "\n"


def scalar(value: object) -> str:
    """Gives a value as YAML: plain where every YAML reads it as the same text, else in double quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    plain = PLAIN.fullmatch(text) and text.lower() not in NOT_PLAIN
    return text if plain else json.dumps(text, ensure_ascii=False).replace("\x7f", "\\x7f")


def _comment(text: str) -> str:
    return " ".join(text.split())


def _server_options(options: Mapping[str, str]) -> Iterator[str]:
    if "encoding" in options:
        yield f"    encoding: {scalar(options['encoding'])}"
    custom = [(name, value) for name, value in options.items() if name != "encoding"]
    if custom:
        yield "    customProperties:"
        yield from (f"      - {{property: {name}, value: {json.dumps(value)}}}" for name, value in custom)


def _column(column: DraftedColumn, row_count: int) -> Iterator[str]:
    yield f"      - name: {scalar(column.name)}"
    inner = " " * 8
    if column.source_name != column.name:
        yield f"{inner}physicalName: {scalar(column.source_name)}"
    yield f"{inner}description: {scalar(_description(column, row_count))}"
    keys = {key: value for key, value in column.profile.keys.items() if not (key == "enum" and column.is_restricted)}
    yield from _keys(keys, inner)
    if column.key_position is not None:
        yield f"{inner}primaryKey: true"
        yield f"{inner}primaryKeyPosition: {column.key_position}"
    if column.is_required:
        yield f"{inner}required: true"
    if column.is_restricted:
        yield f"{inner}classification: restricted # it looks personal"


def _keys(keys: Mapping[str, object], indent: str) -> Iterator[str]:
    for key, value in keys.items():
        if key == "enum" and isinstance(value, tuple):
            yield f"{indent}enum:"
            yield from (f"{indent}  - value: {scalar(entry)}" for entry in value)
        elif key == "properties" and isinstance(value, list):
            yield f"{indent}properties:"
            for entry in value:
                first, *rest = _keys(entry, f"{indent}    ")
                yield f"{indent}  - {first.strip()}"
                yield from rest
        elif isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _keys(value, f"{indent}  ")
        else:
            yield f"{indent}{key}: {scalar(value)}"


def _description(column: DraftedColumn, row_count: int) -> str:
    title = column.name.replace("_", " ").capitalize()
    named = f", as the source names it '{column.source_name}'" if column.source_name != column.name else ""
    missing = row_count - column.profile.filled
    notes = list(column.profile.notes)
    if 0 < missing < row_count:
        notes.append(f"missing in {missing * PERCENT_OF / row_count:.1f} % of the rows")
    return f"{title}{named}{''.join(f'; {note}' for note in notes)}."
