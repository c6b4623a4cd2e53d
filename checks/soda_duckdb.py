"""The edge to Soda: soda-core 3.5.6 on a DuckDB cursor handed in, with nothing of Soda's reaching out.

Importing this module imports Soda (a third of a second), so import it where a scan begins. Soda finds a data source by
its module name, `soda.data_sources.duckdb_data_source`; this module takes that name, because the published connector is
capped at an old DuckDB, lets one missing column end the whole scan and does not escape quotes.
"""

import re
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from checks.soda_quiet import keep_quiet

keep_quiet()  # before the imports below

from soda.common.undefined_instance import undefined  # noqa: E402
from soda.execution.data_source import DataSource  # noqa: E402
from soda.execution.data_source_scan import DataSourceScan  # noqa: E402
from soda.execution.query.aggregation_query import AggregationQuery  # noqa: E402
from soda.execution.query.query import Query  # noqa: E402
from soda.execution.query.user_defined_failed_rows_query import UserDefinedFailedRowsQuery  # noqa: E402
from soda.sampler.sample_ref import SampleRef  # noqa: E402
from soda.sampler.sampler import Sampler  # noqa: E402
from soda.scan import Scan  # noqa: E402

from checks.soda_yaml import SuiteParser  # noqa: E402

sys.modules["soda.data_sources.duckdb_data_source"] = sys.modules[__name__]

LAKE = "lake"
SAMPLE_ROWS = 5
AGGREGATES_PER_QUERY = 250  # one pass over the table for all plain checks: DuckDB shares what they have in common
VARIABLE = re.compile(r"\$\{\s*(\w+)\s*\}")
DEVIATIONS = {
    "stddev": "stddev_samp",
    "stddev_pop": "stddev_pop",
    "stddev_samp": "stddev_samp",
    "variance": "var_samp",
    "var_pop": "var_pop",
    "var_samp": "var_samp",
}


class LakeConnection:
    """A DuckDB cursor in the shape Soda wants: cursors from it are itself, and there is nothing to roll back."""

    def __init__(self, cursor: Any, schema: str | None) -> None:
        """Takes the cursor of a session and the schema of bare table names (None: names carry their schema)."""
        self.schema = schema
        self.only_samples = False
        self._cursor = cursor
        self._cursor.execute("set TimeZone = 'UTC'")  # a cursor does not inherit what its connection set

    def cursor(self) -> "LakeConnection":
        return self

    def execute(self, sql: str) -> None:
        try:
            self._cursor.execute(_first_rows(sql) if self.only_samples else sql)
        except RuntimeError as error:  # what DuckDB makes of Ctrl-C, leaving its threads at work
            self._cursor.interrupt()
            raise KeyboardInterrupt from error

    def fetchone(self) -> tuple[Any, ...] | None:
        rows: list[tuple[Any, ...]] = self._cursor.fetchall()  # a cursor read in part would stay busy
        return rows[0] if rows else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._cursor.fetchall()
        return rows

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._cursor.fetchmany(size)
        return rows

    @property
    def description(self) -> Any:
        return self._cursor.description

    def rollback(self) -> None:
        """Does nothing: every statement is its own transaction."""

    def commit(self) -> None:
        """Does nothing: every statement is its own transaction."""

    def close(self) -> None:
        """Does nothing: who made the cursor closes it."""


class DuckDBDataSource(DataSource):  # type: ignore[misc]  # Soda ships no types
    """DuckDB's dialect for Soda."""

    def __init__(self, logs: Any, data_source_name: str, data_source_properties: dict[str, Any]) -> None:
        lake: LakeConnection = data_source_properties["duckdb_connection"]
        super().__init__(logs, data_source_name, {**data_source_properties, "schema": lake.schema})
        self._lake = lake
        self._type_names: dict[str, str] = {}

    def connect(self) -> None:
        self.connection = self._lake

    def create_data_source_scan(self, scan: Any, data_source_scan_cfg: Any) -> "LakeScan":
        self.data_source_scan = LakeScan(scan, data_source_scan_cfg, self)
        return self.data_source_scan

    def qualified_table_name(self, table_name: str) -> str:
        qualified: str = table_name if "." in table_name else super().qualified_table_name(table_name)
        return qualified

    def sql_get_table_columns(self, table_name: str, **_narrowing: Any) -> str:
        """Looks a table up by its qualified name; a gate always asks for all columns."""
        schema, _, table = self.qualified_table_name(table_name).replace('"', "").rpartition(".")
        return (
            "select column_name, data_type, is_nullable from information_schema.columns"
            f" where lower(table_schema) = lower({self.literal_string(schema)})"
            f" and lower(table_name) = lower({self.literal_string(table)}) order by ordinal_position"
        )

    def is_same_type_in_schema_check(self, expected_type: str, actual_type: str) -> bool:
        return self._type_name(expected_type) == self._type_name(actual_type)

    def _type_name(self, written: str) -> str:
        """Gives the one name DuckDB itself has for a type, so that `int` and `INTEGER` are the same."""
        if written not in self._type_names:
            self.connection.execute(f"select typeof(cast(null as {written}))")
            self._type_names[written] = self.connection.fetchall()[0][0]
        return self._type_names[written]

    def get_metric_sql_aggregation_expression(self, metric_name: str, metric_args: Any, expr: str) -> str | None:
        if metric_name in DEVIATIONS:
            return f"{DEVIATIONS[metric_name]}({expr})"
        if metric_name == "percentile":
            return f"quantile_cont({expr}, {metric_args[1]})"
        expression: str | None = super().get_metric_sql_aggregation_expression(metric_name, metric_args, expr)
        return expression

    def expr_regexp_like(self, expr: str, regex_pattern: str) -> str:
        return f"regexp_matches({expr}, {self.literal_string(regex_pattern)})"

    def escape_string(self, value: str) -> str:
        return value.replace("'", "''")

    def literal_boolean(self, boolean: bool) -> str:
        return "true" if boolean else "false"

    def get_max_aggregation_fields(self) -> int:
        return AGGREGATES_PER_QUERY

    def safe_connection_data(self) -> list[str]:
        return [LAKE]


