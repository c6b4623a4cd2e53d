"""The `quality` entries of an ODCS file: conditions on rows (DuckDB SQL) and on the table (SodaCL)."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from lake.contract import Category, Column, RowRule, TableRule
from lake.odcs.document import Part, check_keys, did_you_mean
from lake.odcs.properties import custom_properties

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

OPERATORS: Mapping[str, tuple[str, str]] = {  # how a check passes, and its contrary
    "mustBe": ("= {0}", "!= {0}"),
    "mustNotBe": ("!= {0}", "= {0}"),
    "mustBeGreaterThan": ("> {0}", "<= {0}"),
    "mustBeGreaterOrEqualTo": (">= {0}", "< {0}"),
    "mustBeLessThan": ("< {0}", ">= {0}"),
    "mustBeLessOrEqualTo": ("<= {0}", "> {0}"),
    "mustBeBetween": ("between {0} and {1}", "not between {0} and {1}"),
    "mustNotBeBetween": ("not between {0} and {1}", "between {0} and {1}"),
}
METRICS: Mapping[str, str] = {
    "rowCount": "row_count",
    "nullValues": "missing",
    "missingValues": "missing",
    "duplicateValues": "duplicate",
    "invalidValues": "invalid",
}
KEYS = (
    *("type", "name", "description", "engine", "implementation", "metric", "arguments", "unit", "severity"),
    *("customProperties", "dimension", "businessImpact", "id", "tags", "method", "authoritativeDefinitions", "query"),
    *("schedule", "scheduler", "rule", *OPERATORS),
)
ENGINES = ("duckdb", "soda")
SEVERITIES = ("error", "warning")
UNITS = ("rows", "percent")
ARGUMENTS = ("properties", "missingValues", "validValues", "pattern")
RULE_PROPERTIES = ("category",)
CLOCKS = ("now", "get_current_timestamp", "transaction_timestamp")
SODA_METRICS = (
    "missing_count|missing_percent|duplicate_count|duplicate_percent|invalid_count|invalid_percent|min|max|avg|sum"
)


@dataclass(frozen=True)
class Quality:
    """What the `quality` entries of one element come to."""

    row_rules: tuple[RowRule, ...] = ()
    table_rules: tuple[TableRule, ...] = ()


def enum_rule(part: Part) -> Part | None:
    """Gives the `invalidValues` entry of a column that tolerates none and so is its enum; None without one."""
    if part.value.get("enum") is not None:
        return None
    for entry in part.each("quality"):
        arguments = entry.get("arguments")
        strict = entry.value.get("mustBe") == 0 and entry.text("severity") != "warning"
        if (
            entry.text("metric") == "invalidValues"
            and strict
            and arguments is not None
            and arguments.get("validValues")
        ):
            return entry
    return None


def read_quality(part: Part, columns: Mapping[str, Column], column: str | None) -> Quality:
    """Reads the `quality` of the table (`column` None) or of one column.

    Raises ContractError for what would not be evaluated: nothing a contract promises is silently left unchecked.
    """
    rows: list[RowRule] = []
    table: list[TableRule] = []
    judged_by_row = None if column is None else enum_rule(part)
    for entry in part.each("quality"):
        check_keys(entry, KEYS, "a quality rule")
        kind = entry.text("type") or "library"
        if judged_by_row is not None and entry.at == judged_by_row.at:
            continue
        if kind == "library":
            table += _library_rule(entry, columns, column)
        elif kind == "custom" and _engine(entry) == "duckdb":
            rows.append(_row_rule(entry, columns))
        elif kind == "custom":
            table.append(_soda_rule(entry, columns))
        elif kind == "sql":
            cure = "Write it as 'type: custom' with 'engine: duckdb' (each row) or 'engine: soda' (the table)."
            raise entry.fault("quality-unsupported", "A quality rule has 'type: sql', which is not run.", cure, "type")
        elif kind != "text":
            raise entry.fault(
                "quality-unsupported",
                f"Unknown quality type '{kind}' under key 'type'.",
                did_you_mean(kind, ("library", "custom", "text")),
                "type",
            )
    return Quality(tuple(rows), tuple(table))


def _engine(entry: Part) -> str:
    engine = entry.text("engine").lower()
    if engine not in ENGINES:
        message = f"A quality rule names the engine '{entry.text('engine')}', which is not run."
        raise entry.fault("quality-unsupported", message, did_you_mean(engine, ENGINES), "engine")
    if not isinstance(entry.value.get("implementation"), str) or not entry.text("implementation"):
        message = "A quality rule has no 'implementation' that is a text."
        raise entry.fault("quality-incomplete", message, "Write one condition in one text.", "implementation")
    return engine


def _name(entry: Part) -> str:
    name = entry.text("name")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        message = f"A quality rule has the name '{name}'." if name else "A quality rule has no 'name'."
        cure = "Give it one of letters, digits, '_' and '-': quarantined rows carry it as their reason."
        raise entry.fault("quality-unnamed", message, cure, "name")
    return name


def _row_rule(entry: Part, columns: Mapping[str, Column]) -> RowRule:
    name, expression = _name(entry), entry.text("implementation")
    check_expression(entry, expression, columns)
    properties = custom_properties(entry, RULE_PROPERTIES)
    category: Category = "BUSINESS_RULE_VIOLATION"
    if "category" in properties:
        found = properties["category"]
        if found.value not in get_args(Category):
            message = f"Rule '{name}' has the unknown category '{found.value}'."
            raise found.fault("category-unknown", message, did_you_mean(str(found.value), get_args(Category)))
        category = found.value
    return RowRule(name, expression, category, entry.text("description"), entry.line)


def check_expression(entry: Part, expression: str, columns: Mapping[str, Column]) -> None:
    """Raises ContractError for a row rule that does not parse, names other columns or looks beyond its row."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    key = "implementation"
    try:
        statements = sqlglot.parse(f"select {expression}\n", dialect="duckdb")
    except SqlglotError as error:
        problem = str(error).splitlines()[0].rstrip(".")
        cure = "Write one condition in DuckDB SQL, e.g. 'units >= 0'."
        raise entry.fault("rule-not-sql", f"The rule '{expression}' is no SQL: {problem}.", cure, key) from error
    tree = statements[0] if len(statements) == 1 else None
    parts = [arg for arg, value in tree.args.items() if value and arg != "expressions"] if tree is not None else []
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or parts:
        message = f"The rule '{expression}' is not one condition."
        raise entry.fault("rule-not-sql", message, "Write one condition, e.g. 'units >= 0 and price > 0'.", key)
    _check_scope(entry, expression, tree.expressions[0])
    _check_condition(entry, expression, tree.expressions[0], columns)
    for column in tree.find_all(exp.Column):
        first = column.parts[0].name
        if first.lower() not in columns:
            message = f"The rule '{expression}' names the unknown column '{first}'."
            raise entry.fault("column-unknown", message, did_you_mean(first, tuple(columns)), key)


