"""A contract as one DuckDB statement: read as text, try each cast, judge each rule, say every reason.

The statement gives a row per record: our columns, typed, and `_reasons`, a list of reason codes that is null for a
row that is as promised. Codes are short (`required:sold_at`, `rule:revenue-not-negative`); `reason_table` says what
they mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from lake.contract import Category, Column, Contract
from lake.engine import literal, quote
from lake.formats.reading import UNKNOWN_KEYS
from lake.landing.drift import Drift

INTEGERS = {"tinyint", "smallint", "integer", "bigint", "hugeint"}
ZONED = (  # whether a text says its offset: a Z, or a sign behind the time of day
    "(suffix({text}, 'Z') or (strlen({text}) > 19 and (contains(substr({text}, 20), '+') "
    "or contains(substr({text}, 20), '-') or contains(substr({text}, 20), ' '))))"
)
MIDNIGHT = r"\d{4}-\d{2}-\d{2}[ T]00:00(:00(\.0+)?)?Z?"  # a date written as an instant loses nothing
ISO_DATE = r"\d{4}-\d{2}-\d{2}"
DATE_LENGTH = 10
INSTANTS = {"date", "timestamp", "timestamptz", "timestamp with time zone"}
LEAVES = (  # how many values a nested JSON holds: one of another type, or undeclared, would be lost by the cast
    "len(list_filter(json_extract({}, '$..*'), lambda leaf: json_type(leaf) not in ('OBJECT', 'ARRAY', 'NULL')))"
)


@dataclass(frozen=True)
class Reason:
    """One way a row can break its contract: `condition` is SQL that is true for such a row."""

    code: str
    condition: str
    rule: str
    category: Category
    column: str | None
    message: str


def typed_select(
    contract: Contract,
    received: Sequence[str],
    source_sql: str,
    drift: Drift,
    looked_for: Sequence[Reason] | None = None,
) -> str:
    """Gives the statement over `source_sql`, whose columns are the received ones, as text.

    Contract columns that were not received read as missing; columns that drift adds are kept as text. `looked_for` are
    the reasons told of, all of the contract's unless given.
    """
    names = [column.name for column in contract.columns] + [kept for _, kept in drift.added]
    reasons = _reasons_sql(contract_reasons(contract) if looked_for is None else looked_for, drift)
    if UNKNOWN_KEYS in received:
        keys = quote(UNKNOWN_KEYS)
        told = f"'drift:The record has the unknown ' || {keys} || '.'"
        reasons = f"case when {keys} is not null then [{told}] else {reasons} end"
    return f"""
        select {", ".join(quote(name) for name in names)}, {reasons} as _reasons
        from (
            select {", ".join(_typed_columns(contract, received, drift.added))}
            from ({source_sql})
        )
    """


def _reasons_sql(reasons: Sequence[Reason], drift: Drift) -> str:
    """Gives the list of a row's reasons, null where there is none."""
    if drift.complaint is not None:
        return f"[{literal(f'drift:{drift.complaint}')}]"
    wrong = " or ".join(f"({reason.condition})" for reason in reasons) or "false"
    cases = ", ".join(f"case when {reason.condition} then {literal(reason.code)} end" for reason in reasons)
    found = f"list_filter([{cases}], lambda reason: reason is not null)" if reasons else "null::varchar[]"
    return f"case when {wrong} then {found} end"


def contract_reasons(contract: Contract) -> list[Reason]:
    """Gives every way a row can break a contract, in the order in which reasons are told."""
    reasons = [reason for column in contract.columns for reason in _required(column)]
    reasons += [reason for column in contract.columns for reason in _mistyped(column)]
    reasons += [reason for column in contract.columns for reason in _out_of_bounds(column)]
    return reasons + rule_reasons(contract)


def rule_reasons(contract: Contract) -> list[Reason]:
    """Gives the ways a row can break the rules over a row."""
    reasons = []
    for rule in contract.rules:
        met = f"try(cast(({rule.expression}) as boolean))"
        whole = " and ".join(f"{quote(name)} is not null" for name in rule_columns(rule.expression, contract)) or "true"
        condition = f"not coalesce({met}, not ({whole}))"
        words = rule.description or f"The rule {rule.name!r} is not met: {rule.expression}"
        reasons.append(Reason(f"rule:{rule.name}", condition, rule.name, rule.category, None, words))
    return reasons


