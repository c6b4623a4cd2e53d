"""Daily exports for those who want files: `ingestion_logs.csv` and `alerts.csv`, one folder per day."""

import os
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from flows.job import Job
from lake.engine import literal, quote
from lake.errors import SettingsError

# A file's rows are those whose instant lies in the day: midnight to midnight in the project's zone.
EXPORTS: Mapping[str, tuple[str, str]] = {
    "ingestion_logs.csv": ("ops.ingestion_log", "ended_at"),
    "alerts.csv": ("ops.alert_history", "at"),
}
FORMULA = r"^[=+\-@\t\r]"  # a spreadsheet runs text that begins so; an apostrophe in front stops it


def write_exports(job: Job, day: date, folder: Path) -> list[Path]:
    """Writes the files of one day and gives where they are; each is whole or is not there.

    A file without rows has its header. Writing a day again replaces its files. Raises SettingsError when the folder
    cannot be written.
    """
    target = folder / day.isoformat()
    try:
        target.mkdir(parents=True, exist_ok=True)
        paths = [_write(job, day, target / name, *source) for name, source in EXPORTS.items()]
    except OSError as error:
        raise SettingsError(
            "export-unwritable",
            f"The exports cannot be written: {error.strerror}.",
            cure="Make the folder writable, free disk space, or give --folder.",
            path=target,
        ) from error
    for path, count in paths:
        job.run.note("export-written", path.name, count, day=day.isoformat(), path=str(path))
    return [path for path, _ in paths]


def _write(job: Job, day: date, path: Path, table: str, instant: str) -> tuple[Path, int]:
    """Puts one file into its place by renaming: a reader finds the old one or the new one, whole."""
    zone = ZoneInfo(job.settings.timezone)
    start, end = (datetime.combine(day + timedelta(days=days), time(), zone) for days in (0, 1))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    query = f"""
        select {_columns(job, table)} from {table} as exported
        where exported.{quote(instant)} >= timestamptz '{start.isoformat()}'
            and exported.{quote(instant)} < timestamptz '{end.isoformat()}'
        order by exported.{quote(instant)}, run_id
    """
    try:
        count = int(job.session.value(f"copy ({query}) to {literal(str(part))} (format csv, header true)"))
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except job.session.failure as error:
        raise OSError(None, str(error).strip().splitlines()[0]) from error
    finally:
        part.unlink(missing_ok=True)
    return path, count


def _columns(job: Job, table: str) -> str:
    """The table's columns: instants as ISO 8601 in UTC, text made safe for spreadsheets."""
    found = job.session.rows(f"describe (select * from {table})")
    return ", ".join(f"{_portable(quote(name), sql_type)} as {quote(name)}" for name, sql_type, *_ in found)


def _portable(column: str, sql_type: str) -> str:
    if sql_type == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({column} at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
    if sql_type.startswith(("VARCHAR", "JSON")):
        return f"case when regexp_matches({column}, '{FORMULA}') then '''' || {column} else {column} end"
    return column
