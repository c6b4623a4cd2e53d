"""What follows every run, well or badly ended: alerts about the platform itself, and the pages that always stand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from flows.job import Job
from flows.journal import masked_in, write_down
from flows.outcome import PageOutcome
from flows.paging import data_as_of, keep_page, neighbours
from flows.telling import tell, tell_failure, untold
from flows.verdicts import newest_gates
from lake.catalogue import show_release
from lake.engine import Session
from lake.errors import Broken, DeliveryError, SluiceError
from lake.ledger import write_events
from lake.operations import show_operations
from lake.releases import Release, current_release
from reports.alerts import find_alerts, is_about_platform
from reports.context import FailedRun, PageContext
from reports.drawing import RenderedPage, render
from reports.page import Page, find_pages

RUN_FAILED = "run_failed"  # the rule that tells of failed runs, in a project that has it


@contextmanager
def after_run(job: Job) -> Iterator[Job]:
    """Gives the job, written down so far, with a new session that sees the lake as readers do.

    The run's own session may be what failed.
    """
    with Session(job.settings.limits, job.store) as session:
        write_down(job, session)
        restricted = masked_in(job, session)
        show_operations(session, job.store, restricted.received)
        release = current_release(session, job.store)
        if release is not None:
            show_release(session, job.store, release, restricted)
        yield replace(job, session=session)


def show_news(job: Job) -> None:
    """Writes down what was noted since, and shows it."""
    if job.run.events:
        write_events(job.session, job.store, job.run)
        show_operations(job.session, job.store, masked_in(job, job.session).received)


def tell_platform(job: Job, failure: Exception | None) -> None:
    """Evaluates the alert rules that read `ops` only, now that the run's own end is in it, and tells what is new.

    A failure is told even where no rule does, or none can be evaluated. An alert that no channel took is noted, and is
    told by the next run.
    """
    try:
        broken: Broken = {}
        found = find_alerts(job.project.alerts_dir, broken)
        for path, unusable in broken.items():
            job.run.note("alerts-unevaluated", path.stem, error=str(unusable))
        rules = {name: rule for name, rule in found.items() if is_about_platform(rule)}
        news = untold(job, rules)
    except SluiceError as error:
        job.run.note("alerts-unevaluated", job.project.root.name, error=str(error))
        rules, news = {}, []
    try:
        tell(job, news)
    except DeliveryError as error:
        job.run.note("alert-undelivered", job.project.root.name, error=error.message)
    if failure is not None and RUN_FAILED not in rules:
        tell_failed_run(job, failure)
    job.findings.is_failure_told = True


def tell_failed_run(job: Job, failure: Exception) -> None:
    """Tells a failure by itself, without rule and history; one that no channel took is noted."""
    try:
        tell_failure(job, failure)
    except DeliveryError as error:
        job.run.note("alert-undelivered", job.project.root.name, error=error.message)


def draw_standing_pages(job: Job) -> None:
    """Draws the pages that stand beside every run into the output folder; one that cannot be drawn is noted."""
    try:
        broken: Broken = {}
        pages = [page for page in find_pages(job.project.pages_dir, broken).values() if page.drawn == "always"]
        for path, unusable in broken.items():
            job.run.note("page-undrawn", path.name, error=str(unusable))
        context = standing_context(job) if pages else None
    except SluiceError as error:
        job.run.note("page-undrawn", job.project.root.name, error=str(error))
        return
    for page in pages:
        assert context is not None
        _draw(job, page, context)


def draw_standing(job: Job, page: Page) -> RenderedPage:
    """Gives one standing page in all its media, for a mail."""
    return render(page, job.session, standing_context(job))


def standing_context(job: Job) -> PageContext:
    """Gives what a page about the platform states: the release readers see, the newest run, and what its gates said."""
    release = current_release(job.session, job.store)
    return PageContext(
        run_id=job.run.id,
        release_id=None if release is None else release.id,
        published_at=None if release is None else release.published_at,
        data_as_of=data_as_of(job),
        gates=newest_gates(job.session),
        timezone=job.settings.timezone,
        currency=job.settings.currency,
        failed_run=_failed_run(job, release),
        withholds=False,
        pages=neighbours(job),
    )


def _failed_run(job: Job, release: Release | None) -> FailedRun | None:
    rows = job.session.rows(
        """
        select run_id, outcome, error from ops.pipeline_metrics
        where step = 'run' and pipeline = ? order by ended_at desc limit 1
        """,
        [job.project.root.name],
    )
    if release is None or not rows or rows[0][1] == "ok":
        return None
    return FailedRun(rows[0][0], rows[0][2] or "It was stopped.")


def _draw(job: Job, page: Page, context: PageContext) -> None:
    try:
        path = keep_page(job, render(page, job.session, context, with_mail=False))
    except (SluiceError, OSError) as error:  # a broken page, or a full disk: neither undoes what the run has done
        job.run.note("page-undrawn", page.name, error=str(error))
    else:
        job.findings.pages.append(PageOutcome(page.name, str(path), None))
