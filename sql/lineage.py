"""Lineage: which column comes from which, read out of the SQL itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope
from sqlglot.schema import MappingSchema

from sql.models import Model
from sql.selects import parse_select

Schemas = Mapping[str, Sequence[tuple[str, str]]]  # table name → its columns as (name, DuckDB type)
Origin = tuple[str, str]


@dataclass(frozen=True, order=True)
class ColumnEdge:
    """One step of lineage: a value of `to_table.to_column` is computed from `from_table.from_column`."""

    from_table: str
    from_column: str
    to_table: str
    to_column: str


def column_lineage(model: Model, schemas: Schemas) -> list[ColumnEdge]:
    """Gives every column a model's columns are computed from, in the tables and views it reads directly.

    Takes the columns of what it reads, and its own where known. SQL that cannot be traced yields every column it reads
    for every column it has: too much, never too little. Columns that only filter or join rows are no edges.
    """
    scope = qualified_scope(parse_select(model.sql), schemas)
    if scope is None:
        return _every_edge(model, schemas)
    outputs = output_names(scope)
    known = [name.lower() for name, _ in schemas.get(model.name, ())]
    if (known and known != outputs) or "*" in outputs or _is_untraceable(scope.expression):
        return _every_edge(model, schemas)
    memory: dict[tuple[int, int], frozenset[Origin]] = {}
    return sorted(
        ColumnEdge(table, column, model.name, output)
        for position, output in enumerate(outputs)
        for table, column in _origins(scope, position, memory)
    )


def qualified_scope(tree: exp.Query, schemas: Schemas) -> Scope | None:
    """Gives a select's scope with every star expanded and every column named by its table; None when that fails."""
    schema = MappingSchema(dialect="duckdb")
    named = {f"{table.db}.{table.name}".lower() for table in tree.find_all(exp.Table)}
    read = {name: columns for name, columns in schemas.items() if name.lower() in named}
    for name, columns in (read or schemas).items():  # to tell of every table there is costs more than all the rest
        schema.add_table(name, dict(columns), match_depth=False)
    try:
        qualified = qualify(tree.copy(), schema=schema, dialect="duckdb", validate_qualify_columns=False)
        return build_scope(qualified)
    except SqlglotError:
        return None


def output_names(scope: Scope) -> list[str]:
    """Gives the names of a select's columns in order."""
    query = scope.expression
    return list(query.named_selects) if isinstance(query, exp.Query) else []


def _is_untraceable(tree: exp.Expr) -> bool:
    """Whether a select names its columns as it runs, or unites others by name: places then say nothing of columns."""
    by_name = any(union.args.get("by_name") for union in tree.find_all(exp.SetOperation))
    return by_name or tree.find(exp.Columns, exp.Pivot) is not None


def _every_edge(model: Model, schemas: Schemas) -> list[ColumnEdge]:
    outputs = [name for name, _ in schemas.get(model.name, (("*", ""),))]
    inputs = [(table, column) for table in model.inputs for column, _ in schemas.get(table, (("*", ""),))]
    return sorted(ColumnEdge(table, column, model.name, output) for table, column in inputs for output in outputs)


def _origins(scope: Scope, position: int, memory: dict[tuple[int, int], frozenset[Origin]]) -> frozenset[Origin]:
    """Gives the columns of tables that the column at a position is computed from."""
    key = (id(scope), position)
    if key not in memory:
        memory[key] = frozenset()  # a recursive select adds nothing to itself
        if scope.set_operation_scopes:
            memory[key] = frozenset().union(*(_origins(part, position, memory) for part in scope.set_operation_scopes))
        elif isinstance(scope.expression, exp.Select):
            memory[key] = _origins_of(scope.expression.selects[position], scope, memory)
    return memory[key]


def _origins_of(node: exp.Expr, scope: Scope, memory: dict[tuple[int, int], frozenset[Origin]]) -> frozenset[Origin]:
    found = (_column_origins(column, scope, memory) for column in node.find_all(exp.Column))
    return frozenset().union(*found)


def _column_origins(
    column: exp.Column, scope: Scope | None, memory: dict[tuple[int, int], frozenset[Origin]]
) -> frozenset[Origin]:
    while scope is not None:
        for inner in (scope, *scope.subquery_scopes):  # a scalar subquery's columns are found from the outer expression
            source = inner.sources.get(column.table)
            if isinstance(source, exp.Table):
                return frozenset({(f"{source.db}.{source.name}", column.name)})
            if isinstance(source, Scope):
                names = output_names(source)
                if column.name in names:
                    return _origins(source, names.index(column.name), memory)
                return frozenset().union(*(_origins(source, place, memory) for place in range(len(names))))
        scope = scope.parent
    return frozenset()
