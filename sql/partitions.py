"""Which partitions of a model a changed row can reach, read out of the SQL itself.

The question: is there an expression over one input's columns such that a model row whose partition is *p* depends only
on input rows for which the expression gives *p*? Then the changed rows name the partitions to rebuild, and the others
stay. The answer follows the select from the inside out. At each step a column is *carried* while its value still says
which input rows its row came from: projections, filters and joins to other tables carry it; grouping carries the keys,
a window what it is partitioned by, a set operation what both sides agree on. What is not understood carries nothing.
"""

from collections.abc import Iterable, Mapping, Sequence

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from sql.lineage import Schemas, output_names, qualified_scope
from sql.models import Model
from sql.selects import parse_select

Carried = Mapping[str, exp.Expr]  # output column → expression over the input's columns
SELECT_PARTS = {
    "expressions", "from_", "joins", "where", "group", "having", "qualify", "order", "distinct", "with_",
}  # fmt: skip
UNION_PARTS = {"this", "expression", "distinct", "with_", "order"}
TABLE_PARTS = {"this", "db", "alias"}
OPAQUE = (exp.AggFunc, exp.Window, exp.Query, exp.UDTF, exp.Star, exp.Columns, exp.Lambda, exp.Placeholder)
SCALARS = {  # functions of one row that the parser does not know by name
    *("timezone", "time_bucket", "make_timestamp", "make_timestamptz", "make_date", "to_timestamp"),
    *("epoch", "epoch_ms", "epoch_us", "epoch_ns", "isodow", "isoyear", "yearweek", "week", "quarter", "last_day"),
}


def partition_expression(model: Model, models: Mapping[str, Model], table: str, schemas: Schemas) -> exp.Expr | None:
    """Gives, over a table's columns, which partition of the model each of its rows reaches; None: not known.

    Takes the columns of every table the model reads, through views.
    """
    tree = _expand(model, models)
    if any(found.args.get("recursive") for found in tree.find_all(exp.With)):
        return None
    scope = qualified_scope(tree, schemas)
    carried = None if scope is None else _carried(scope, table)
    return None if carried is None else carried.get(model.header.partition or "")


def _expand(model: Model, models: Mapping[str, Model]) -> exp.Query:
    """Gives a model's tree with every view it reads written out as a subquery."""
    tree = parse_select(model.sql).copy()
    for node in list(tree.find_all(exp.Table)):
        read = models.get(f"{node.db}.{node.name}".lower())
        if read is not None and not read.is_table:
            node.replace(exp.Subquery(this=_expand(read, models), alias=_alias_of(node)))
    return tree


def _alias_of(node: exp.Table) -> exp.TableAlias:
    alias = node.args.get("alias")
    return alias.copy() if alias is not None else exp.TableAlias(this=exp.to_identifier(node.name))


def _carried(scope: Scope, table: str) -> Carried | None:
    """Gives what a scope's columns carry of a table; None when the scope does not depend on it, {} when nothing is."""
    if scope.set_operation_scopes:
        return _carried_by_union(scope, table)
    if not isinstance(scope.expression, exp.Select):
        return {} if _reads(scope.expression, table) else None
    select = scope.expression
    sources = {alias: _carried_by_source(source, table) for alias, (_, source) in scope.selected_sources.items()}
    dependent = {alias: carried for alias, carried in sources.items() if carried is not None}
    in_subqueries = any(_carried(inner, table) is not None for inner in scope.subquery_scopes)
    if not dependent and not in_subqueries:
        return {} if _reads(select, table) else None
    if in_subqueries or _reshaped(select) or _unknown_parts(select, SELECT_PARTS):
        return {}
    joined = _joined(select, dependent)
    return {} if joined is None else _projected(select, scope, *joined)


def _carried_by_source(source: exp.Table | Scope, table: str) -> Carried | None:
    if isinstance(source, Scope):
        return _carried(source, table)
    if f"{source.db}.{source.name}" != table:
        return None
    return _EveryColumn()


class _EveryColumn(dict[str, exp.Expr]):
    """What the table itself carries: each of its columns, as itself."""

    def __missing__(self, name: str) -> exp.Expr:
        return exp.column(exp.to_identifier(name, quoted=True))


def _carried_by_union(scope: Scope, table: str) -> Carried | None:
    sides = [(_carried(part, table), output_names(part)) for part in scope.set_operation_scopes]
    dependent = [(carried, names) for carried, names in sides if carried is not None]
    if not dependent:
        return None
    if _unknown_parts(scope.expression, UNION_PARTS):
        return {}
    places = [[carried.get(name) for name in names] for carried, names in dependent]
    agreed = [
        column[0] if all(found == column[0] for found in column) else None for column in zip(*places, strict=True)
    ]
    return {name: found for name, found in zip(sides[0][1], agreed, strict=True) if found is not None}