def reason_table(contract: Contract) -> pa.Table:
    """Gives what reason codes mean: `code, rule, category, column_name, message`."""
    reasons = contract_reasons(contract)
    return pa.table(
        {
            "code": [reason.code for reason in reasons],
            "rule": [reason.rule for reason in reasons],
            "category": [str(reason.category) for reason in reasons],
            "column_name": pa.array([reason.column for reason in reasons], pa.string()),
            "message": [reason.message for reason in reasons],
        },
        schema=pa.schema([(name, pa.string()) for name in ("code", "rule", "category", "column_name", "message")]),
    )


def rule_columns(expression: str, contract: Contract) -> list[str]:
    """Gives the contract's columns that a rule names, read from the expression's parsed form."""
    named = _names_in(expression)
    return [column.name for column in contract.columns if column.name.lower() in named]


def names_columns_alone(expression: str, contract: Contract) -> bool:
    """Says whether a rule can be judged by the columns it names, at least one, without the rest of the row."""
    named = _names_in(expression)
    return bool(named) and named <= {column.name.lower() for column in contract.columns}


def _names_in(expression: str) -> set[str]:
    """Gives what stands for a column in an expression, in lower case."""
    import sqlglot  # 0.1 s that a landing without rules need not pay
    from sqlglot import expressions

    parsed = sqlglot.parse_one(expression, dialect="duckdb")
    return {column.parts[0].name.lower() for column in parsed.find_all(expressions.Column)}


def _typed_columns(contract: Contract, received: Sequence[str], extra: Sequence[tuple[str, str]]) -> list[str]:
    found = set(received)
    selected = []
    for column in contract.columns:
        text = quote(column.source_name) if column.source_name in found else "null::varchar"
        selected.append(f"{_value(column, text)} as {quote(column.name)}")
        selected.append(f"{text} as {_text(column)}")
    selected += [quote(UNKNOWN_KEYS)] if UNKNOWN_KEYS in found else []
    return selected + [f"{quote(name)} as {quote(kept)}" for name, kept in extra]


def _text(column: Column) -> str:
    return quote(f"text of {column.name}")


def _value(column: Column, text: str) -> str:
    typed = cast_sql(column, text)
    if column.default is None:
        return typed
    return f"case when {text} is null then cast({column.default} as {column.sql_type}) else {typed} end"


def cast_sql(column: Column, text: str) -> str:
    """Gives a text in a column's type, read as the contract says; null when it is none."""
    kind = column.sql_type.lower()
    if kind == "varchar":
        return text
    if kind == "json":
        return f"case when json_valid({text}) then {text} end"
    if _is_nested(kind):
        return f"try_cast(try_cast({text} as json) as {column.sql_type})"
    if kind == "date":
        return f"cast({_moment(column, text)} as date)" if column.formats else f"try_cast({text} as date)"
    if kind in {"timestamp with time zone", "timestamptz"}:
        return _instant(column, text)
    if kind == "timestamp":
        return _moment(column, text)
    return f"try_cast({text} as {column.sql_type})"


def _is_nested(kind: str) -> bool:
    return kind.startswith(("struct", "map")) or kind.endswith("]")


def _moment(column: Column, text: str) -> str:
    """Gives what the text says, as timestamp; with `%z` in a format as timestamptz."""
    if not column.formats:
        return f"try_cast({text} as timestamp)"
    return f"try_strptime({text}, [{', '.join(literal(form) for form in column.formats)}])"


def _instant(column: Column, text: str) -> str:
    """Gives an instant: by the offset where the text has one, else by the column's zone.

    DuckDB's cast to timestamp silently drops an offset, and its cast to timestamptz is dear for texts without one.
    """
    moment = _moment(column, text)
    if any("%z" in form for form in column.formats):
        return moment
    in_utc = column.time_zone in (None, "UTC", "Etc/UTC", "Z")
    local = (
        f"make_timestamptz(epoch_us({moment}))" if in_utc else f"timezone({literal(str(column.time_zone))}, {moment})"
    )
    if column.formats:
        return local
    return f"case when {ZONED.format(text=text)} then try_cast({text} as timestamptz) else {local} end"


