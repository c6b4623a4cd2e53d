"""The platform's health: disk, bytes and files of the lake, lag of sources, failed runs, overdue schedules."""

import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from flows.job import Job
from flows.source_lag import lag_measures
from lake.ledger import BATCHES, EVENTS, events_sql
from lake.platform_views import MEASURED, described_rows
from lake.quarantine import QUARANTINE
from lake.releases import RELEASES, current_release
from lake.table_versions import TableVersion
from lake.tables import read_version
from lake.upkeep import SMALL_FILE_BYTES

Measure = tuple[str, str, float, str]  # metric, subject, value, unit
DAY = timedelta(days=1)
BYTES, COUNT, SECONDS, RATIO = "bytes", "count", "seconds", "ratio"


def measure_platform(job: Job, *, is_deployed: bool) -> None:
    """Notes one measurement of the platform, all its rows in one event.

    Takes whether a scheduler runs this: then every schedule of the project is held to its times, else only those that
    have run before, since nobody may ever have deployed the others. Wants the `ops` views in the session.
    """
    now = job.run.clock()
    measures = [*_disk(job), *_tables(job), *_sources(job, now), *lag_measures(job)]
    measures += [*_runs(job, now), *_schedules(job, now, is_deployed)]
    rows = [[metric, subject, f"{value:.12g}", unit] for metric, subject, value, unit in measures]
    job.run.note(MEASURED, job.project.root.name, len(rows), rows=rows)


def _disk(job: Job) -> Iterator[Measure]:
    folder = None if "://" in job.store.uri else Path(job.store.uri)
    usage = shutil.disk_usage(job.settings.output if folder is None else folder)
    yield "disk_free_bytes", "disk", usage.free, BYTES
    yield "disk_total_bytes", "disk", usage.total, BYTES
    yield "disk_free_ratio", "disk", usage.free / usage.total, RATIO
    if folder is not None:
        yield "stored_bytes", "lake", _bytes_below(folder), BYTES


def _bytes_below(folder: Path) -> int:
    """What a folder's files take, those included that no table names any more and those of the archive."""
    total, folders = 0, [os.fspath(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif not entry.is_symlink():
                    total += _size(entry)
    return total


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:  # another run has renamed or deleted it since the folder was read
        return 0


def _tables(job: Job) -> Iterator[Measure]:
    """Bytes, files and small files of each table in the version readers see, and of the lake's own; then of all."""
    release = current_release(job.session, job.store)
    versions = {} if release is None else {table.name: table.version for table in release.tables.values()}
    versions |= dict.fromkeys((RELEASES, EVENTS, BATCHES, QUARANTINE))
    all_bytes = all_files = all_small = 0
    for name in sorted(name for name in versions if release is None or _is_table(release.tables.get(name))):
        found = read_version(job.store, name, versions[name])
        if found is None:
            continue
        small = _small_files(found)
        yield "table_bytes", name, found.byte_count, BYTES
        yield "table_file_count", name, len(found.files), COUNT
        yield "table_small_file_count", name, small, COUNT
        all_bytes, all_files, all_small = all_bytes + found.byte_count, all_files + len(found.files), all_small + small
    yield "lake_bytes", "lake", all_bytes, BYTES
    yield "lake_file_count", "lake", all_files, COUNT
    yield "lake_small_file_count", "lake", all_small, COUNT


def _is_table(table: object) -> bool:
    return table is None or getattr(table, "kind", "table") == "table"


def _small_files(table: TableVersion) -> int:
    """Files too small for their table: the only file of a small table, or of a partition, is as large as it can be."""
    partitions: dict[tuple[str | None, ...], list[int]] = {}
    for file in table.files:
        partitions.setdefault(tuple(file.partition_values.values()), []).append(file.byte_count)
    sizes = [size for files in partitions.values() if len(files) > 1 for size in files]
    return sum(size < SMALL_FILE_BYTES for size in sizes)


def _sources(job: Job, now: datetime) -> Iterator[Measure]:
    """How long each source has been silent: since its last landing, or since its contract was first seen."""
    query = "select source, coalesce(last_landed_at, first_described_at), allowed_lag_seconds from ops.sources"
    for source, since, allowed in job.session.rows(f"{query} order by source"):
        yield "source_lag_seconds", source, max(0.0, (now - since).total_seconds()), SECONDS
        if allowed is not None:
            yield "source_allowed_lag_seconds", source, allowed, SECONDS


def _runs(job: Job, now: datetime) -> Iterator[Measure]:
    query = """
        select count(*), count(*) filter (outcome <> 'ok') from ops.pipeline_metrics
        where step = 'run' and ended_at > cast(? as timestamptz)
    """
    ((runs, failed),) = job.session.rows(query, [now - DAY])
    yield "day_run_count", "runs", runs, COUNT
    yield "day_failed_run_count", "runs", failed, COUNT
    held = job.session.value("select count(*) from ops.ingestion_log where status = 'held'")
    yield "held_batch_count", "batches", held, COUNT


def _schedules(job: Job, now: datetime, is_deployed: bool) -> Iterator[Measure]:
    """How long each deployment is overdue: since the last time its cron named, 0 when it has run since then."""
    since = dict(job.session.rows(_since_sql(job)))
    started = dict(job.session.rows(LAST_STARTS))
    due: dict[str, float] = {}
    for deployment, cron, zone in job.session.rows(WATCHED_SCHEDULES):
        last = started.get(deployment)
        at = due_before(cron, zone, now)
        if at is None or at <= since[deployment] or (last is None and not is_deployed):
            continue
        overdue = 0.0 if last is not None and last >= at else (now - at).total_seconds()
        due[deployment] = max(due.get(deployment, 0.0), overdue)
    for deployment, overdue in sorted(due.items()):
        yield "schedule_overdue_seconds", deployment, overdue, SECONDS


# A run of a deployment is known by its actor. A run under way has noted its start, though not yet its end.
LAST_STARTS = """
    select regexp_extract(actor, '^prefect (.+)$', 1) as deployment, max(started_at)
    from ops.pipeline_metrics where actor like 'prefect %' group by deployment
"""


# A run of the flow `land` that finds nothing leaves nothing behind, so nobody can say that it did not come.
WATCHED_SCHEDULES = "select deployment, cron, timezone from ops.schedules where entrypoint not like '%.land'"


def _since_sql(job: Job) -> str:
    """Gives a select of each deployment and the instant its schedules were first written down."""
    rows = described_rows(events_sql(job.store), "schedules", newest=False)
    return f"select part.deployment, min(described_at) from ({rows}) group by part.deployment"


def due_before(cron: str, zone: str, now: datetime) -> datetime | None:
    """Gives the last instant before now that a cron line names; None for one that names none."""
    try:
        at = next(CronSim(cron, now.astimezone(ZoneInfo(zone)), reverse=True))
    except (CronSimError, StopIteration):
        return None  # Prefect says so itself when it is deployed
    return at
