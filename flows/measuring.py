"""How full the columns of the released tables are, read from the statistics of their files and not from their rows."""

from flows.job import Job
from lake.engine import literal
from lake.ledger import events_sql
from lake.releases import ReleasedTable, current_release
from lake.tables import read_version


def measure_columns(job: Job) -> int:
    """Notes rows and share of nulls of every released table whose version was not measured yet; gives the columns."""
    release = current_release(job.session, job.store)
    if release is None:
        return 0
    done = set(
        job.session.rows(
            f"""
            select subject, cast(details ->> 'version' as bigint) from ({events_sql(job.store)})
            where event = 'metric-measured' and (details ->> 'metric') = 'row_count'
            """
        )
    )
    tables = [table for table in release.tables.values() if table.kind == "table"]
    return sum(_measure(job, table) for table in tables if (table.name, table.version) not in done)


def _measure(job: Job, table: ReleasedTable) -> int:
    found = read_version(job.store, table.name, table.version)
    if found is None:
        return 0
    files = [file.path for file in found.files]
    nulls = _null_counts(job, files) if files else {}
    for column, count in nulls.items():
        value = f"{count / found.row_count if found.row_count else 0:.6f}"
        job.run.note("metric-measured", table.name, None, metric="null_ratio", column_name=column, value=value)
    told = {"metric": "row_count", "value": str(found.row_count), "version": table.version}
    job.run.note("metric-measured", table.name, None, **told)
    return len(nulls)


def _null_counts(job: Job, files: list[str]) -> dict[str, int]:
    """Gives the nulls of each plain column; one whose files do not all say is left out."""
    listed = ", ".join(literal(file) for file in files)
    query = f"""
        select path_in_schema, sum(stats_null_count)
        from parquet_metadata([{listed}])
        where not contains(path_in_schema, ', ')
        group by path_in_schema
        having count(*) = count(stats_null_count)
        order by path_in_schema
    """
    return {column: int(count) for column, count in job.session.rows(query)}
