"""The gate: runs all suites of a stage in one Soda scan and says, check by check, whether the data may go on.

A check that could not be evaluated is a failed check. Soda is imported when the first gate runs, not before.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from checks.masking import Masks
from checks.suites import Stage, Suite
from checks.verdict import CheckResult, GateResult
from lake.engine import Session

if TYPE_CHECKING:
    from checks.soda_duckdb import GateScan

SODA_LOCK = threading.Lock()  # Soda keeps one log for the whole process


def verify_suites(suites: Sequence[Suite]) -> None:
    """Raises ModelError or ContractError, with file and line, for the first check no gate could evaluate."""
    with SODA_LOCK:
        from checks.sodacl import read_scan

        for stage in dict.fromkeys(suite.stage for suite in suites):
            read_scan([suite for suite in suites if suite.stage == stage])


def run_gate(
    session: Session,
    stage: Stage,
    suites: Sequence[Suite],
    masked_columns: Mapping[str, Set[str]],
    *,
    now: datetime,
) -> GateResult:
    """Checks the tables of a stage as they stand in the session.

    Takes: suites, of which those of the stage are run (none: the gate passes with no results); the restricted columns
    by qualified table name, whose values are masked in samples and messages; the run's instant, which freshness is
    measured against.
    Raises: ModelError or ContractError for a check that cannot be read; a check that cannot be evaluated is a result.
    """
    suites = [suite for suite in suites if suite.stage == stage]
    if not suites:
        return GateResult(stage, ())
    with SODA_LOCK:
        scan = _scan(session, stage, suites, now)
        masks = Masks(session, masked_columns)
        results = tuple(_results(scan, stage, suites, masks))
        return GateResult(stage, results + tuple(_unexplained(scan, stage, results, masks)))


def _scan(session: Session, stage: Stage, suites: Sequence[Suite], now: datetime) -> "GateScan":
    from checks.soda_duckdb import LakeConnection, raise_interrupt
    from checks.sodacl import read_scan

    scan = read_scan(suites, now)
    cursor = session.cursor()
    try:
        scan.connect(LakeConnection(cursor, None if stage == "pipeline" else stage))
        scan.execute()
    finally:
        cursor.close()
    for query in scan._queries:
        raise_interrupt(query)
    return scan


def _results(scan: "GateScan", stage: Stage, suites: Sequence[Suite], masks: Masks) -> Iterator[CheckResult]:
    from checks.soda_results import read_result
    from checks.sodacl import suite_of

    for check in scan._checks:
        suite = suite_of(check.check_cfg, suites)
        table, line = suite.table_name, suite.line_in_file(check.check_cfg.location.line)
        if check.partition is not None:
            name = str(check.partition.table.table_name).replace('"', "")
            table = name if "." in name else f"{stage}.{name}"
        yield replace(read_result(scan, check, stage, table, masks), path=suite.path, line=line)


def _unexplained(scan: "GateScan", stage: Stage, results: Sequence[CheckResult], masks: Masks) -> Iterator[CheckResult]:
    """Gives one failed result for errors of Soda's that no check accounts for: they must not pass in silence."""
    asked = {id(query.exception) for query in scan._queries if query.exception is not None}
    errors: list[Any] = [log for log in scan.get_error_logs() if id(log.exception) not in asked]
    if errors and not any(result.outcome == "error" for result in results):
        details = masks.error(errors[0].exception or errors[0].message)
        yield CheckResult(stage, f"{stage}.*", "evaluation", "rule", "error", None, "no error", None, (), details)