def _joined(
    select: exp.Select, dependent: Mapping[str, Carried]
) -> tuple[Mapping[str, Carried], list[list[exp.Expr]]] | None:
    """Gives what each joined source carries, and the expressions all joined rows agree on; None when joins lose it."""
    start = select.args["from_"].this.alias_or_name
    carried = {start: dependent[start]} if start in dependent else {}
    agreements = []
    for join in select.args.get("joins") or ():
        alias, side, kind = join.alias_or_name, join.side, join.kind
        if join.args.get("method") or side in ("RIGHT", "FULL") or kind not in ("", "INNER", "CROSS", "LEFT", "OUTER"):
            return None
        if alias not in dependent:
            continue
        if side == "LEFT" and not carried:
            return None
        if carried:
            agreements.append(_agreed(join.args.get("on"), {**carried, alias: dependent[alias]}, alias))
        if side != "LEFT":
            carried[alias] = dependent[alias]
    seen = {start, *(join.alias_or_name for join in select.args.get("joins") or ())}
    return (carried, agreements) if seen >= set(dependent) else None


def _agreed(condition: exp.Expr | None, carried: Mapping[str, Carried], alias: str) -> list[exp.Expr]:
    """Gives the expressions that a join makes equal on both its sides."""
    found = []
    for equal in () if condition is None else condition.flatten() if isinstance(condition, exp.And) else (condition,):
        if isinstance(equal, exp.EQ):
            sides = [_resolve(side, carried) for side in (equal.left, equal.right)]
            tables = [{column.table for column in side.find_all(exp.Column)} for side in (equal.left, equal.right)]
            apart = ({alias} in tables) and sum(alias in names for names in tables) == 1
            if apart and sides[0] is not None and sides[0] == sides[1]:
                found.append(sides[0])
    return found


def _projected(
    select: exp.Select, scope: Scope, carried: Mapping[str, Carried], agreements: list[list[exp.Expr]]
) -> Carried:
    """Gives the output columns that still say which rows they came from."""
    group = select.args.get("group")
    distinct = select.args.get("distinct")
    if (group is not None and _unknown_parts(group, {"expressions", "all"})) or (distinct and distinct.args.get("on")):
        return {}
    keys = list(agreements)
    if group is not None or any(True for _ in scope.find_all(exp.AggFunc) if not isinstance(_.parent, exp.Window)):
        keys.append(_resolved(_group_keys(select, group), carried))
    keys.extend(_resolved(window.args.get("partition_by") or (), carried) for window in scope.find_all(exp.Window))
    outputs = {projection.alias_or_name: _resolve(projection.unalias(), carried) for projection in select.selects}
    return {
        name: found
        for name, found in outputs.items()
        if found is not None and all(_depends_only_on(found, key) for key in keys)
    }


def _group_keys(select: exp.Select, group: exp.Group | None) -> Sequence[exp.Expr]:
    if group is None:
        return ()
    if group.args.get("all"):
        return [node.unalias() for node in select.selects if node.find(*OPAQUE) is None and _known_functions(node)]
    return list(group.expressions)


def _resolved(nodes: Iterable[exp.Expr], carried: Mapping[str, Carried]) -> list[exp.Expr]:
    return [found for node in nodes if (found := _resolve(node, carried)) is not None]


def _resolve(node: exp.Expr, carried: Mapping[str, Carried]) -> exp.Expr | None:
    """Gives an expression in terms of the input's columns; None when it is not a function of one input row."""
    if node.find(*OPAQUE) is not None or not _known_functions(node):
        return None
    if isinstance(node, exp.Column):
        return _column(node, carried)
    if isinstance(node, exp.Coalesce):  # a join's shared column: both sides are the same
        sides = [_resolve(side, carried) for side in (node.this, *node.expressions)]
        if sides[0] is not None and all(side == sides[0] for side in sides):
            return sides[0]
    copy = node.copy()
    for column in list(copy.find_all(exp.Column)):
        found = _column(column, carried)
        if found is None:
            return None
        column.replace(exp.paren(found.copy()) if isinstance(found, exp.Binary) else found.copy())
    return copy


def _column(column: exp.Column, carried: Mapping[str, Carried]) -> exp.Expr | None:
    source = carried.get(column.table)
    if source is None:
        return None
    return source[column.name] if isinstance(source, _EveryColumn) else source.get(column.name)


def _depends_only_on(node: exp.Expr, keys: Sequence[exp.Expr]) -> bool:
    if node in keys:
        return True
    if isinstance(node, exp.Column):
        return False
    return all(_depends_only_on(child, keys) for child in node.iter_expressions())


def _known_functions(node: exp.Expr) -> bool:
    return all(found.name.lower() in SCALARS for found in node.find_all(exp.Anonymous))


def _unknown_parts(node: exp.Expr, known: set[str]) -> bool:
    return any(value for part, value in node.args.items() if part not in known)


def _reshaped(select: exp.Select) -> bool:
    """Whether a source is more than a table or a subquery: pivoted, sampled, lateral, joined in parentheses."""
    sources = [select.args["from_"].this, *(join.this for join in select.args.get("joins") or ())]
    plain = [node for node in sources if isinstance(node, exp.Table | exp.Subquery)]
    others = [node for node in sources if not isinstance(node, exp.Table | exp.Subquery | exp.Unnest | exp.Values)]
    return bool(others) or any(_unknown_parts(node, TABLE_PARTS) for node in plain)


def _reads(node: exp.Expr, table: str) -> bool:
    return any(f"{found.db}.{found.name}" == table for found in node.find_all(exp.Table))
