"""One column as its values show it, as an ODCS property."""

from collections.abc import Mapping
from dataclasses import dataclass

from lake.drafting.columns import Profile
from lake.drafting.document import title
from lake.drafting.text import Noted

PERCENT_OF = 100


@dataclass(frozen=True)
class DraftedColumn:
    """What a draft says of one column; `key_position` counts from 1, None when it is no part of the key."""

    name: str
    source_name: str
    profile: Profile
    is_required: bool
    key_position: int | None
    is_restricted: bool
    notes: tuple[str, ...] = ()


def column_property(column: DraftedColumn, row_count: int) -> dict[str, object]:
    """Gives the property; the values of a column that looks personal are not listed."""
    physical = {} if column.source_name == column.name else {"physicalName": column.source_name}
    keys = {key: value for key, value in column.profile.keys.items() if not (key == "enum" and column.is_restricted)}
    found = {"name": column.name, **physical, "description": _description(column, row_count), **_written(keys)}
    if column.key_position is not None:
        found |= {"primaryKey": True, "primaryKeyPosition": column.key_position}
    if column.is_required:
        found["required"] = True
    if column.is_restricted:
        found["classification"] = Noted("restricted", ("it looks personal",))
    return found


def _written(keys: Mapping[str, object]) -> dict[str, object]:
    listed = keys.get("enum")
    return {**keys, **({"enum": [{"value": value} for value in listed]} if isinstance(listed, tuple) else {})}


def _description(column: DraftedColumn, row_count: int) -> str:
    named = f", as the source names it '{column.source_name}'" if column.source_name != column.name else ""
    missing = row_count - column.profile.filled
    notes = [*column.profile.notes, *column.notes]
    if 0 < missing < row_count:
        notes.append(f"missing in {missing * PERCENT_OF / row_count:.1f} % of the rows")
    return f"{title(column.name)}{named}{''.join(f'; {note}' for note in notes)}."