def _check_scope(entry: Part, expression: str, tree: "Expr") -> None:
    from sqlglot import exp

    wide = (exp.Query, exp.AggFunc, exp.Window, exp.Star)
    clocks = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.CurrentDatetime, exp.Localtimestamp)
    for node in tree.walk():
        named = node.name.lower() if isinstance(node, exp.Anonymous) else ""
        if isinstance(node, wide):
            message = f"The rule '{expression}' looks beyond its own row ('{node.sql('duckdb')}')."
            cure = "Write it as a table rule ('engine: soda') or as a check in checks/raw/."
            raise entry.fault("rule-not-of-row", message, cure, "implementation")
        if isinstance(node, (*clocks, exp.Rand, exp.Uuid)) or named in CLOCKS:
            message = f"The rule '{expression}' answers differently each time ('{node.sql('duckdb')}')."
            cure = "Compare with a column or a fixed value: a replay must judge as the landing did."
            raise entry.fault("rule-not-repeatable", message, cure, "implementation")


def _check_condition(entry: Part, expression: str, tree: "Expr", columns: Mapping[str, Column]) -> None:
    from sqlglot import exp

    inner = tree.unnest()
    plain = isinstance(inner, exp.Column) and len(inner.parts) == 1 and inner.name.lower() in columns
    value = plain and columns[inner.name.lower()].sql_type != "boolean"
    if value or isinstance(inner, (exp.Literal, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Alias, exp.DPipe)):
        message = f"The rule '{expression}' is a value, not a condition."
        raise entry.fault("rule-not-sql", message, "Compare it with something, e.g. 'units >= 0'.", "implementation")


def _soda_rule(entry: Part, columns: Mapping[str, Column]) -> TableRule:
    line = entry.text("implementation").removeprefix("- ")
    metric = re.match(rf"(?:{SODA_METRICS})\s*\(([^)]*)\)", line)
    for name in [] if metric is None else [name.strip(' "') for name in metric[1].split(",")]:
        _check_column(entry, name, columns, "implementation")
    return TableRule(_name(entry), line, entry.line)


def _check_column(entry: Part, name: str, columns: Collection[str], key: str) -> None:
    if name.lower() not in columns:
        message = f"A quality rule names the unknown column '{name}' under '{key}'."
        raise entry.fault("column-unknown", message, did_you_mean(name, columns), key)


