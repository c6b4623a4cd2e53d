"""Pages in a run: drawn from the release, checked against the marts, kept, and sent."""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa

from checks.gate import run_gate
from checks.verdict import require_passed
from flows.gating import PAGE_FIGURES, models_named, note_gate
from flows.job import Job
from flows.outcome import PageOutcome
from flows.planning import Plan
from flows.verdicts import Verdicts
from lake.engine import literal
from lake.releases import Release
from reports.channels.channel import Attachment, Message, delivery_key
from reports.channels.choice import choose_channel
from reports.context import PageContext
from reports.drawing import RenderedPage, render
from reports.links import without_neighbours
from reports.page import Page, find_pages

FIGURE_COLUMNS = pa.schema([("page", pa.string()), ("figure", pa.string()), ("value", pa.string())])


def render_page(job: Job, release: Release, page: Page, verdicts: Verdicts) -> RenderedPage:
    """Draws one page from the release; nobody sees it before its figures are reconciled."""
    context = page_context(job, release, page, verdicts)
    return render(page, job.session, context, with_mail=is_mailed(job, page))


def is_mailed(job: Job, page: Page) -> bool:
    """Says whether people get a page with this release: one that is mailed daily, with the first of a day only."""
    if page.mailed != "daily":
        return page.mailed == "release"
    zone = ZoneInfo(job.settings.timezone)
    sent: datetime | None = job.session.value(
        f"""select max("at") from ops.audit_log where event = 'page-sent' and subject = {literal(page.name)}"""
    )
    return sent is None or sent.astimezone(zone).date() < job.run.started_at.astimezone(zone).date()


def page_context(job: Job, release: Release, page: Page, verdicts: Verdicts) -> PageContext:
    """Gives what a page states beside its figures: release, gates, and the figures of its last release but this."""
    before, figures = _previous_figures(job, release, page)
    return PageContext(
        run_id=job.run.id,
        release_id=release.id,
        published_at=release.published_at,
        data_as_of=data_as_of(job),
        gates=verdicts.gates,
        inputs=verdicts.inputs,
        pages=neighbours(job),
        timezone=job.settings.timezone,
        currency=job.settings.currency,
        previous_figures=figures,
        previous_label="previous release" if before is None else f"release {before}",
    )


def neighbours(job: Job) -> frozenset[str]:
    """Gives the pages that stand in the output folder after a run."""
    return frozenset(find_pages(job.project.pages_dir, {}))


def gate_pages(job: Job, plan: Plan, release: Release, pages: Sequence[RenderedPage]) -> None:
    """Reconciles what the pages show with the marts, before anybody gets them; raises GateFailed when they disagree.

    The checks are those in `checks/pipeline/` that name `ops.page_figures`: one row per figure, its value as text.
    Those that name a table which no release has yet are of a page that this run does not draw.
    """
    suites = tuple(
        suite
        for suite in plan.suites
        if suite.stage == "pipeline"
        and PAGE_FIGURES in suite.sodacl
        and models_named(suite.sodacl, plan) <= set(release.tables)
    )
    if not suites or not pages:
        return
    rows = [
        {"page": page.name, "figure": figure.figure, "value": None if figure.value is None else str(figure.value)}
        for page in pages
        for figure in page.figures
    ]
    job.session.register("page_figures", pa.Table.from_pylist(rows, FIGURE_COLUMNS))
    job.session.execute(f"create or replace table {PAGE_FIGURES} as from page_figures")
    gate = run_gate(job.session, "pipeline", suites, plan.masked, now=job.run.started_at)
    note_gate(job, gate)
    require_passed(gate)


def send_page(job: Job, release: Release, page: RenderedPage) -> None:
    """Puts one page into the output folder, and sends it unless it is mailed to nobody."""
    path = keep_page(job, page)
    note_page(job, page)
    job.findings.pages.append(PageOutcome(page.name, str(path), str(mail_path(path)) if page.mail_html else None))
    if not page.mail_html:
        return
    mail_page(job, page, delivery_key("page", page.name, release.id))


def note_page(job: Job, page: RenderedPage) -> None:
    """Notes what a page now shows its readers: its figures, and what it states beside them."""
    figures = {figure.figure: str(figure.value) for figure in page.figures if figure.value is not None}
    stated = page.context
    job.run.note(
        "page-rendered",
        page.name,
        len(figures),
        figures=figures,
        release_id=stated.release_id,
        data_as_of=stated.data_as_of,
        withheld=list(page.withheld),
        behind=sorted({gate.table_name for gate in stated.gates}),
        held_back=list(stated.held_back),
        **{name: stated.count(name) for name in ("passed", "warned", "failed")},
    )


def mail_page(job: Job, page: RenderedPage, key: str) -> None:
    """Sends one page to its recipients: its mail body, with the interactive page attached."""
    message = Message(
        subject=page.title,
        recipients=page.recipients or job.settings.mail_to,
        html=page.mail_html,
        text=page.text,
        written_at=job.run.started_at,
        delivery_key=key,
        images=page.images,
        attachments=(Attachment(f"{page.name}.html", without_neighbours(page.html).encode(), "text/html"),),
    )
    said = choose_channel(job.settings).send(message)
    job.run.note("page-sent", page.name, len(message.recipients), said=said)
    job.findings.deliveries.append(said)


def keep_page(job: Job, page: RenderedPage) -> Path:
    """Puts a page, and its mail body if it has one, into the output folder; gives where the page is."""
    path = job.settings.output / "pages" / f"{page.name}.html"
    _write_whole(path, page.html)
    if page.mail_html:
        _write_whole(mail_path(path), page.mail_file)
    return path


def mail_path(path: Path) -> Path:
    """Gives where the mail body of a page stands."""
    return path.with_name(f"{path.stem}.mail.html")


def _previous_figures(job: Job, release: Release, page: Page) -> tuple[int | None, dict[str, Decimal]]:
    rows = job.session.rows(
        f"""
        select details from ops.audit_log
        where event = 'page-rendered' and subject = {literal(page.name)}
            and cast(details ->> 'release_id' as bigint) < {release.id}
        order by "at" desc limit 1
        """
    )
    if not rows:
        return None, {}
    details = json.loads(rows[0][0])
    return details["release_id"], {
        name: Decimal(value) for name, value in details["figures"].items() if _is_number(value)
    }


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdecimal()


def data_as_of(job: Job) -> datetime | None:
    """Gives the instant at which something landed last, None when nothing ever has."""
    found: datetime | None = job.session.value("select max(ended_at) from ops.ingestion_log where status = 'landed'")
    return found


def _write_whole(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
