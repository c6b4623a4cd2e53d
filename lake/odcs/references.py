"""The operational schema that a contract names, and the differences from it that it accepts."""

from typing import Literal, get_args
from urllib.parse import parse_qs, unquote, urlsplit

from lake.contract import SchemaReference
from lake.odcs.document import Part, did_you_mean

SCHEMA_TYPE = "schema"
DriftKind = Literal[
    "missing",
    "extra",
    "type-narrower",
    "type-wider",
    "type-other",
    "required",
    "nullable",
    "key",
    "enum-added",
    "enum-removed",
    "bound",
    "unreadable",
]
OF_THE_TABLE = ("key",)  # the others are about a column


def read_reference(document: Part, table: Part) -> SchemaReference | None:
    """Gives the operational schema a contract is held against: its definition of type `schema`, the table's first.

    Raises ContractError for two of them, and for one that is no file.
    """
    for part in (table, document):
        found = [entry for entry in part.each("authoritativeDefinitions") if entry.text("type") == SCHEMA_TYPE]
        if len(found) > 1:
            message = f"{len(found)} authoritative definitions have the type '{SCHEMA_TYPE}'."
            raise found[1].fault(
                "schema-unfit", message, "A contract is held against one; give the others another type."
            )
        if found:
            return _reference(found[0])
    return None


def _reference(entry: Part) -> SchemaReference:
    url = urlsplit(entry.text("url"))
    if url.scheme not in ("", "file") or not url.path:
        message = f"The schema '{entry.text('url')}' is no file."
        cure = "Keep a copy in the project and name it, e.g. 'db/schema.prisma#Order'."
        raise entry.fault("schema-unfit", message, cure, "url")
    dialect = parse_qs(url.query).get("dialect", ["postgres"])[0]
    return SchemaReference(unquote(url.path), unquote(url.fragment), dialect, entry.line_at((*entry.at, "url")))


def read_accepted(found: Part | None) -> tuple[str, ...]:
    """Gives the differences that a contract accepts, each `kind column`; raises ContractError for an unknown kind."""
    if found is None:
        return ()
    if not isinstance(found.value, list) or not all(isinstance(entry, str) for entry in found.value):
        message = "Custom property 'acceptedDrift' is no list of texts."
        raise found.fault("drift-unknown", message, "Write e.g. ['missing internal_note', 'type-wider units'].")
    for entry in found.value:
        kind, _, column = entry.partition(" ")
        if kind not in get_args(DriftKind) or (not column and kind not in OF_THE_TABLE):
            message = f"Custom property 'acceptedDrift' holds '{entry}'."
            cure = did_you_mean(kind, get_args(DriftKind)) if kind not in get_args(DriftKind) else "Add the column."
            raise found.fault("drift-unknown", message, cure)
    return tuple(found.value)