def _library_rule(entry: Part, columns: Mapping[str, Column], column: str | None) -> tuple[TableRule, ...]:
    metric = entry.text("metric")
    if metric not in METRICS:
        message = f"A quality rule has the unknown metric '{metric}'." if metric else "A quality rule has no 'metric'."
        raise entry.fault("quality-unsupported", message, did_you_mean(metric, tuple(METRICS)), "metric")
    arguments = entry.get("arguments") or Part({}, entry.path, entry.lines, entry.at)
    check_keys(arguments, ARGUMENTS, f"the arguments of '{metric}'")
    subjects = _subjects(entry, arguments, metric, column, columns)
    measure, threshold, contrary = _measure(entry, metric, subjects)
    settings = _settings(entry, arguments, metric)
    name = entry.text("name") or "_".join((METRICS[metric], *subjects))
    warns = entry.text("severity") == "warning"
    if not settings and not warns:
        return (TableRule(name, f"{measure} {threshold}", entry.line),)
    verdict = f"    warn: when {contrary}" if warns else f"    fail: when {contrary}"
    return (TableRule(name, "\n".join((f"{measure}:", *settings, verdict)), entry.line),)


def _subjects(
    entry: Part, arguments: Part, metric: str, column: str | None, columns: Mapping[str, Column]
) -> tuple[str, ...]:
    listed = tuple(str(name.value) for name in arguments.each("properties"))
    names = listed if column is None or column in listed else (column, *listed)
    for name in names:
        _check_column(arguments, name, columns, "properties")
    if metric == "rowCount":
        return ()
    if not names:
        cure = "Move the rule to that column, or name columns under 'arguments: {properties: [...]}'."
        raise entry.fault("quality-incomplete", f"The metric '{metric}' needs a column.", cure, "metric")
    if len(names) > 1 and metric != "duplicateValues":
        message = f"The metric '{metric}' takes one column, not {len(names)}."
        raise arguments.fault("quality-incomplete", message, "Write one rule for each column.", "properties")
    return names


def _measure(entry: Part, metric: str, subjects: tuple[str, ...]) -> tuple[str, str, str]:
    """Gives what is measured, the threshold it must meet and the contrary of that threshold, all as SodaCL."""
    found = [name for name in OPERATORS if name in entry.value]
    if len(found) != 1:
        message = f"The metric '{metric}' has {len(found)} thresholds."
        raise entry.fault("quality-incomplete", message, f"Give it one of: {', '.join(OPERATORS)}.", "metric")
    for key, known in (("unit", UNITS), ("severity", SEVERITIES)):
        if (word := entry.text(key)) and word not in known:
            message = f"A quality rule has '{word}' under '{key}'."
            raise entry.fault("quality-unsupported", message, did_you_mean(word, known), key)
    percent = entry.text("unit") == "percent" and metric != "rowCount"
    bounds = entry.value[found[0]]
    numbers = bounds if isinstance(bounds, list) else [bounds]
    if len(numbers) != OPERATORS[found[0]][0].count("{") or any(
        isinstance(n, (str, bool, type(None))) for n in numbers
    ):
        message = f"Key '{found[0]}' holds '{bounds}'."
        raise entry.fault("quality-incomplete", message, "Write a number, or two of them for 'Between'.", found[0])
    written = [f"{number}%" if percent else f"{number}" for number in numbers]
    measure = METRICS[metric]
    if subjects:
        measure = f"{measure}_{'percent' if percent else 'count'}({', '.join(subjects)})"
    return measure, OPERATORS[found[0]][0].format(*written), OPERATORS[found[0]][1].format(*written)


def _settings(entry: Part, arguments: Part, metric: str) -> tuple[str, ...]:
    wanted = {"missingValues": ("missingValues",), "invalidValues": ("validValues", "pattern")}.get(metric, ())
    titles = {"missingValues": "missing values", "validValues": "valid values", "pattern": "valid regex"}
    lines = [
        f"    {titles[key]}: {_yaml(arguments.value[key])}" for key in wanted if arguments.value.get(key) is not None
    ]
    if metric == "invalidValues" and not lines:
        message = "The metric 'invalidValues' does not say what is valid."
        cure = "Add 'arguments: {validValues: [...]}' or 'arguments: {pattern: ...}'."
        raise entry.fault("quality-incomplete", message, cure, "metric")
    return tuple(lines)


def _yaml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_yaml(entry) for entry in value)}]"
    return str(value) if not isinstance(value, str) else "'" + value.replace("'", "''") + "'"
