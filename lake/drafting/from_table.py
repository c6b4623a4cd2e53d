"""Drafts contracts from the live table of a database: what its catalogue promises, and how it can be read."""

from collections.abc import Mapping
from typing import Any

from lake.contract import CAPTURE, Server
from lake.drafting.document import DraftedContract, custom, render_contract, sentence
from lake.drafting.from_schema import schema_properties, schema_rules
from lake.drafting.text import Noted
from lake.naming import own_names, snake_case
from lake.schemas.table import OperationalColumn, OperationalTable

OF_CHANGES = ("updated_at", "modified_at", "changed_at", "last_updated", "last_modified", "last_changed", "update_time")
OF_BEGINNINGS = ("created_at", "inserted_at", "occurred_at", "recorded_at", "create_time")
LATENESS = "1 hour"
STANDARD = ("host", "port", "database", "schema")


def draft_from_table(
    table: OperationalTable, server: Server, *, name: str | None = None, editor_schema: str | None = None
) -> str:
    """Gives the YAML of a contract that promises what the database does, and reads the table where it is."""
    source = name or snake_case(table.name) or "source"
    names = own_names([column.name for column in table.columns])
    rules, lost = schema_rules(table, names, has_lines=False)
    is_captured = server.options.get("mode") == CAPTURE  # then every change is read, and nothing need tell of it
    promises = {} if is_captured else _promises(table, names)
    physical = {} if table.name == source else {"physicalName": table.name}
    draft = DraftedContract(
        name=source,
        origin=f"the table {table.path}".replace(":/", "://", 1) if server.kind == "postgresql" else f"{table.path}",
        description=sentence(table.description or f"Rows of {table.name}, as the database holds them"),
        server=_server(server),
        properties=schema_properties(table, names),
        extras={**physical, **({"quality": rules} if rules else {})},
        promises=promises,
        notes=tuple(f"Not in this contract: {note}." for note in (*table.notes, *lost)),
    )
    return render_contract(draft, editor_schema)


def _server(server: Server) -> Mapping[str, Any]:
    """Gives the server as a contract writes it; the password is named, never written."""
    if server.kind == "sqlite":
        return {"server": "database", "type": "custom", "format": "sqlite", "path": server.path}
    told: dict[str, Any] = {key: server.options[key] for key in STANDARD}
    told["port"] = int(told["port"])
    ours = {key: value for key, value in server.options.items() if key not in (*STANDARD, "table")}
    properties = {"customProperties": custom(ours)} if ours else {}
    return {"server": "database", "type": "postgresql", **told, **properties}


def _promises(table: OperationalTable, names: Mapping[str, str]) -> Mapping[str, object]:
    """Gives how the table is read: by a column that tells of changes where it has one, else whole each time."""
    found = next((column for name in OF_CHANGES for column in table.columns if _tells(column, name)), None)
    if found is not None:
        note = f"rows must get a new {found.name} whenever they change; an index on it spares the server"
        late = Noted(LATENESS, ("how long the longest transaction that writes it may take",))
        return {"watermark": Noted(names[found.name], (note,)), "lateness": late}
    found = next((column for name in OF_BEGINNINGS for column in table.columns if _tells(column, name)), None)
    hint = "" if found is None else f"; if rows never change, 'watermark: {names[found.name]}' reads the new ones alone"
    return {"loadMode": Noted("replace", (f"each reading is the whole table: no column tells of changes{hint}",))}


def _tells(column: OperationalColumn, name: str) -> bool:
    return snake_case(column.name) == name and column.keys.get("logicalType") == "timestamp"
