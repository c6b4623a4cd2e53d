"""The daily exports: the day's rows and no others, whole files or none, every day once."""

import csv
import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from flows.chores import export_chore
from flows.exports import write_exports
from flows.job import open_job
from flows.steps import plain_step
from lake.errors import SettingsError, TableError
from lake.objects import Objects
from lake.operations import show_operations
from lake.project import open_project
from lake.run import begin_run
from lake.settings import Settings
from lake.store_settings import open_store
from tests.platform_parts import FIRST, ask, chore_at, clock_at, deliver, run_at, write_platform_shop
from tests.store_parts import make_bucket, store_settings

LAST_OF_THE_DAY = datetime(2026, 11, 18, 18, 29, 58, tzinfo=UTC)  # two seconds to midnight in India
SMALL = 256  # bytes a file may have on a disk that is about to be full


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with a delivery at noon, one just before midnight in India, and one just after."""
    root = write_platform_shop(tmp_path_factory.mktemp("exports") / "shop")
    run_at(root, FIRST)
    deliver(root, 2, "B1,2026-11-18,7.00,")
    run_at(root, LAST_OF_THE_DAY)
    deliver(root, 3, "=cmd|calc,2026-11-18,7.00,", "C2,never,1.00,")
    run_at(root, LAST_OF_THE_DAY + timedelta(seconds=4))
    return root


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@contextmanager
def full_disk() -> Iterator[None]:
    """Lets no file grow beyond a few bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_exports_hold_one_day_of_the_projects_zone(shop: Path) -> None:
    """A row two seconds before midnight in India is of that day, one two seconds after is not; none is in two files."""
    chore_at(shop, FIRST + timedelta(days=3), export_chore(date(2026, 11, 18), str(shop / "out")))
    chore_at(shop, FIRST + timedelta(days=3), export_chore(date(2026, 11, 19), str(shop / "out")))

    first, second = (read(shop / "out" / day / "ingestion_logs.csv") for day in ("2026-11-18", "2026-11-19"))
    assert [row["origin"] for row in first] == ["incoming/orders-1.csv", "incoming/orders-2.csv"]
    assert [row["origin"] for row in second] == ["incoming/orders-3.csv"]
    assert first[0]["ended_at"].startswith("2026-11-18T04:30:0")
    assert first[0]["ended_at"].endswith("Z")
    told = read(shop / "out/2026-11-18/alerts.csv")
    assert ("ingestion_errors", "open") in {(row["rule"], row["state"]) for row in told}


def test_exports_of_a_silent_day_have_their_header(shop: Path) -> None:
    """A day on which nothing happened gives two files with the header alone."""
    chore_at(shop, FIRST + timedelta(days=3), export_chore(date(2020, 1, 1), str(shop / "out")))

    for name, column in (("ingestion_logs.csv", "batch_id"), ("alerts.csv", "breach_key")):
        lines = (shop / "out/2020-01-01" / name).read_text().splitlines()
        assert len(lines) == 1
        assert column in lines[0].split(",")


def test_exports_catch_up_on_missed_days(shop: Path) -> None:
    """After days without an export the next one writes each of them, up to the last whole day; today is not one."""
    chore_at(shop, FIRST + timedelta(days=4), export_chore(None, None))
    chore_at(shop, FIRST + timedelta(days=7), export_chore(None, None))
    chore_at(shop, FIRST + timedelta(days=7), export_chore(None, None))

    days = sorted(path.name for path in (shop / "lake/data/exports").iterdir())
    assert days == ["2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24"][-len(days) :]
    assert days[-3:] == ["2026-11-22", "2026-11-23", "2026-11-24"]


