"""One number per table for the quality of its data, and the formula behind it.

score = sum(weight of the check's kind × credit of its outcome) ÷ sum(weight of the check's kind)

A pass earns 1, a warning one half, a failure or a check that could not be evaluated nothing. Kinds weigh by what a
wrong answer costs a reader: a broken shape, identity or total makes every number wrong (3), a missing or invalid value
makes some wrong (2), an old or unusual one makes none wrong by itself (1).
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from checks.verdict import CheckResult, Kind, Outcome

WEIGHTS: Mapping[Kind, int] = {
    "schema": 3,
    "uniqueness": 3,
    "referential": 3,
    "reconciliation": 3,
    "completeness": 2,
    "validity": 2,
    "rule": 2,
    "freshness": 1,
    "volume": 1,
    "statistic": 1,
}
CREDITS: Mapping[Outcome, Decimal] = {
    "pass": Decimal(1),
    "warn": Decimal("0.5"),
    "fail": Decimal(0),
    "error": Decimal(0),
}
FOUR_PLACES = Decimal("0.0001")


def score(results: Iterable[CheckResult]) -> dict[str, Decimal]:
    """Gives each table that was checked its quality score, 0 to 1 with four places; unchecked tables have none."""
    earned: dict[str, Decimal] = {}
    possible: dict[str, int] = {}
    for result in results:
        weight = WEIGHTS[result.kind]
        earned[result.table_name] = earned.get(result.table_name, Decimal(0)) + weight * CREDITS[result.outcome]
        possible[result.table_name] = possible.get(result.table_name, 0) + weight
    return {table: (earned[table] / possible[table]).quantize(FOUR_PLACES) for table in sorted(earned)}
