"""Reads SodaCL suites into a Soda scan, and refuses what a gate could not evaluate, with file and line."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from checks.soda_duckdb import DEVIATIONS, SAMPLE_ROWS, DuckDBDataSource, GateScan
from checks.suites import Suite, parse_sodacl, sections
from lake.errors import ContractError, ModelError, SluiceError

SUITE_FILE = re.compile(r"^suite-(\d+)\.yml$")  # the name Soda knows a suite by
ANY_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)  # for reading alone, where none is measured against
NEEDS_HISTORY = "it compares with earlier runs, which only Soda Cloud remembers"
REFUSED = {
    "ChangeOverTimeMetricCheckCfg": NEEDS_HISTORY,
    "AnomalyMetricCheckCfg": NEEDS_HISTORY,
    "AnomalyDetectionMetricCheckCfg": NEEDS_HISTORY,
    "GroupEvolutionCheckCfg": NEEDS_HISTORY,
    "DistributionCheckCfg": "it needs a reference file and an old pandas",
    "GroupByCheckCfg": "its number of results is not known beforehand",
}
WITHOUT_COLUMN = ("row_count",)
NEED_VALIDITY = ("invalid_count", "invalid_percent", "valid_count")
KNOWN_METRICS = (
    *("row_count", "missing_count", "missing_percent", "duplicate_count", "duplicate_percent", *NEED_VALIDITY),
    *("min", "max", "avg", "sum", "min_length", "max_length", "avg_length", "percentile", *DEVIATIONS),
)


def read_scan(suites: Sequence[Suite], now: datetime = ANY_INSTANT) -> GateScan:
    """Gives a scan of all the suites, not yet connected.

    Raises: ModelError (ContractError when the check stands in a contract) at the first check that is not understood, or
    that would pass without having looked.
    """
    scan = GateScan(now)
    for number, suite in enumerate(suites):
        scan.add_sodacl_yaml_str(suite.sodacl, file_name=f"suite-{number}")
        _require_understood(scan, suite)
    for check in _check_configurations(scan):
        _require_evaluable(scan, check, suite_of(check, suites))
        if getattr(check, "failed_rows_query", None):
            text = check.failed_rows_query.rstrip().rstrip(";")
            check.failed_rows_query = f"select * from (\n{text}\n) as failed limit {SAMPLE_ROWS}"
    _require_one_filter_per_name(scan, suites)
    return scan


def suite_of(check: Any, suites: Sequence[Suite]) -> Suite:
    """Gives the suite a check of Soda's was read from."""
    number = SUITE_FILE.match(check.location.file_path)
    if number is None:
        raise AssertionError(f"a check from nowhere: {check.location}")
    return suites[int(number[1])]


def _require_understood(scan: GateScan, suite: Suite) -> None:
    errors = scan.get_error_logs()
    if not errors:
        return
    first = errors[0]
    line = first.location.line if first.location else _line_of_check(suite, first.message)
    reason = f": {first.exception}" if first.exception is not None else ""
    message = " ".join(f"Soda does not understand this: {first.message}{reason}".split()).rstrip(".") + "."
    raise _refusal("check-not-understood", message, "See docs/checks.md for what a check may say.", suite, line)


def _line_of_check(suite: Suite, message: str) -> int | None:
    """Finds the check a message quotes; Soda gives some messages without their place."""
    for title, content, title_line in sections(suite):
        for index, check in enumerate(content if isinstance(content, list) else ()):
            text = next(iter(check), "") if isinstance(check, dict) else str(check)
            if f'"{text}"' in message:
                return parse_sodacl(suite).line_at(title, index)
        if not isinstance(content, list):
            return title_line
    return None


def _check_configurations(scan: GateScan) -> Iterator[Any]:
    for source in scan._sodacl_cfg.data_source_scan_cfgs.values():
        yield from source.check_cfgs
        for table in source.tables_cfgs.values():
            for partition in table.partition_cfgs:
                yield from partition.check_cfgs
                for column in partition.column_checks_cfgs.values():
                    yield from column.check_cfgs


def _require_evaluable(scan: GateScan, check: Any, suite: Suite) -> None:
    kind = type(check).__name__
    changes = kind == "SchemaCheckCfg" and check.has_change_validations()
    reason = REFUSED.get(kind) or (NEEDS_HISTORY if changes else "")
    if reason:
        cure = "Write a '... query' check on ops.data_metrics or on the tables themselves."
        message = f"The check '{check.source_line}' cannot stand in a gate: {reason}."
        raise _refusal("check-unsupported", message, cure, suite, check.location.line)
    missing = _missing_part(scan, check)
    if missing:
        message = f"The check '{check.source_line}' would look at nothing: {missing}."
        raise _refusal("check-incomplete", message, "See docs/checks.md.", suite, check.location.line)


def _missing_part(scan: GateScan, check: Any) -> str:
    """Says what a check lacks that Soda would let pass in silence; empty when it is whole."""
    if type(check).__name__ == "FreshnessCheckCfg":
        limits = (check.fail_freshness_threshold, check.warn_freshness_threshold)
        return "" if any(limit is not None for limit in limits) else "it sets no longest age, e.g. < 1d"
    if type(check).__name__ != "MetricCheckCfg" or check.metric_query or check.metric_expression:
        return ""
    if check.metric_name not in KNOWN_METRICS:
        return f"'{check.metric_name}' is no metric of ours, and no '{check.metric_name} query' says what it is"
    if check.metric_name not in WITHOUT_COLUMN and not check.metric_args:
        return "it names no column"
    unknown = _unknown_format(check.missing_and_valid_cfg)
    if unknown is not None:
        return f"'{unknown}' is no format"
    if check.metric_name in NEED_VALIDITY and not _has_validity(scan, check):
        return "nothing says which values are valid"
    return ""


def _unknown_format(validity: Any) -> str | None:
    written = [getattr(validity, f"{what}_format", None) for what in ("valid", "invalid", "missing")]
    unknown = [name for name in written if name is not None and name not in DuckDBDataSource.DEFAULT_FORMATS]
    return str(unknown[0]) if unknown else None


def _has_validity(scan: GateScan, check: Any) -> bool:
    if check.missing_and_valid_cfg is not None:
        return True
    return any(
        column in table.column_configurations_cfgs
        for source in scan._sodacl_cfg.data_source_scan_cfgs.values()
        for table in source.tables_cfgs.values()
        for column in check.metric_args
    )


def _require_one_filter_per_name(scan: GateScan, suites: Sequence[Suite]) -> None:
    """Refuses two filters of one name on one table: Soda would use the last for both."""
    for source in scan._sodacl_cfg.data_source_scan_cfgs.values():
        for table in source.tables_cfgs.values():
            filters: dict[str, str] = {}
            for partition in table.partition_cfgs:
                name, where = partition.partition_name, partition.sql_partition_filter
                if name is not None and filters.setdefault(name, where) != where:
                    number = SUITE_FILE.match(partition.file_path)
                    message = f"Two filters of '{table.table_name}' are called '{name}'."
                    raise _refusal("check-filter-twice", message, "Rename one.", suites[int(number[1])], None)  # type: ignore[index]


def _refusal(code: str, message: str, cure: str, suite: Suite, line: int | None) -> SluiceError:
    line_in_file = suite.line_in_file(line)
    if suite.lines:
        return ContractError(code, message, cure=cure, path=suite.path, line=line_in_file)
    return ModelError(code, message, cure=cure, path=suite.path, line=line_in_file)
