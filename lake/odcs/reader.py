"""Reads ODCS v3.1+ files into contracts."""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from lake.contract import (
    CAPTURE,
    Column,
    Contract,
    DriftPolicy,
    DuplicatePolicy,
    LoadMode,
    Privacy,
    RowRule,
    TableRule,
    versioned_name,
)
from lake.errors import ContractError
from lake.odcs.changes import as_history
from lake.odcs.columns import NAME, NAME_CURE, exclusive_rules, read_column
from lake.odcs.deletions import notices_deletes, with_deletions
from lake.odcs.document import (
    Part,
    check_keys,
    check_rest,
    check_shape,
    did_you_mean,
    odcs_schema,
    read_document,
    schema_errors,
)
from lake.odcs.properties import custom_properties
from lake.odcs.references import read_accepted, read_reference
from lake.odcs.rules import read_quality
from lake.odcs.servers.reading import check_servers, read_servers
from lake.odcs.types import check_types_given

API_VERSIONS = ("v3.1.0", "v3.2.0")
DELIVERIES = ("batch", "stream")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "duplicatePolicy": get_args(DuplicatePolicy),
    "driftPolicy": get_args(DriftPolicy),
    "loadMode": get_args(LoadMode),
    "delivery": DELIVERIES,
    "privacy": get_args(Privacy),
}
PROPERTIES = ("owner", "watermark", "lateness", "acceptedDrift", *CHOICES)
LATENESS = re.compile(r"[1-9][0-9]* (second|minute|hour|day|week|month)s?")
WATERMARK_TYPES = ("timestamptz", "timestamp", "date", "bigint", "integer", "smallint")


