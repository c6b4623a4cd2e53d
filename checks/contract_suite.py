"""The checks a contract implies, for the raw gate: landing already sorted the rows; these prove that it did."""

import json
import re
from collections.abc import Iterator
from math import ceil

from checks.suites import Suite
from lake.contract import Column, Contract
from lake.engine import literal, quote
from lake.errors import ContractError

CheckLines = list[tuple[str, int]]  # a line of SodaCL, and the line of the contract it comes from
DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$", re.IGNORECASE)
KEYS_COMPARED = 1_000_000  # about 0.1 s
HOUR, DAY, YEAR = 60, 1440, 525_600
MINUTES = {"m": 1, "min": 1, "minute": 1, "h": HOUR, "hr": HOUR, "hour": HOUR, "d": DAY, "day": DAY}
MINUTES |= {"w": 7 * DAY, "week": 7 * DAY, "y": YEAR, "yr": YEAR, "year": YEAR}


def contract_suite(contract: Contract, *, candidate_rows: int | None = None) -> Suite:
    """Gives the raw gate's checks of one source.

    Takes: how many rows the candidate has (None: unknown). Shape, required and allowed values, ranges and row rules
    cost one pass together. Uniqueness costs a pass of its own (10 M rows: 1-2 s, everything else 0.3 s); it stands
    there under first-wins only, where raw holds one row per key, and beyond a million rows it looks at every n-th key:
    landing has compared them all, and what breaks that comparison shows in any share of the keys. Values of restricted
    columns are stored encrypted, so only their presence is checked. Freshness and volume warn: holding back a late or
    an empty batch would not make it fresher. Raises: ContractError for an SLA that is no duration.
    """
    checks: CheckLines = [(f"checks for {contract.source}:", 1)]
    checks += _shape(contract)
    checks += [("  - row_count:", 1), ("      name: has rows", 1), ("      warn: when < 1", 1)]
    for column in contract.columns:
        checks += _column_checks(column)
    if contract.duplicates == "first-wins":
        checks += _uniqueness(contract, candidate_rows or 0)
    checks += _row_rules(contract)
    checks += _freshness(contract)
    for rule in contract.table_rules:
        checks += _as_written(rule.sodacl, rule.line)
    lines = tuple(line for _, line in checks)
    return Suite("raw", f"raw.{contract.source}", "\n".join(text for text, _ in checks), contract.path, lines)


def _shape(contract: Contract) -> CheckLines:
    names = [column.name for column in contract.columns]
    types = {
        column.name: "varchar" if column.sql_type == "json" else column.sql_type  # Delta keeps JSON as text
        for column in contract.columns
        if column.privacy != "restricted"
    }
    return [
        ("  - schema:", 1),
        ("      name: columns and types", 1),
        ("      fail:", 1),
        (f"        when required column missing: {json.dumps(names)}", 1),
        (f"        when wrong column type: {json.dumps(types)}", 1),
    ]


def _column_checks(column: Column) -> CheckLines:
    checks: CheckLines = []
    if column.required:
        checks += _check(f"missing_count({quote(column.name)}) = 0", f"{column.name} is present", column.line)
    if column.privacy == "restricted":
        return checks
    if column.enum:
        checks += _check(f"invalid_count({quote(column.name)}) = 0", f"{column.name} is a known value", column.line)
        checks += [(f"      valid values: {json.dumps(column.enum)}", column.line)]
    for name, condition in _value_conditions(column):
        checks += _failed_rows(name, condition, column.line, kind="validity")
    return checks


def _value_conditions(column: Column) -> Iterator[tuple[str, str]]:
    """Gives what makes a value of the column wrong, in words and in SQL; null is never wrong here."""
    name, sql_type = quote(column.name), column.sql_type
    if column.minimum is not None:
        bound = f"cast({literal(column.minimum)} as {sql_type})"
        yield f"{column.name} is at least {column.minimum}", f"{name} < {bound}"
    if column.maximum is not None:
        bound = f"cast({literal(column.maximum)} as {sql_type})"
        yield f"{column.name} is at most {column.maximum}", f"{name} > {bound}"
    if column.pattern is not None:
        matches = f"regexp_full_match({name}, {literal(column.pattern)})"
        yield f"{column.name} matches its pattern", f"not {matches}"
    if column.min_length is not None:
        yield f"{column.name} has at least {column.min_length} characters", f"length({name}) < {column.min_length}"
    if column.max_length is not None:
        yield f"{column.name} has at most {column.max_length} characters", f"length({name}) > {column.max_length}"


def _uniqueness(contract: Contract, row_count: int) -> CheckLines:
    first_key_line = contract.column(contract.key[0]).line if contract.key else 1
    identities = {contract.key: first_key_line} if contract.key else {}
    identities |= {(column.name,): column.line for column in contract.columns if column.unique}
    shares = ceil(row_count / KEYS_COMPARED)
    checks: CheckLines = []
    for names, line in identities.items():
        columns = ", ".join(map(quote, names))
        scope = f" (1 key in {shares})" if shares > 1 else ""
        checks += _check(f"duplicate_count({columns}) = 0", f"{', '.join(names)} is unique{scope}", line)
        if shares > 1:
            checks += [(f"      filter: {json.dumps(f'hash({columns}) % {shares} = 0')}", line)]
    return checks


def _row_rules(contract: Contract) -> CheckLines:
    """Leaves out rules about restricted columns: what they compare is encrypted by the time a gate sees it."""
    restricted = [column.name for column in contract.columns if column.privacy == "restricted"]
    checks: CheckLines = []
    for rule in contract.rules:
        if not any(re.search(rf"\b{re.escape(name)}\b", rule.expression, re.IGNORECASE) for name in restricted):
            checks += _failed_rows(rule.name, f"not ({rule.expression})", rule.line, kind="rule")
    return checks


def _freshness(contract: Contract) -> CheckLines:
    promised = contract.sla.get("freshness", contract.sla.get("latency"))
    if contract.watermark is None or promised is None:
        return []
    line = contract.column(contract.watermark).line
    duration = DURATION.match(promised)
    minutes = None if duration is None else MINUTES.get(duration[2].lower().removesuffix("s"))
    if duration is None or minutes is None:
        message = f"The SLA's latency '{promised}' is no duration."
        cure = "Write a number and a unit, e.g. 36 h or 2 d."
        raise ContractError("contract-sla-invalid", message, cure=cure, path=contract.path, line=line)
    limit = round(float(duration[1]) * minutes)
    return [
        (f"  - {json.dumps(f'freshness({quote(contract.watermark)})')}:", line),
        (f"      name: {json.dumps(f'{contract.watermark} is at most {promised} old')}", line),
        (f"      warn: when > {limit}m", line),
    ]


def _check(sodacl: str, name: str, line: int) -> CheckLines:
    return [(f"  - {json.dumps(sodacl)}:", line), (f"      name: {json.dumps(name)}", line)]


def _failed_rows(name: str, condition: str, line: int, *, kind: str) -> CheckLines:
    return [
        ("  - failed rows:", line),
        (f"      name: {json.dumps(name)}", line),
        (f"      fail condition: {json.dumps(condition)}", line),
        (f"      attributes: {{kind: {kind}}}", line),
    ]


def _as_written(sodacl: str, line: int) -> CheckLines:
    """Puts a table rule into the list of checks, with its further lines indented as written."""
    first, *rest = sodacl.strip().removeprefix("- ").splitlines()
    return [(f"  - {first}", line), *((f"    {text}", line + number) for number, text in enumerate(rest, start=1))]