def _required(column: Column) -> list[Reason]:
    if not column.required or column.default is not None:
        return []
    message = f"{column.name} is required and missing."
    category: Category = "MISSING_REQUIRED_FIELD"
    return [Reason(f"required:{column.name}", f"{_text(column)} is null", "required", category, column.name, message)]


def _mistyped(column: Column) -> list[Reason]:
    kind = column.sql_type.lower()
    if kind == "varchar":
        return []
    text, value = _text(column), quote(column.name)
    wrong = [f"({text} is not null and {value} is null)"]
    if kind in INTEGERS:
        wrong.append(
            f"case when contains({text}, '.') then try_cast({text} as decimal(38, 9)) <> {value} else false end"
        )
    if kind.startswith("decimal"):
        scale = int(kind.rstrip(")").split(",")[1]) if "," in kind else 0
        digits = f"strlen({{}}) - strpos({text}, '.')"
        wrong.append(
            f"case when strpos({text}, '.') > 0 and {digits.format(text)} > {scale} "
            f"then {digits.format(f'''rtrim({text}, '0 ')''')} > {scale} else false end"
        )
    if kind == "date" and not column.formats:
        wrong.append(
            f"case when strlen({text}) = {DATE_LENGTH} then false "
            f"else {value} is not null and not regexp_full_match(trim({text}), {literal(f'{ISO_DATE}|{MIDNIGHT}')}) end"
        )
    if kind == "timestamp" and not column.formats:
        wrong.append(ZONED.format(text=text))  # a wall clock's time has no offset, and casting would drop it
    if kind in INSTANTS and not column.formats:
        wrong.append(
            f"not (ascii(ltrim({text})) between ascii('0') and ascii('9'))"
        )  # DuckDB takes `epoch`, `infinity`
    if _is_nested(kind):
        wrong.append(f"{LEAVES.format(f'try_cast({text} as json)')} > {LEAVES.format(f'to_json({value})')}")
    if kind in {"double", "float", "real"}:
        wrong.append(f"not isfinite({value})")
    expected = f" ({' or '.join(column.formats)})" if column.formats else ""
    message = f"{column.name} is not of type {column.sql_type}{expected}."
    condition = " or ".join(wrong)
    return [Reason(f"type:{column.name}", condition, "type", "DATA_FORMAT_ERROR", column.name, message)]


def _out_of_bounds(column: Column) -> list[Reason]:
    value, text = quote(column.name), f"cast({quote(column.name)} as varchar)"
    quality: Category = "DATA_QUALITY_ISSUE"
    bounds: list[tuple[str, str, str]] = []
    if column.enum:
        allowed = ", ".join(literal(item) for item in column.enum)
        bounds.append(("enum", f"not list_contains([{allowed}], {text})", f"is none of {', '.join(column.enum)}"))
    if column.minimum is not None:
        bounds.append(("minimum", f"{value} < {_bound(column, column.minimum)}", f"is below {column.minimum}"))
    if column.maximum is not None:
        bounds.append(("maximum", f"{value} > {_bound(column, column.maximum)}", f"is above {column.maximum}"))
    if column.pattern is not None:
        condition = f"not regexp_full_match({text}, {literal(column.pattern)})"
        bounds.append(("pattern", condition, f"does not match {column.pattern}"))
    if column.min_length is not None:
        bounds.append(("min-length", f"length({text}) < {column.min_length}", f"is shorter than {column.min_length}"))
    if column.max_length is not None:
        bounds.append(("max-length", f"length({text}) > {column.max_length}", f"is longer than {column.max_length}"))
    return [
        Reason(f"{rule}:{column.name}", condition, rule, quality, column.name, f"{column.name} {words}.")
        for rule, condition, words in bounds
    ]


def _bound(column: Column, bound: str) -> str:
    return f"cast({literal(bound)} as {column.sql_type})"
