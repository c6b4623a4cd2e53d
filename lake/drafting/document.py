"""A drafted contract as the document it will be written as."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lake.drafting.text import Noted, render

EDITOR_LINE = "yaml-language-server: $schema={}"
EDITOR_SCHEMA = "contract.schema.json"


@dataclass(frozen=True)
class DraftedContract:
    """What a draft says: `origin` is what it was drawn from, `server` and `properties` in the words of ODCS.

    `promises` are custom properties of the table, `extras` further keys of it; `notes` stand at the top.
    """

    name: str
    origin: str
    description: str
    server: Mapping[str, Any]
    properties: Sequence[Mapping[str, Any] | Noted]
    promises: Mapping[str, object] = field(default_factory=dict)
    extras: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def render_contract(draft: DraftedContract, editor_schema: str | None = None) -> str:
    """Gives the contract's YAML; `editor_schema` is the JSON schema that an editor checks it with, None for none."""
    heading = [] if editor_schema is None else [EDITOR_LINE.format(editor_schema)]
    heading += [f"Drafted from {draft.origin}. Read it, mend it, then it is a promise.", *draft.notes]
    table = {
        "name": draft.name,
        "description": draft.description,
        **draft.extras,
        **({"customProperties": custom(draft.promises)} if draft.promises else {}),
        "properties": list(draft.properties),
    }
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": draft.name,
        "version": "0.1.0",
        "status": "draft",
        "team": {"name": Noted("Data team", ("who answers for these data",))},
        "servers": [draft.server],
        "schema": [table],
    }
    return render(document, heading)


def custom(values: Mapping[str, object]) -> list[dict[str, object]]:
    """Gives custom properties in the form of ODCS."""
    return [{"property": name, "value": value} for name, value in values.items()]


def title(name: str) -> str:
    """Gives a name of ours as the beginning of a sentence: `unit_price` → `Unit price`."""
    return name.replace("_", " ").capitalize()


def sentence(text: str) -> str:
    """Gives a text as one sentence on one line."""
    plain = " ".join(text.split())
    return plain if plain.endswith((".", "!", "?")) else f"{plain}."
