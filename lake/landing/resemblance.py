"""What received values look like: the contract's column they fit, the type they would fit."""

import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import product

from lake.contract import Column, Contract
from lake.engine import Session, quote
from lake.formats.reading import Reading
from lake.landing.drift import Differences, Drift, Rename
from lake.landing.validation import typed_select

SAMPLE_ROWS = 1000
ALIKE = 0.6  # of 1: how much two names must have in common; `units`, `unit` 0.89, `amount`, `amount_eur` 0.75
FITTING = 0.9  # of the sampled values: some may be broken, as in any delivery
MOST, FEWEST = 0.5, 10  # more than this share of a column's values, and at least so many of them
LEAST_DECIMAL_DIGITS = 12
MOST_DECIMAL_DIGITS = 38
SAMPLE = "landing.sampled"
TYPES = ("bigint", "decimal", "double", "date", "timestamp", "timestamptz", "boolean")


def take_sample(session: Session, reading: Reading) -> bool:
    """Creates `landing.sampled` of a delivery's first rows, as text; says whether it could be read."""
    try:
        session.execute(f"create or replace table {SAMPLE} as from ({reading.sample()}) limit {SAMPLE_ROWS}")
    except session.failure:
        return False
    return True


def suggest_renames(session: Session, contract: Contract, found: Differences, reading: Reading) -> tuple[Rename, ...]:
    """Gives which unknown columns look like missing ones: by their names, by their values, at best by both.

    Values that do not fit the missing column's type, enum, pattern or bounds speak against a name. Without a like name
    they must tell something (not any text will do), and no second pair may fit as well.
    """
    if not found.missing or not found.unknown:
        return ()
    sampled = take_sample(session, reading)
    scores: dict[tuple[str, str], tuple[float, bool]] = {}
    for column, name in product(found.missing, found.unknown):
        share = fitting_share(session, contract, column, name) if sampled else None
        if share is None or share >= FITTING:
            alike = _likeness(column, name)
            scores[column.name, name] = (alike, share is not None and _is_telling(column))
    columns = {column.name: column for column in found.missing}
    return tuple(Rename(columns[ours], name) for ours, name in _pairs(scores))


def fitting_share(session: Session, contract: Contract, column: Column, received: str) -> float | None:
    """Gives how many of the sampled values of a received column meet a column's conditions, None when it has none."""
    alone = replace(column, source_name=received, required=False, default=None)
    text = f"select {quote(received)} from {SAMPLE} where {quote(received)} is not null"
    judged = typed_select(replace(contract, columns=(alone,), rules=(), key=()), [received], text, Drift())
    share: float | None = session.value(f"select avg(case when _reasons is null then 1 else 0 end) from ({judged})")
    return share


def mostly_unfit(session: Session, contract: Contract, reading: Reading, rows: str) -> list[str]:
    """Says of each column most of whose values are not of its type how many they are, and which type would fit."""
    typed = [column for column in contract.columns if column.sql_type.lower() != "varchar"]
    if not typed or not session.value(f"select count(*) from {rows} where _reasons is not null"):
        return []
    wrong = [f"list_contains(coalesce(_reasons, []), 'type:{column.name}')" for column in typed]
    counted = ", ".join(
        f"count(*) filter ({bad}), count(*) filter ({bad} or {quote(column.name)} is not null)"
        for bad, column in zip(wrong, typed, strict=True)
    )
    counts = session.rows(f"select {counted} from {rows}")[0]
    found = [
        (column, bad / total)
        for column, bad, total in zip(typed, counts[::2], counts[1::2], strict=True)
        if total >= FEWEST and bad > MOST * total
    ]
    sampled = bool(found) and take_sample(session, reading)
    return [_unfit_words(session, contract, column, share, reading if sampled else None) for column, share in found]


def fitting_type(session: Session, contract: Contract, name: str) -> str:
    """Gives the narrowest of the common types that all sampled values of a received column fit; else varchar."""
    text = quote(name)
    padded = session.value(f"select count(*) from {SAMPLE} where regexp_matches({text}, '^[+-]?0[0-9]')")
    for kind in () if padded else TYPES:
        sql_type = _decimal_type(session, text) if kind == "decimal" else kind
        if sql_type and fitting_share(session, contract, Column("value", name, sql_type), name) == 1:
            return sql_type
    return "varchar"


def _decimal_type(session: Session, text: str) -> str | None:
    digits, scale, others = session.rows(
        f"""
        select
            max(length(regexp_extract({text}, '^[+-]?([0-9]*)', 1))), max(length(split_part({text}, '.', 2))),
            count(*) filter (not regexp_full_match({text}, '[+-]?[0-9]+([.][0-9]+)?')),
        from {SAMPLE} where {text} is not null
        """
    )[0]
    if others or not scale or digits + scale > MOST_DECIMAL_DIGITS:
        return None
    return f"decimal({max(LEAST_DECIMAL_DIGITS, digits + scale)},{scale})"


def _unfit_words(session: Session, contract: Contract, column: Column, share: float, reading: Reading | None) -> str:
    fits = ""
    if reading is not None and column.source_name in reading.columns:
        kind = fitting_type(session, contract, column.source_name)
        fits = f"; {kind} would fit" if kind != column.sql_type else ""
    return f"'{column.name}': {share:.0%} of the values are no {column.sql_type}{fits}"


def _is_telling(column: Column) -> bool:
    return column.sql_type.lower() != "varchar" or bool(column.enum or column.pattern)


def _likeness(column: Column, received: str) -> float:
    names = (_plain(column.source_name), _plain(column.name))
    return max(SequenceMatcher(None, name, _plain(received)).ratio() for name in names)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _pairs(scores: dict[tuple[str, str], tuple[float, bool]]) -> list[tuple[str, str]]:
    """Gives the pairs to suggest, the likest names first; each column and each name once."""
    pairs: list[tuple[str, str]] = []
    left = dict(scores)
    for pair in sorted(scores, key=lambda each: -scores[each][0]):
        alike, telling = scores[pair]
        rivals = [other for other in left if other != pair and (other[0] == pair[0] or other[1] == pair[1])]
        if pair in left and (alike >= ALIKE or (telling and not rivals)):
            pairs.append(pair)
            left = {other: score for other, score in left.items() if other[0] != pair[0] and other[1] != pair[1]}
    return sorted(pairs)


def describe_unknown(session: Session, contract: Contract, unknown: Sequence[str], reading: Reading) -> dict[str, str]:
    """Gives the type that each unknown column's values would fit, for whoever writes it into the contract."""
    if not unknown or not take_sample(session, reading):
        return {}
    return {name: fitting_type(session, contract, name) for name in unknown}
