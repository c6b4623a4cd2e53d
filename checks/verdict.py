"""What a gate found: one result per check, one verdict per stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lake.errors import GateFailed

Outcome = Literal["pass", "warn", "fail", "error"]
Kind = Literal[
    "schema",
    "volume",
    "freshness",
    "completeness",
    "uniqueness",
    "validity",
    "referential",
    "reconciliation",
    "rule",
    "statistic",
]
FAILURES_NAMED = 5  # a message that lists more is not read


@dataclass(frozen=True)
class CheckResult:
    """One check of one table.

    `measured` is what was found (a count, a percentage, seconds for freshness), `threshold` the condition as written,
    `failed_count` the rows or groups at fault (None where counting has no meaning), `sample` at most five of them with
    restricted values masked. Outcome `error` means that the check could not be evaluated; `details` says why. `path`
    and `line` are where a person wrote the check, or the promise of the contract it was made from.
    """

    stage: str
    table_name: str
    check_name: str
    kind: Kind
    outcome: Outcome
    measured: float | None
    threshold: str
    failed_count: int | None
    sample: tuple[Mapping[str, object], ...]
    details: str
    path: Path | None = None
    line: int | None = None

    @property
    def passed(self) -> bool:
        """Whether what is downstream may go on."""
        return self.outcome in ("pass", "warn")

    def __str__(self) -> str:
        found = "" if self.measured is None else f", measured {self.measured:g}"
        reason = f" ({self.details})" if self.details else ""
        return f"{self.table_name}: {self.check_name}: {self.outcome}{found}{reason}"


@dataclass(frozen=True)
class GateResult:
    """The verdict on one stage: open only when every check passed or warned."""

    stage: str
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed or warned; a gate without checks lets everything through."""
        return all(result.passed for result in self.results)

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The checks that failed or could not be evaluated."""
        return tuple(result for result in self.results if not result.passed)

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        """The checks that passed with a warning."""
        return tuple(result for result in self.results if result.outcome == "warn")

    def __str__(self) -> str:
        if not self.results:
            return f"{self.stage}: no checks, so nothing was proved"
        counts = [f"{len(self.results)} checks"]
        for outcome, word in (("pass", "passed"), ("warn", "warned"), ("fail", "failed"), ("error", "not evaluated")):
            count = sum(result.outcome == outcome for result in self.results)
            counts += [f"{count} {word}"] if count else []
        return f"{self.stage}: {', '.join(counts)}"


def require_passed(gate: GateResult) -> None:
    """Lets a passed gate through; raises GateFailed naming the first checks that failed."""
    if gate.passed:
        return
    named = "; ".join(str(failure) for failure in gate.failures[:FAILURES_NAMED])
    more = len(gate.failures) - FAILURES_NAMED
    rest = f"; and {more} more" if more > 0 else ""
    raise GateFailed(
        "gate-failed",
        f"The {gate.stage} gate is closed: {named}{rest}.",
        cure="Look at ops.validation_results, mend the data or the check, and run again.",
        path=gate.failures[0].path,
        line=gate.failures[0].line,
        stage=gate.stage,
    )
