"""Telling people: pages drawn from the release, alerts of what is wrong, and a failed run."""

import json
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from flows.job import Job
from flows.outcome import PageOutcome
from flows.planning import Plan
from lake.errors import SluiceError
from lake.releases import Release
from reports.alert_mail import Telling, alert_messages
from reports.alerts import HISTORY_SCHEMA, Alert, AlertHeader, AlertRule, evaluate, history_rows, new_alerts
from reports.channels.channel import Attachment, Message, delivery_key
from reports.channels.choice import choose_channel
from reports.context import GateCount, PageContext
from reports.page import Page, RenderedPage, render

NO_GATES = "the run's own"


def render_page(job: Job, release: Release, page: Page) -> RenderedPage:
    """Draws one page from the release, keeps it in the output folder, and notes its figures."""
    rendered = render(page, job.session, page_context(job, release, page))
    folder = job.settings.output / "pages"
    folder.mkdir(parents=True, exist_ok=True)
    _write_whole(folder / f"{page.name}.html", rendered.html)
    _write_whole(folder / f"{page.name}.mail.html", rendered.mail_html)
    figures = {figure.figure: str(figure.value) for figure in rendered.figures if figure.value is not None}
    job.run.note("page-rendered", page.name, len(figures), release_id=release.id, figures=figures)
    job.findings.pages.append(
        PageOutcome(page.name, str(folder / f"{page.name}.html"), str(folder / f"{page.name}.mail.html"))
    )
    return rendered


def page_context(job: Job, release: Release, page: Page) -> PageContext:
    """Gives what a page states beside its figures: release, gates, and the figures of its rendering before."""
    before = _previous_figures(job, page, release)
    return PageContext(
        run_id=job.run.id,
        release_id=release.id,
        published_at=release.published_at,
        data_as_of=_data_as_of(job),
        gates=tuple(_gate_counts(job)),
        timezone=job.settings.timezone,
        currency=job.settings.currency,
        previous_figures=before[1],
        previous_label="previous release" if before[0] is None else f"release {before[0]}",
    )


def send_page(job: Job, release: Release, page: RenderedPage) -> None:
    """Sends one page, once per release: its mail body, and the interactive page attached."""
    message = Message(
        subject=page.title,
        recipients=page.recipients or job.settings.mail_to,
        html=page.mail_html,
        text=page.text,
        written_at=job.run.started_at,
        delivery_key=delivery_key("page", page.name, release.id),
        images=page.images,
        attachments=(Attachment(f"{page.name}.html", page.html.encode(), "text/html"),),
    )
    said = choose_channel(job.settings).send(message)
    job.run.note("page-sent", page.name, len(message.recipients), said=said)


def tell_alerts(job: Job, plan: Plan) -> None:
    """Evaluates every alert rule on the release and tells what people have not been told yet."""
    found = [alert for rule in plan.alerts.values() for alert in evaluate(rule, job.session)]
    columns = ", ".join(HISTORY_SCHEMA.names)
    history = job.session.arrow(f"select {columns} from ops.alert_history").cast(HISTORY_SCHEMA)
    _tell(job, new_alerts(plan.alerts, found, history))


def tell_failure(job: Job, failure: Exception) -> None:
    """Tells the people of `mail_to` that a run failed, and why."""
    words = str(failure) if isinstance(failure, SluiceError) else f"A bug in Sluice: {type(failure).__name__}."
    header = AlertHeader(title="A pipeline run failed", severity="critical", description="Nothing was published by it.")
    rule = AlertRule("run-failed", job.project.root / "prefect.yaml", header, "")
    _tell(job, [Alert(rule, job.project.root.name, job.run.id, None, None, words)])


def _tell(job: Job, alerts: list[Alert]) -> None:
    channel = choose_channel(job.settings)
    for message in alert_messages(alerts, Telling(job.run.id, job.run.started_at, job.settings.mail_to)):
        said = channel.send(message)
        job.run.note("alert-sent", message.subject, len(message.recipients), said=said)
    for alert, row in zip(alerts, history_rows(alerts, job.run.started_at).to_pylist(), strict=True):
        job.findings.alerts.append(f"{alert.rule.header.title}: {alert.subject}: {alert.message}")
        told = {name: value for name, value in row.items() if name != "at"}
        job.run.note("alert-told", alert.rule.name, None, subject=alert.subject, message=alert.message, **told)