class LakeScan(DataSourceScan):  # type: ignore[misc]  # Soda ships no types
    """Asks what the checks of a scan need, so that one wrong column costs no other check its answer."""

    def resolve_metric(self, metric: Any) -> Any:
        """Gives the metric to measure; Soda takes two that differ in their expression or direction for one."""
        found = super().resolve_metric(metric)
        if found is metric or _question(found) == _question(metric):
            return found
        metric.ensure_query()
        return metric

    def execute_queries(self) -> None:
        for query in self._queries():
            self._ask(query)
            if isinstance(query, AggregationQuery) and query.exception is not None:
                self._ask_one_by_one(query)
        self.data_source.connection.only_samples = True  # whatever Soda asks from here on is rows to show

    def _queries(self) -> Iterator[Any]:
        for table in self.tables.values():
            for partition in table.partitions.values():
                yield from partition.collect_queries()
        yield from self.queries

    def _ask(self, query: Any) -> None:
        try:
            if isinstance(query, UserDefinedFailedRowsQuery):
                self._count_failed_rows(query)
            else:
                query.execute()
        except (TypeError, ValueError) as error:  # Soda trips over the missing answer of a query that failed
            query.exception = query.exception or error
        raise_interrupt(query)

    def _ask_one_by_one(self, together: Any) -> None:
        """Measures apart what could not be measured together; each failure stays with its own check."""
        forget_error(self.scan, together.exception)
        for expression, metric in zip(together.select_expressions, together.metrics, strict=True):
            if metric.value is undefined:
                alone = AggregationQuery(together.partition, 0)
                alone.add_metric(expression, metric)
                self._ask(alone)

    def _count_failed_rows(self, query: Any) -> None:
        """Counts in DuckDB what Soda would fetch row by row, and keeps the first rows."""
        text = query.sql.rstrip().rstrip(";")
        count = Query(self, sql=f"select count(*) from (\n{text}\n) as failed", unqualified_query_name="failed_rows")
        count.fetchone()
        query.exception = count.exception
        if count.row is None:
            return
        query.metric.set_value(count.row[0])
        if count.row[0] and query.samples_limit != 0:
            query.sql = _first_rows(text)
            query.store()
            query.metric.failed_rows_sample_ref = query.sample_ref


class KeptSample(SampleRef):  # type: ignore[misc]  # Soda ships no types
    """The first failing rows of a check, kept in memory."""

    def __init__(self, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
        super().__init__("failed_rows", None, len(rows), len(rows), SampleRef.TYPE_NOT_PERSISTED)
        self.columns = columns
        self.rows = rows


class KeepingSampler(Sampler):  # type: ignore[misc]  # Soda ships no types
    """Keeps failing rows for the gate instead of sending them anywhere."""

    def store_sample(self, sample_context: Any) -> KeptSample:
        rows = sample_context.sample.get_rows()[:SAMPLE_ROWS]
        columns = [column[0] for column in sample_context.sample.cursor.description]
        return KeptSample(columns, rows)


class GateScan(Scan):  # type: ignore[misc]  # Soda ships no types
    """One scan of one stage at a given instant, reading nothing from the environment."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self.set_data_source_name(LAKE)
        self.sampler = KeepingSampler()
        self._configuration.samples_limit = SAMPLE_ROWS
        self._variables = {"NOW": now.isoformat()}

    def _parse_sodacl_yaml_str(self, sodacl_yaml_str: str, file_path: str | None = None) -> None:
        parser = SuiteParser(self._sodacl_cfg, self._logs, file_path, self._data_source_name)
        parser.parse_sodacl_yaml_str(sodacl_yaml_str)

    def connect(self, connection: LakeConnection) -> None:
        self.add_duckdb_connection(connection, LAKE)

    def get_variable(self, variable_name: str, default_value: str | None = None) -> Any:
        return self._variables.get(variable_name, default_value)

    def jinja_resolve(self, definition: Any, variables: dict[str, Any] | None = None, location: Any = None) -> Any:
        """Fills in `${name}` from the scan's own variables; Soda's own way reads the environment first."""
        if not isinstance(definition, str) or "${" not in definition:
            return definition
        known = {**self._variables, **(variables or {})}
        for name in VARIABLE.findall(definition):
            if name not in known:
                self._logs.error(f"Variable '{name}' is not known in a check", location=location)
        return VARIABLE.sub(lambda match: str(known.get(match[1], match[0])), definition)

    def build_scan_results(self) -> dict[str, Any]:
        """Gives nothing: results are read from the checks, and Soda's report costs more than its checks."""
        return {}


def forget_error(scan: Any, error: BaseException) -> None:
    """Takes an error out of the scan's log, once what it stopped has been measured in another way."""
    scan._logs.logs = [log for log in scan._logs.logs if log.exception is not error]


def raise_interrupt(query: Any) -> None:
    """Raises what ended a query when it was no error; Soda catches Ctrl-C like one."""
    if query.exception is not None and not isinstance(query.exception, Exception):
        raise query.exception


def _first_rows(sql: str) -> str:
    return f"select * from (\n{sql}\n) as failed limit {SAMPLE_ROWS}"


def _question(metric: Any) -> tuple[object, ...]:
    reverse = getattr(getattr(metric, "check", None), "check_cfg", None)
    return getattr(metric, "aggregation", None), getattr(reverse, "is_reverse", None)
