"""What is said of posted rows at once. The landing pass is the judge; whatever is said here, the rows are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a row: the field (None: the row as a whole), the rule it breaks, and a sentence."""

    field: str | None
    code: str
    message: str


@dataclass(frozen=True)
class RowFaults:
    """A row that will be quarantined; `row` counts from 1 as the rows were posted."""

    row: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Verdicts:
    """How many rows are as promised, and what is wrong with each of the others; `unjudged_count` the landing tells."""

    good_count: int
    bad: tuple[RowFaults, ...] = ()
    unjudged_count: int = 0


class Judge(Protocol):
    """Says of JSON texts, one a row, which the landing pass will quarantine and why.

    A key that the contract does not know makes its own row bad, unless the contract's drift policy is `evolve` or its
    value is null; a missing key is a missing value.
    """

    def __call__(self, lines: Sequence[bytes], /) -> Verdicts: ...