def read_contract(path: Path) -> Contract:
    """Reads one contract.

    Raises ContractError naming file, line and key for whatever is unknown, missing or would not be enforced.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        cure = "A contract is a readable file in UTF-8."
        raise ContractError("contract-unreadable", f"Cannot read it: {error}.", cure=cure, path=path) from error
    return _read(path, text, hashlib.sha256(data).hexdigest())


@lru_cache(maxsize=256)  # a loop that looks at its sources every few seconds reads the same text each time
def _read(path: Path, text: str, digest: str) -> Contract:
    document = read_document(path, text)
    _check_version(document)
    for table in document.each("schema"):
        check_types_given(table)
    errors = schema_errors(document)
    check_shape(document, errors)
    check_keys(document, odcs_schema()["properties"], "the contract")
    contract = _contract(document, digest)
    check_servers(document, contract)
    check_rest(document, errors)
    if any(server.options.get("mode") == CAPTURE for server in contract.servers):
        return as_history(contract)
    return with_deletions(contract) if notices_deletes(contract) else contract


def _check_version(document: Part) -> None:
    version = document.text("apiVersion")
    if "apiVersion" in document.value and version not in API_VERSIONS:
        message = f"Key 'apiVersion' is '{version}'."
        cure = f"Sluice reads ODCS {' and '.join(API_VERSIONS)}; write one of them."
        raise document.fault("contract-version", message, cure, "apiVersion")


def _contract(document: Part, digest: str) -> Contract:
    table = _table(document)
    promises = _promises(document, table)
    parts = {part.text("name"): part for part in table.each("properties")}
    columns = _columns(table, promises.get("privacy", "internal"))
    rules, table_rules = _rules(table, parts, columns)
    servers = read_servers(document)
    return Contract(
        source=versioned_name(table.text("name"), document.text("version")),
        version=document.text("version"),
        path=document.path,
        digest=digest,
        description=_description(document, table),
        owner=promises.get("owner") or _owner(document),
        columns=columns,
        key=_ordered(table, "primaryKey", "primaryKeyPosition", columns),
        server=servers[0],
        more_servers=servers[1:],
        rules=rules,
        table_rules=table_rules,
        duplicates=promises.get("duplicatePolicy", "latest-wins"),
        drift=promises.get("driftPolicy", "quarantine"),
        load=promises.get("loadMode", "append"),
        partition=_ordered(table, "partitioned", "partitionKeyPosition", columns),
        watermark=_watermark(document, table, columns),
        lateness=promises.get("lateness"),
        delivery=promises.get("delivery", "batch"),
        privacy=_strictest(columns),
        sla=_sla(document),
        schema=read_reference(document, table),
        accepted_drift=read_accepted(_custom(document, table).get("acceptedDrift")),
    )


def _table(document: Part) -> Part:
    tables = list(document.each("schema"))
    if len(tables) != 1:
        message = f"Key 'schema' holds {len(tables)} tables; a contract describes one."
        cure = "Write one file for each table." if tables else "Add 'schema:' with one table and its 'properties'."
        raise document.fault("table-count", message, cure, "schema")
    table = tables[0]
    definitions = odcs_schema()["$defs"]
    own, shared = definitions["SchemaObject"]["properties"], definitions["SchemaElement"]["properties"]
    check_keys(table, (*own, *shared), "the table")
    if not NAME.fullmatch(table.text("name")):
        message = f"The table name '{table.text('name')}' cannot be used."
        raise table.fault("name-unfit", message, NAME_CURE, "name")
    return table


def _promises(document: Part, table: Part) -> Mapping[str, Any]:
    """Gives the custom properties of the contract and its table as text, each checked against what it may be."""
    found = _custom(document, table)
    for name, part in found.items():
        if name in CHOICES and part.value not in CHOICES[name]:
            message = f"Custom property '{name}' is '{part.value}'."
            raise part.fault("policy-unknown", message, did_you_mean(str(part.value), CHOICES[name]))
    lateness = found.get("lateness")
    if lateness is not None and not LATENESS.fullmatch(str(lateness.value)):
        message = f"Custom property 'lateness' is '{lateness.value}'."
        raise lateness.fault("lateness-unfit", message, "Write a number and a unit, e.g. '2 days'.")
    load, delivery = found.get("loadMode"), found.get("delivery")
    if load is not None and load.value == "replace" and delivery is not None and delivery.value == "stream":
        message = "Custom property 'loadMode' is 'replace', and 'delivery' is 'stream': no message is the whole table."
        raise load.fault("policy-unfit", message, "Write 'loadMode: append', or deliver whole tables as batches.")
    if lateness is not None and "watermark" not in found:
        message = "Custom property 'lateness' says how late, and no 'watermark' by which column."
        raise lateness.fault("lateness-unfit", message, "Add the custom property 'watermark'.")
    return {name: str(part.value) for name, part in found.items()}


def _custom(document: Part, table: Part) -> Mapping[str, Part]:
    return {**custom_properties(document, PROPERTIES), **custom_properties(table, PROPERTIES)}


def _columns(table: Part, privacy: Privacy) -> tuple[Column, ...]:
    columns: list[Column] = []
    for part in table.each("properties"):
        column = read_column(part, privacy)
        for other in columns:
            for key, known, new in (
                ("name", other.name, column.name),
                ("physicalName", other.source_name, column.source_name),
            ):
                if known.casefold() == new.casefold():  # no SQL tells names apart that differ in case only
                    message = f"Key '{key}' holds '{new}', and the column on line {other.line} has '{known}'."
                    raise part.fault("column-repeated", message, "Rename or remove one of them.", key)
        columns.append(column)
    if not columns:
        message, cure = f"Table '{table.text('name')}' has no 'properties'.", "List its columns there."
        raise table.fault("column-missing", message, cure, "properties")
    return tuple(columns)


def _rules(
    table: Part, parts: Mapping[str, Part], columns: tuple[Column, ...]
) -> tuple[tuple[RowRule, ...], tuple[TableRule, ...]]:
    by_name = {column.name: column for column in columns}
    found = [read_quality(parts[column.name], by_name, column.name) for column in columns]
    found.append(read_quality(table, by_name, None))
    bounds = (rule for column in columns for rule in exclusive_rules(parts[column.name], column))
    rows = (*bounds, *(rule for quality in found for rule in quality.row_rules))
    checks = tuple(rule for quality in found for rule in quality.table_rules)
    for rules in (rows, checks):
        lines: dict[str, int] = {}
        for rule in rules:
            if rule.name in lines:
                message = f"The rule name '{rule.name}' stands twice; first on line {lines[rule.name]}."
                cure = "Give each rule a 'name' of its own."
                raise ContractError("rule-repeated", message, cure=cure, path=table.path, line=rule.line)
            lines[rule.name] = rule.line
    return rows, checks


def _ordered(table: Part, flag: str, position: str, columns: tuple[Column, ...]) -> tuple[str, ...]:
    """Gives the columns that carry a flag, in the order of their positions."""
    by_name = {column.name: column for column in columns}
    places: dict[int, str] = {}
    for index, part in enumerate(table.each("properties")):
        if part.value.get(flag) is not True:
            continue
        column, place = by_name[part.text("name")], part.value.get(position, -1)
        if (
            column.sql_type in ("json", "double", "float")
            or column.sql_type.startswith("struct")
            or "[" in column.sql_type
        ):
            message = f"Column '{column.name}' is a {column.sql_type} and '{flag}'."
            raise part.fault("key-unfit", message, "Choose a column of text, whole numbers, decimals or dates.", flag)
        place = place if place > 0 else len(by_name) + index
        if place in places:
            message = f"Key '{position}' is {place} on '{places[place]}' and on '{column.name}'."
            raise part.fault("position-repeated", message, "Number them 1, 2, 3.", position)
        places[place] = column.name
    return tuple(places[place] for place in sorted(places))


def _description(document: Part, table: Part) -> str:
    whole = document.get("description")
    text = table.text("description") or ("" if whole is None else whole.text("purpose"))
    if not text:
        message = f"Table '{table.text('name')}' has no 'description'."
        raise table.fault("description-missing", message, "Say in one sentence what one row is.", "description")
    return text


def _owner(document: Part) -> str:
    """Gives the team's member with the role owner, else the team's name; raises ContractError when there is neither."""
    team = document.get("team")
    old_style = team is not None and isinstance(team.value, list)
    members = document.each("team") if old_style or team is None else team.each("members")
    for member in members:
        if member.text("role").lower() == "owner":
            return member.text("name") or member.text("username")
    if team is not None and team.text("name"):
        return team.text("name")
    cure = "Add 'team: {name: …}', or the custom property 'owner': somebody answers for this data."
    raise document.fault("owner-missing", "The contract names no owner ('team').", cure, "team")


def _watermark(document: Part, table: Part, columns: tuple[Column, ...]) -> str | None:
    found = _custom(document, table).get("watermark")
    if found is None:
        return None
    types = {column.name: column.sql_type for column in columns}
    if found.value not in types:
        message = f"Custom property 'watermark' names the unknown column '{found.value}'."
        raise found.fault("column-unknown", message, did_you_mean(str(found.value), tuple(types)))
    if types[found.value] not in WATERMARK_TYPES:
        message = f"Custom property 'watermark' names '{found.value}', a {types[found.value]}."
        raise found.fault("watermark-unfit", message, "Choose a column that grows: a timestamp, date or whole number.")
    return str(found.value)


def _strictest(columns: tuple[Column, ...]) -> Privacy:
    levels: tuple[Privacy, ...] = get_args(Privacy)  # from the least to the most strict
    return max((column.privacy for column in columns), key=levels.index)


def _sla(document: Part) -> Mapping[str, str]:
    sla: dict[str, str] = {}
    for entry in document.each("slaProperties"):
        name = entry.text("property")
        if name in sla:
            message = f"The SLA property '{name}' stands twice."
            raise entry.fault("key-repeated", message, "Keep one of the two.", "property")
        sla[name] = f"{entry.text('value')} {entry.text('unit')}".strip()
    return sla
