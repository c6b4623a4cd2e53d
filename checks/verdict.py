"""What a gate found: one result per check, one verdict per stage."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pyarrow as pa

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

VERDICT_COLUMNS = pa.schema(
    [
        ("run_id", pa.string()),
        ("stage", pa.string()),
        ("table_name", pa.string()),
        ("check_name", pa.string()),
        ("kind", pa.string()),
        ("outcome", pa.string()),
        ("measured", pa.float64()),
        ("threshold", pa.string()),
        ("failed_count", pa.int64()),
        ("checked_at", pa.timestamp("us", tz="UTC")),
        ("details", pa.string()),
        ("sample", pa.string()),
    ]
)


@dataclass(frozen=True)
class CheckResult:
    """One check of one table.

    `measured` is what was found (a count, a percentage, seconds for freshness), `threshold` the condition as written,
    `failed_count` the rows or groups at fault (None where counting has no meaning), `sample` at most five of them with
    restricted values masked. Outcome `error` means that the check could not be evaluated; `details` says why.
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
        stage=gate.stage,
    )


def verdict_rows(gate: GateResult, run_id: str, at: datetime) -> pa.Table:
    """Gives a gate as rows of `ops.validation_results`.

    Gives: one row per check, the columns of VERDICT_COLUMNS; `sample` is a JSON array of objects.
    """
    rows = [
        {
            "run_id": run_id,
            "stage": result.stage,
            "table_name": result.table_name,
            "check_name": result.check_name,
            "kind": result.kind,
            "outcome": result.outcome,
            "measured": result.measured,
            "threshold": result.threshold,
            "failed_count": result.failed_count,
            "checked_at": at,
            "details": result.details,
            "sample": json.dumps([dict(row) for row in result.sample], ensure_ascii=False),
        }
        for result in gate.results
    ]
    return pa.Table.from_pylist(rows, schema=VERDICT_COLUMNS)
