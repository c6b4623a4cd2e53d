"""Reads what Soda found out of its check objects into results of our own."""

import re
from typing import Any

from soda.common.undefined_instance import undefined
from soda.execution.metric.derived_metric import DerivedMetric

from checks.masking import Masks
from checks.soda_duckdb import GateScan, KeptSample
from checks.verdict import CheckResult, Kind, Outcome

CONDITION = re.compile(r"^\s*[\w ]+?(?:\s*\([^)]*\))?\s*((?:[<>=!]|not between|between).*)$", re.DOTALL)
COUNTED = {"missing": "missing_count", "invalid": "invalid_count", "duplicate": "duplicate_count"}
KIND_OF_CHECK: dict[str, Kind] = {
    "SchemaCheckCfg": "schema",
    "FreshnessCheckCfg": "freshness",
    "ReferenceCheckCfg": "referential",
    "RowCountComparisonCheckCfg": "reconciliation",
}
KIND_OF_METRIC: dict[str, Kind] = {
    "row_count": "volume",
    "missing_count": "completeness",
    "missing_percent": "completeness",
    "duplicate_count": "uniqueness",
    "duplicate_percent": "uniqueness",
    "invalid_count": "validity",
    "invalid_percent": "validity",
    "valid_count": "validity",
}
WRITTEN_BY_AUTHOR = ("UserDefinedFailedRowsCheckCfg",)


def read_result(scan: GateScan, check: Any, stage: str, table: str, masks: Masks) -> CheckResult:
    """Gives one check of an executed scan as a result; what has no outcome or rests on a missing number is an error."""
    outcome = _outcome(check)
    measured = None if outcome == "error" else _measured(check)
    return CheckResult(
        stage=stage,
        table_name=table,
        check_name=str(check.name),
        kind=_kind(check),
        outcome=outcome,
        measured=measured,
        threshold=_threshold(check.check_cfg),
        failed_count=None if outcome == "error" else _failed_count(check, measured),
        sample=_sample(check, table, masks) if outcome in ("warn", "fail") else (),
        details=_details(scan, check, outcome, masks),
    )


def _outcome(check: Any) -> Outcome:
    """Gives Soda's outcome, mended where Soda takes a missing number for zero or an empty table for a failure."""
    derived = [metric for metric in check.metrics.values() if isinstance(metric, DerivedMetric)]
    parts = [part for metric in derived for part in metric.derived_formula.metric_dependencies.values()]
    if check.outcome is None or any(part.value is undefined for part in parts):
        return "error"
    kind = type(check.check_cfg).__name__
    if (
        kind == "FreshnessCheckCfg"
        and check.check_cfg.fail_freshness_threshold is None
        and check.outcome.value == "fail"
    ):
        return "warn"
    outcome: Outcome = check.outcome.value
    return outcome


def _kind(check: Any) -> Kind:
    given = check.attributes.get("kind")
    if given in KIND_OF_CHECK.values() or given in KIND_OF_METRIC.values() or given in ("rule", "statistic"):
        kind: Kind = given
        return kind
    configuration = check.check_cfg
    name = type(configuration).__name__
    if name in KIND_OF_CHECK:
        return KIND_OF_CHECK[name]
    if name != "MetricCheckCfg" or configuration.metric_query or configuration.metric_expression:
        return "rule"
    return KIND_OF_METRIC.get(configuration.metric_name, "statistic")


def _measured(check: Any) -> float | None:
    name = type(check.check_cfg).__name__
    if name == "FreshnessCheckCfg":
        age = check.freshness_values["freshness"]
        return None if age is None else float(age.total_seconds())
    if name == "SchemaCheckCfg":
        return float(len(_schema_faults(check)))
    return float(check.check_value)


def _failed_count(check: Any, measured: float | None) -> int | None:
    name = type(check.check_cfg).__name__
    if name == "MetricCheckCfg":
        counted = COUNTED.get(check.check_cfg.metric_name.partition("_")[0])
        if counted is None or check.check_cfg.metric_query or check.check_cfg.metric_expression:
            return None
        return int((check.formula_values or {}).get(counted, check.check_value))
    if name in ("FreshnessCheckCfg", "RowCountComparisonCheckCfg") or measured is None:
        return None
    return int(measured)


def _threshold(configuration: Any) -> str:
    written = configuration.source_configurations or {}
    levels = [f"{level} {written[level]}" for level in ("warn", "fail") if isinstance(written.get(level), str)]
    condition = CONDITION.match(configuration.source_line)
    if levels:
        return ", ".join(levels)
    if type(configuration).__name__ == "SchemaCheckCfg":
        return "; ".join(f"{level} {when}" for level in ("warn", "fail") for when in written.get(level) or ())
    if type(configuration).__name__ == "RowCountComparisonCheckCfg":
        return str(configuration.source_line).removeprefix("row_count").strip()
    return condition[1].strip() if condition and type(configuration).__name__ != "ReferenceCheckCfg" else "= 0"


def _sample(check: Any, table: str, masks: Masks) -> tuple[Any, ...]:
    kept, configuration = check.failed_rows_sample_ref, check.check_cfg
    if not isinstance(kept, KeptSample) or getattr(configuration, "samples_limit", None) == 0:
        return ()
    by_author = type(configuration).__name__ in WRITTEN_BY_AUTHOR or getattr(configuration, "metric_query", None)
    return masks.rows(None if by_author else table, kept.columns, kept.rows)


def _details(scan: GateScan, check: Any, outcome: Outcome, masks: Masks) -> str:
    error = _error(scan, check)
    if error is not None:
        return masks.error(error)
    if type(check.check_cfg).__name__ == "SchemaCheckCfg" and outcome != "error":
        return "; ".join(_schema_faults(check))
    if type(check.check_cfg).__name__ == "FreshnessCheckCfg" and outcome != "error":
        newest = check.freshness_values["max_column_timestamp_utc"]
        return f"newest {newest}" if newest else "no row has a value"
    if outcome == "error":
        return "It could not be evaluated: there was no value to measure."
    return ""


def _error(scan: GateScan, check: Any) -> BaseException | str | None:
    """Gives what went wrong in any query a check rests on."""
    metrics = list(check.metrics.values())
    for metric in tuple(metrics):
        metrics += getattr(getattr(metric, "derived_formula", None), "metric_dependencies", {}).values()
    for query in scan._queries:
        asked = getattr(query, "metrics", None) or [getattr(query, "metric", None)]
        if query.exception is not None and any(metric is one for metric in metrics for one in asked):
            error: BaseException = query.exception
            return error
    for log in scan.get_error_logs():
        if log.location is not None and str(log.location) == str(check.check_cfg.location):
            message: str = log.message
            return message
    return None


def _schema_faults(check: Any) -> list[str]:
    faults = []
    for found in (check.fail_result, check.warn_result):
        if found is not None:
            faults += [f"column {name} is missing" for name in found.missing_column_names]
            faults += [f"column {name} is not allowed" for name in found.present_column_names]
            faults += [
                f"column {name} is {types['actual_type']}, not {types['expected_type']}"
                for name, types in found.column_type_mismatches.items()
            ]
            faults += [
                f"column {name} stands at {places['actual_index']}, not {places['expected_index']}"
                for name, places in found.column_index_mismatches.items()
            ]
    return faults
