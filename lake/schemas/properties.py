"""Columns of an operational table as the properties of an ODCS contract."""

from collections.abc import Mapping

from lake.contract import Column, RowRule
from lake.odcs.columns import exclusive_rules, read_column
from lake.odcs.document import Part
from lake.schemas.table import OperationalColumn, OperationalTable


def odcs_property(column: OperationalColumn, name: str, description: str) -> dict[str, object]:
    """Gives a column as an ODCS property under a name of ours, as a contract would hold it."""
    physical = {} if column.name == name else {"physicalName": column.name}
    keys = {key: _listed(value) if key == "enum" else value for key, value in column.keys.items()}
    flags = {"required": column.required, "unique": column.unique}
    return {
        "name": name,
        **physical,
        "description": description,
        **keys,
        **{key: True for key, value in flags.items() if value},
    }


def _listed(values: object) -> list[dict[str, object]]:
    return [{"value": value} for value in values] if isinstance(values, tuple) else []


def contract_columns(
    table: OperationalTable, names: Mapping[str, str]
) -> dict[str, tuple[Column, tuple[RowRule, ...]]]:
    """Gives a table's columns as a contract would read them, with their exclusive bounds, by the schema's names.

    Raises ContractError, naming the schema's line, for a column whose promises contradict each other.
    """
    found = {}
    for column in table.columns:
        value = odcs_property(column, names[column.name], column.name)
        part = Part(value, table.path, {(): column.line})
        read = read_column(part, "internal")
        found[column.name] = (read, exclusive_rules(part, read))
    return found
