"""The checks of SQL DDL: a list of values, bounds, or a condition on the row."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

BOUNDS: Mapping[type[exp.Expr], str] = {
    exp.GTE: "minimum",
    exp.LTE: "maximum",
    exp.GT: "exclusiveMinimum",
    exp.LT: "exclusiveMaximum",
}
FLIPPED = {
    "minimum": "maximum",
    "maximum": "minimum",
    "exclusiveMinimum": "exclusiveMaximum",
    "exclusiveMaximum": "exclusiveMinimum",
}
# What means the same to every database, for each row by itself.
SAME_EVERYWHERE = (
    *(exp.And, exp.Or, exp.Not, exp.Paren, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In),
    *(exp.Is, exp.Null, exp.Column, exp.Identifier, exp.Literal, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Boolean),
    exp.Length,
)
SINGLE = (exp.Column, exp.Literal, exp.Neg, exp.Cast, exp.Array, exp.Boolean, exp.Null)
TEXT_TYPES = (exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR, exp.DataType.Type.CHAR, exp.DataType.Type.BPCHAR)


@dataclass(frozen=True)
class Check:
    """What one condition comes to: values or a bound of a column, or (column None) a condition on the row."""

    column: str | None
    key: str
    value: object


def read_checks(condition: exp.Expr) -> Iterator[Check]:
    """Gives what a check promises, one for each part that must hold; `key` is "" for what cannot be carried over."""
    for part in _parts(_bare(condition)):
        yield from _listed(part) or _bounded(part) or [_condition(part)]


def literal_text(node: exp.Expr | None) -> str | None:
    """Gives the text of a constant: a string, a number, true or false; None for anything else."""
    node = None if node is None else _bare(node)
    if isinstance(node, exp.Literal):
        return str(node.this)
    if isinstance(node, exp.Boolean):
        return "true" if node.this else "false"
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal):
        return f"-{node.this.this}"
    return None


def _bare(node: exp.Expr) -> exp.Expr:
    """Gives a condition without casts of constants and of texts to text, nor brackets around a single value."""

    def strip(found: exp.Expr) -> exp.Expr:
        while _is_idle_cast(found) or (isinstance(found, exp.Paren) and isinstance(found.unnest(), SINGLE)):
            found = found.this
        return found

    return strip(node.copy().unnest().transform(strip)).unnest()


def _is_idle_cast(node: exp.Expr) -> bool:
    if not isinstance(node, exp.Cast):
        return False
    inner = node.this.unnest()
    while isinstance(inner, exp.Cast):
        inner = inner.this.unnest()
    to_text = node.to.this in TEXT_TYPES
    return isinstance(inner, (exp.Literal, exp.Neg, exp.Array)) or (to_text and isinstance(inner, exp.Column))


def _parts(node: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(node, exp.And):
        yield from _parts(node.left.unnest())
        yield from _parts(node.right.unnest())
    else:
        yield node


def _listed(node: exp.Expr) -> list[Check]:
    values: list[str | None] = []
    if isinstance(node, exp.In) and isinstance(node.this, exp.Column):
        values = [literal_text(entry) for entry in node.expressions]
    elif isinstance(node, exp.EQ) and isinstance(node.left, exp.Column) and isinstance(node.right, exp.Any):
        array = _bare(node.right.this)
        values = [literal_text(entry) for entry in array.expressions] if isinstance(array, exp.Array) else []
    if not values or None in values:
        return []
    return [Check(node.this.name, "enum", tuple(dict.fromkeys(values)))]


def _bounded(node: exp.Expr) -> list[Check]:
    if isinstance(node, exp.Between) and isinstance(node.this, exp.Column):
        low, high = literal_text(node.args["low"]), literal_text(node.args["high"])
        name = node.this.name
        return [] if low is None or high is None else [Check(name, "minimum", low), Check(name, "maximum", high)]
    key = BOUNDS.get(type(node))
    if key is None or not isinstance(node, exp.Binary):
        return []
    column, value = node.left, literal_text(node.right)
    if not isinstance(column, exp.Column):
        column, value, key = node.right, literal_text(node.left), FLIPPED[key]
    return [Check(column.name, key, value)] if isinstance(column, exp.Column) and value is not None else []


def _condition(node: exp.Expr) -> Check:
    if all(isinstance(part, SAME_EVERYWHERE) for part in node.walk()):
        return Check(None, "rule", node.sql("duckdb", identify=True))
    return Check(None, "", node.sql())
