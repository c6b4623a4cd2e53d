"""Pages of a release while newer figures are held back: drawn again, to say so, and again when it is over."""

from dataclasses import replace
from datetime import datetime

from flows.job import Job
from flows.paging import keep_page, note_page, page_context
from flows.planning import make_plan
from flows.verdicts import Verdicts, read_verdicts
from lake.errors import SluiceError
from lake.releases import Release, current_release, find_release
from reports.drawing import RenderedPage, render
from reports.page import Page, find_pages

CHANGED = """
    select page, release_id, data_as_of, held_back from ops.page_verdicts
    where held_back <> stated_held_back order by page
"""


def mark_held_pages(job: Job) -> None:
    """Draws again the pages for which what holds newer figures back is not what they say; nobody is mailed.

    They show the figures they showed. One that cannot be drawn is noted and stays as it is.
    """
    changed = job.session.rows(CHANGED)
    newest = current_release(job.session, job.store) if changed else None
    if newest is None:
        return
    try:
        pages, verdicts = find_pages(job.project.pages_dir), read_verdicts(job.session, make_plan(job.project, (), ()))
        for name, release_id, data_as_of, held_back in changed:
            page = pages.get(name)
            if page is None or page.drawn != "release":
                continue
            release = newest if release_id == newest.id else find_release(job.session, job.store, release_id)
            drawn = _draw_again(job, page, release, verdicts, data_as_of, tuple(held_back))
            if _shows_the_same(drawn, release, newest):
                keep_page(job, drawn)
                note_page(job, drawn)
    except (SluiceError, OSError) as error:
        job.run.note("page-undrawn", job.project.root.name, error=str(error))


def _draw_again(
    job: Job, page: Page, release: Release, verdicts: Verdicts, data_as_of: datetime, held_back: tuple[str, ...]
) -> RenderedPage:
    context = page_context(job, release, page, verdicts)
    stated = replace(context, run_id=release.run_id, data_as_of=data_as_of, held_back=held_back)
    return render(page, job.session, stated, with_mail=False)


def _shows_the_same(page: RenderedPage, release: Release, newest: Release) -> bool:
    """Whether the tables that a page was drawn from, those of the newest release, are those of its own."""
    behind = page.context.upstream(page.tables)
    of_newest, of_own = (
        {(table.name, table.version, table.sql) for name, table in tables.items() if name in behind}
        for tables in (newest.tables, release.tables)
    )
    return of_newest == of_own
