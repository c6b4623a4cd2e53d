"""Columns and constraints of SQL DDL."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlglot import exp

from lake.schemas.sql_checks import BOUNDS, Check, literal_text, read_checks
from lake.schemas.sql_types import SERIALS, Typed
from lake.schemas.table import Keys, OperationalColumn, OperationalRule, TableDraft, string, with_option

LISTABLE = ("string", "integer", "number", "date")
BOUNDED = ("integer", "number", "date", "timestamp")


def add_column(table: TableDraft, entry: exp.ColumnDef, typed: Typed, line: int, comment: str) -> None:
    """Adds a column as it is declared, its own constraints included."""
    keys, notes = typed
    name = entry.name
    is_counted = entry.kind is not None and entry.kind.this in SERIALS
    table.columns[name] = OperationalColumn(name, line, keys, is_counted, description=comment, notes=notes)
    for constraint in entry.args.get("constraints") or ():
        _constrain(table, name, constraint.args.get("kind"), line)


def _constrain(table: TableDraft, name: str, kind: exp.Expr | None, line: int) -> None:
    if isinstance(kind, exp.NotNullColumnConstraint):
        table.change(name, required=not kind.args.get("allow_null"))
    elif isinstance(kind, exp.PrimaryKeyColumnConstraint):
        table.key = (*table.key, name)
    elif isinstance(kind, exp.UniqueColumnConstraint):
        table.change(name, unique=True)
    elif isinstance(kind, exp.GeneratedAsIdentityColumnConstraint):
        table.change(name, required=True)
    elif isinstance(kind, exp.DefaultColumnConstraint):
        _default(table, name, kind.this)
    elif isinstance(kind, exp.CommentColumnConstraint):
        table.change(name, description=kind.this.name)
    elif isinstance(kind, exp.CheckColumnConstraint):
        _check(table, kind.this, f"{table.name}_{name}_check", line)
    elif isinstance(kind, exp.Reference):
        _reference(table, [name], kind)


def add_untyped(table: TableDraft, name: str, line: int) -> None:
    """Adds a column that is declared without a type, as SQLite allows."""
    table.columns[name] = OperationalColumn(name, line, string(), notes=("declared without a type, so kept as text",))


def retype(table: TableDraft, name: str, typed: Typed) -> None:
    """Gives a column another type; what its checks say stays true where the new type is of the same kind."""
    known = table.find(name)
    if known is None:
        return
    before, (keys, notes) = table.columns[known].keys, typed
    if before["logicalType"] == keys["logicalType"]:
        options = before.get("logicalTypeOptions")
        for key in BOUNDS.values():
            if isinstance(options, Mapping) and key in options:
                keys = with_option(keys, key, options[key])
        keys = {**keys, **({"enum": before["enum"]} if "enum" in before and "enum" not in keys else {})}
    table.change(known, keys=keys, notes=notes)


def add_constraint(table: TableDraft, entry: exp.Expr, line: int) -> None:
    """Adds a constraint of the table: its key, what is unique, what must hold, what it refers to."""
    if isinstance(entry, exp.Constraint):
        for part in entry.expressions:
            _add_part(table, part, entry.name, line)
    else:
        _add_part(table, entry, "", line)


def _add_part(table: TableDraft, part: exp.Expr, name: str, line: int) -> None:
    if isinstance(part, exp.PrimaryKey):
        table.key = tuple(_column_name(entry) for entry in part.expressions)
    elif isinstance(part, (exp.UniqueColumnConstraint, exp.UniqueKeyProperty)):
        _unique(table, part)
    elif isinstance(part, exp.CheckColumnConstraint):
        _check(table, part.this, name or f"{table.name}_check_{len(table.rules) + 1}", line)
    elif isinstance(part, exp.ForeignKey):
        _reference(table, [_column_name(entry) for entry in part.expressions], part.args.get("reference"))


def _column_name(entry: exp.Expr) -> str:
    return str(entry.this.name if isinstance(entry, exp.Ordered) else entry.name)


def _unique(table: TableDraft, part: exp.Expr) -> None:
    inside = part.this.expressions if isinstance(part.this, exp.Schema) else part.expressions
    names = [_column_name(entry) for entry in inside]
    if len(names) == 1:
        table.change(names[0], unique=True)
    elif names:
        table.notes.append(f"{' and '.join(names)} are unique together, which is not checked")


def _default(table: TableDraft, name: str, value: exp.Expr) -> None:
    text = literal_text(value)
    if text is not None:
        table.change(name, default=text)
    elif not isinstance(value.unnest(), exp.Null):
        table.note_on(name, f"the database fills it with {value.sql()} where it is not given")


def _reference(table: TableDraft, names: list[str], reference: exp.Expr | None) -> None:
    target = None if reference is None else reference.this
    other = target.this.name if isinstance(target, exp.Schema) else getattr(target, "name", "")
    columns = [_column_name(entry) for entry in target.expressions] if isinstance(target, exp.Schema) else []
    if len(names) == 1 and len(columns) == 1 and other:
        table.change(names[0], refers_to=f"{other}.{columns[0]}")
    elif other:
        table.notes.append(f"the reference of {', '.join(names)} to {other} is not checked")


def _check(table: TableDraft, condition: exp.Expr, name: str, line: int) -> None:
    for number, check in enumerate(read_checks(condition), 1):
        if check.column is not None and _fits(table, check):
            _restrict(table, check)
        elif check.key == "rule":
            rule = name if number == 1 else f"{name}_{number}"
            table.rules.append(OperationalRule(rule, str(check.value), line))
        else:
            table.notes.append(f"line {line}: the check '{_told(check)}' is not carried over")


def _told(check: Check) -> str:
    return f"{check.column} {check.key} {check.value}" if check.column else str(check.value)


def _fits(table: TableDraft, check: Check) -> bool:
    """Whether a column of that type can carry such a restriction."""
    known = table.find(check.column or "")
    if known is None:
        return False
    kind, physical = table.columns[known].keys["logicalType"], table.columns[known].keys.get("physicalType")
    return kind in LISTABLE and physical not in ("double", "float") if check.key == "enum" else kind in BOUNDED


def _restrict(table: TableDraft, check: Check) -> None:
    """Narrows a column by one more check; of two lists what both hold, of two bounds the stricter."""
    known = table.find(check.column or "")
    if known is None:
        return
    keys = table.columns[known].keys
    if check.key == "enum" and isinstance(check.value, tuple):
        listed = keys.get("enum")
        both = tuple(value for value in check.value if value in listed) if isinstance(listed, tuple) else check.value
        table.change(known, keys={**keys, "enum": both or check.value})
        return
    value, options = _bound(str(check.value), keys), keys.get("logicalTypeOptions")
    before = options.get(check.key) if isinstance(options, Mapping) else None
    if before is not None and type(before) is type(value):
        pick = max if check.key.endswith("inimum") else min
        value = pick(before, value)
    table.change(known, keys=with_option(keys, check.key, value))


def _bound(text: str, keys: Keys) -> Any:
    return Decimal(text) if keys["logicalType"] in ("integer", "number") else text
