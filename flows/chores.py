"""What is done beside the pipeline: measuring the platform, writing down what the project says of itself, exports.

Each is a run like any other, with an id, a log and an end; none lands, builds or publishes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from flows.aftermath import draw_standing, show_news
from flows.closing import end_run
from flows.describing import describe_project
from flows.exports import write_exports
from flows.health import measure_platform
from flows.inventory import take_inventory
from flows.job import Job, note_broken, open_job
from flows.journal import masked_in
from flows.measuring import measure_columns
from flows.paging import keep_page, mail_page
from flows.steps import Step
from lake.operations import show_operations
from lake.project import Project
from lake.run import Run
from lake.settings import Settings
from reports.channels.channel import delivery_key
from reports.page import find_pages

MOST_MISSED_DAYS = 31
HEALTH, METADATA, EXPORTS = "platform-health", "metadata-sync", "daily-exports"


@dataclass(frozen=True)
class Chore:
    """One kind of run beside the pipeline: its name in `ops.pipeline_metrics`, and its work, which gives lines."""

    name: str
    work: Callable[[Job], list[str]]


def run_chore(project: Project, settings: Settings, run: Run, chore: Chore, step: Step) -> list[str]:
    """Does a chore and ends its run; raises what stopped it, after it was written down."""
    with open_job(project, settings, run, step) as job:
        try:
            show_operations(job.session, job.store, masked_in(job, job.session).received)
            lines = job.step(chore.name, chore.work)(job)
        except BaseException as failure:
            end_run(job, failure, chore.name)
            raise
        end_run(job, None, chore.name)
        return [*lines, *(f"alert: {alert}" for alert in job.findings.alerts)]


def _describe(job: Job) -> None:
    """Describes the project; while some of it is broken, what was last said of it stays."""
    found = take_inventory(job.project)
    note_broken(job, found.broken)
    if not found.broken:
        describe_project(job, found.models)


def health_chore(*, is_deployed: bool) -> Chore:
    """Gives the chore that measures the platform."""

    def work(job: Job) -> list[str]:
        _describe(job)
        show_news(job)
        measure_platform(job, is_deployed=is_deployed)
        return [f"measured: {event.record_count} values" for event in job.run.events if event.kind.endswith("measured")]

    return Chore(HEALTH, work)


def metadata_chore() -> Chore:
    """Gives the chore that writes down what the project says of itself, and how full the columns of its tables are."""

    def work(job: Job) -> list[str]:
        _describe(job)
        changed = [event.subject for event in job.run.events if event.kind == "project-described"]
        return [f"described anew: {', '.join(changed) or 'nothing'}", f"columns measured: {measure_columns(job)}"]

    return Chore(METADATA, work)


def export_chore(day: date | None, place: str | None) -> Chore:
    """Gives the chore that writes the exports of a day, and mails the standing pages that go out daily.

    Without a place it is the one of the settings. Without a day it is the last whole one, and those before it that were
    missed since the newest export. The pages show the state now; they are mailed once for a day, and only for the last
    whole one.
    """

    def work(job: Job) -> list[str]:
        last = last_whole_day(job)
        days = missed_days(job, last) if day is None else [day]
        paths = [write_exports(job, each, place or job.settings.exports) for each in days]
        if last in days:
            _mail_daily_pages(job, last)
        return [path for written in paths for path in written]

    return Chore(EXPORTS, work)


def last_whole_day(job: Job) -> date:
    """Gives the day before the run's, in the project's zone."""
    return job.run.started_at.astimezone(ZoneInfo(job.settings.timezone)).date() - timedelta(days=1)


def missed_days(job: Job, last: date) -> list[date]:
    """Gives the days to export, up to the last whole one: that one, and all since the newest one there is."""
    newest = job.session.value(
        "select max(cast(details ->> 'day' as date)) from ops.audit_log where event = 'export-written'"
    )
    missed = 1 if newest is None else min(MOST_MISSED_DAYS, max(1, (last - newest).days))
    return [last - timedelta(days=back) for back in reversed(range(missed))]


def _mail_daily_pages(job: Job, day: date) -> None:
    for page in find_pages(job.project.pages_dir).values():
        if page.mailed == "daily" and page.drawn == "always":
            rendered = draw_standing(job, page)
            keep_page(job, rendered)
            mail_page(job, rendered, delivery_key("daily-page", page.name, day))