def test_exports_on_a_full_disk_keep_the_files_there_were(shop: Path, tmp_path: Path) -> None:
    """A disk that is full in the middle of a file leaves the old one whole, no part of a new one, and one error."""
    project = open_project(shop)
    run = begin_run("tester", clock=clock_at(FIRST))
    day = date(2026, 11, 18)
    with open_job(project, Settings.read(shop), run, plain_step) as job:
        show_operations(job.session, job.store, {})
        first = Path(write_exports(job, day, str(tmp_path))[0])
        before = first.read_bytes()
        with full_disk(), pytest.raises(SettingsError, match="export-unwritable"):
            write_exports(job, day, str(tmp_path))

    assert first.read_bytes() == before
    assert len(before) > SMALL
    assert sorted(path.name for path in first.parent.iterdir()) == ["alerts.csv", "ingestion_logs.csv"]


def test_exports_that_fail_are_told_and_written_down(shop: Path, tmp_path: Path) -> None:
    """A failed export is a failed run of its own name: it is in the history, and an alert tells it."""
    (tmp_path / "taken").write_text("a file where a folder should be")

    with pytest.raises(SettingsError, match="cannot be written"):
        chore_at(shop, FIRST + timedelta(days=8), export_chore(date(2026, 11, 18), str(tmp_path / "taken")))

    failed = (
        "select outcome from ops.pipeline_metrics where step = 'run' and pipeline = 'daily-exports' order by ended_at"
    )
    assert ask(shop, failed)[-1] == ("failed",)
    told = "select breach_key from ops.alert_history where rule = 'run_failed'"
    assert ("daily-exports tester",) in ask(shop, told)


def test_exports_put_no_formula_into_a_spreadsheet(tmp_path: Path) -> None:
    """Text that a spreadsheet would run gets an apostrophe in front; numbers below nought stay numbers."""
    root = write_platform_shop(tmp_path / "shop")
    run = begin_run("tester", clock=clock_at(FIRST))
    with open_job(open_project(root), Settings.read(root), run, plain_step) as job:
        job.session.execute(
            """
            create view ops.ingestion_log as
            select 'r' as run_id, '=1+1' as origin, -7 as read_count, timestamptz '2026-11-18 05:00:00+00' as ended_at;
            create view ops.alert_history as
            select 'r' as run_id, '@x' as rule, -1.5 as measured, timestamptz '2026-11-18 05:00:00+00' as at;
            """
        )
        log, alerts = map(Path, write_exports(job, date(2026, 11, 18), str(tmp_path)))

    assert [(row["origin"], row["read_count"]) for row in read(log)] == [("'=1+1", "-7")]
    assert [(row["rule"], row["measured"]) for row in read(alerts)] == [("'@x", "-1.5")]


def test_exports_go_to_a_bucket_where_one_is_set(shop: Path, s3_endpoint: str, tmp_path: Path) -> None:
    """With SLUICE_EXPORTS_TO a bucket they are objects of it; a day again replaces them; no bucket is one error."""
    chore_at(shop, FIRST + timedelta(days=3), export_chore(date(2026, 11, 18), str(tmp_path)))
    bucket = f"s3://{make_bucket(s3_endpoint)}/reports"
    lines = store_settings(s3_endpoint) | {"SLUICE_EXPORTS_TO": bucket}
    settings = shop / ".env"
    settings.write_text("".join(f"{name}={json.dumps(value)}\n" for name, value in lines.items()))
    try:
        for _ in range(2):
            said = chore_at(shop, FIRST + timedelta(days=3), export_chore(date(2026, 11, 18), None))
        with pytest.raises(TableError, match="store-bucket-missing"):
            chore_at(shop, FIRST + timedelta(days=3), export_chore(date(2026, 11, 18), "s3://no-such-bucket/x"))
        objects = Objects(bucket, open_store(bucket, Settings.read(shop)).options)
    finally:
        settings.unlink()

    assert said == [f"{bucket}/2026-11-18/{name}" for name in ("ingestion_logs.csv", "alerts.csv")]
    assert [found.key for found in objects.list()] == ["2026-11-18/alerts.csv", "2026-11-18/ingestion_logs.csv"]
    kept = b"".join(objects.chunks("2026-11-18/ingestion_logs.csv"))
    assert kept == (tmp_path / "2026-11-18/ingestion_logs.csv").read_bytes()
