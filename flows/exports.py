"""Daily exports for those who want files, on disk or in a bucket: `ingestion_logs.csv` and `alerts.csv` of a day."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from flows.job import Job
from lake.engine import literal, quote
from lake.errors import SettingsError
from lake.handover import open_handover
from lake.store_settings import open_store

# A file's rows are those whose instant lies in the day: midnight to midnight in the project's zone.
EXPORTS: Mapping[str, tuple[str, str]] = {
    "ingestion_logs.csv": ("ops.ingestion_log", "ended_at"),
    "alerts.csv": ("ops.alert_history", "at"),
}
FORMULA = r"^[=+\-@\t\r\n＝＋－＠]"  # a spreadsheet runs text that begins so; an apostrophe in front stops it


def write_exports(job: Job, day: date, place: str) -> list[str]:
    """Writes the files of one day to a folder or a prefix of a bucket, and gives where they are.

    Each is whole or is not there. A file without rows has its header. Writing a day again replaces its files. Raises
    SettingsError when the folder cannot be written, TableError when the bucket cannot.
    """
    handover = open_handover(open_store(place, job.settings))
    written = []
    try:
        for name, source in EXPORTS.items():
            file = job.session.scratch / name
            count = _write(job, day, file, *source)
            written.append((name, count, handover.put(f"{day.isoformat()}/{name}", file)))
            file.unlink()
    except OSError as error:
        raise SettingsError(
            "export-unwritable",
            f"The exports cannot be written to {place}: {error.strerror}.",
            cure="Make the folder writable, free disk space, or give --to.",
        ) from error
    for name, count, path in written:
        job.run.note("export-written", name, count, day=day.isoformat(), path=path)
    return [path for _, _, path in written]


def _write(job: Job, day: date, file: Path, table: str, instant: str) -> int:
    """Writes one file and gives its number of rows."""
    zone = ZoneInfo(job.settings.timezone)
    start, end = (datetime.combine(day + timedelta(days=days), time(), zone) for days in (0, 1))
    query = f"""
        select {_columns(job, table)} from {table} as exported
        where exported.{quote(instant)} >= timestamptz '{start.isoformat()}'
            and exported.{quote(instant)} < timestamptz '{end.isoformat()}'
        order by exported.{quote(instant)}, run_id
    """
    try:
        return int(job.session.value(f"copy ({query}) to {literal(str(file))} (format csv, header true)"))
    except job.session.failure as error:
        raise OSError(None, str(error).strip().splitlines()[0]) from error


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
