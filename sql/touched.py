"""Touched partitions: which values of a model's partition column changed rows reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lake.engine import Session, literal, quote
from lake.errors import ModelError
from lake.table_versions import DataFile
from sql.header import nearest
from sql.inputs import Columns, Standing, quoted, scan_files, show_table
from sql.models import Model, physical_inputs
from sql.partitions import partition_expression
from sql.selects import inputs_of, read_select

Touched = frozenset[str | None]


@dataclass(frozen=True)
class Change:
    """What came and what went in a table since a model read it."""

    table: Standing
    removed: tuple[DataFile, ...]
    added: tuple[DataFile, ...]


def compare_files(before: Sequence[DataFile], table: Standing) -> Change | None:
    """Gives what came and went between a version's files and the table as it stands; None when it is the same."""
    old, new = {file.path: file for file in before}, {file.path: file for file in table.files}
    removed = tuple(file for path, file in old.items() if path not in new)
    added = tuple(file for path, file in new.items() if path not in old)
    return Change(table, removed, added) if removed or added else None


def touched_partitions(
    session: Session,
    model: Model,
    models: Mapping[str, Model],
    tables: Mapping[str, Standing],
    changes: Sequence[Change],
) -> Touched | None:
    """Gives the partitions of a model that changes reach, as text; None when that cannot be known."""
    schemas = schemas_of(model, models, tables)
    stated = _stated_tables(model)
    touched: Touched = frozenset()
    ask = False
    for change in changes:
        expression = partition_expression(model, models, change.table.name, schemas)
        if expression is not None:
            touched |= _reached(session, change, expression.sql(dialect="duckdb"))
        elif change.table.name.partition(".")[2] in stated:
            ask = True
        else:
            return None
    return touched | _asked(session, model, models, tables, changes) if ask else touched


def schemas_of(model: Model, models: Mapping[str, Model], tables: Mapping[str, Standing]) -> dict[str, Columns]:
    """Gives the columns of every table a model reads, through views."""
    return {name: tables[name].columns for name in physical_inputs(model, models)}


def _reached(session: Session, change: Change, expression: str) -> Touched:
    """Gives the partitions whose rows differ between what went and what came."""
    value = f"cast({expression} as varchar)"
    added = scan_files(change.table, change.added)
    if not change.removed:
        return frozenset(found for (found,) in session.rows(f"select distinct {value} from ({added})"))
    old, new = (
        f"select {value} as value, count(*) as row_count, sum(hash({quoted(change.table.columns)})) as digest"
        f" from ({scan}) group by all"
        for scan in (scan_files(change.table, change.removed), added)
    )
    differing = "((select * from old except select * from new) union all (select * from new except select * from old))"
    rows = session.rows(f"with old as ({old}), new as ({new}) select distinct value from {differing}")
    return frozenset(found for (found,) in rows)


def _stated_tables(model: Model) -> frozenset[str]:
    """Gives the bare names of the changed tables that the header's `affected` reads."""
    if model.header.affected is None:
        return frozenset()
    read = inputs_of(read_select(model.header.affected, model.path, 1), model.path, 1)
    return frozenset(name.partition(".")[2] for name in read if name.startswith("changed."))


def _asked(
    session: Session,
    model: Model,
    models: Mapping[str, Model],
    tables: Mapping[str, Standing],
    changes: Sequence[Change],
) -> Touched:
    """Gives the partitions that the header's `affected` names, with the changed rows in `changed.<table>`."""
    session.execute("create schema if not exists changed")
    files = {change.table.name: change.removed + change.added for change in changes}
    inputs = {name.partition(".")[2]: tables[name] for name in physical_inputs(model, models)}
    for bare in _stated_tables(model):
        if bare not in inputs:
            raise ModelError(
                "model-affected-unknown",
                f"'affected' of {model.name} reads changed.{bare}, which is no table it depends on.",
                cure=nearest(bare, inputs),
                path=model.path,
                line=1,
            )
        table = inputs[bare]
        rows = Standing(f"changed.{bare}", table.columns, files.get(table.name, ()), None, table.evolved)
        show_table(session, rows)
    rows_sql = f"select distinct cast(columns(*) as varchar) from (\n{model.header.affected}\n)"
    return frozenset(found for found, *_ in session.rows(rows_sql))


def touched_filter(column: str, sql_type: str, touched: Touched) -> str:
    """Gives the condition that a row is in a touched partition, in comparisons by which scans can skip row groups."""
    name = quote(column)
    values = [f"cast({literal(value)} as {sql_type})" for value in _ordered(touched, sql_type)]
    conditions = [f"{name} is null"] if None in touched else []
    if len(values) == 1:
        conditions.append(f"{name} = {values[0]}")
    elif values:
        conditions.append(
            f"({name} between {values[0]} and {values[-1]} and list_contains([{', '.join(values)}], {name}))"
        )
    return " or ".join(conditions) or "false"


def _ordered(touched: Touched, sql_type: str) -> list[str]:
    values = [value for value in touched if value is not None]
    return sorted(values) if sql_type in ("DATE", "VARCHAR") else sorted(values, key=int)
