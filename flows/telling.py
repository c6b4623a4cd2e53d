"""Alerts in a run: what the project's rules find, batches held back, and the run's own failure."""

from flows.gating import models_named
from flows.job import Job
from flows.planning import Plan
from lake.engine import quote
from lake.errors import SluiceError
from lake.releases import Release
from reports.alert_mail import Telling, alert_messages
from reports.alerts import HISTORY_SCHEMA, Alert, AlertHeader, AlertRule, evaluate, history_rows, new_alerts
from reports.channels.choice import choose_channel


def tell_alerts(job: Job, plan: Plan, release: Release) -> None:
    """Evaluates every alert rule on the release, and tells what people have not been told yet.

    A rule about a mart that no release has yet, since no run was asked for it, waits.
    """
    rules = {name: rule for name, rule in plan.alerts.items() if models_named(rule.sql, plan) <= set(release.tables)}
    found = [alert for rule in rules.values() for alert in evaluate(rule, job.session)]
    columns = ", ".join(quote(name) for name in HISTORY_SCHEMA.names)
    history = job.session.arrow(f"select {columns} from ops.alert_history").cast(HISTORY_SCHEMA)
    news = new_alerts(rules, found, history)
    job.findings.alerts += [f"{alert.rule.header.title}: {alert.subject}: {alert.message}" for alert in news]
    _tell(job, news)


def tell_failure(job: Job, failure: Exception) -> None:
    """Tells the people of `mail_to` that a run failed and why, a held batch included."""
    words = str(failure) if isinstance(failure, SluiceError) else f"A bug in Sluice: {type(failure).__name__}."
    header = AlertHeader(
        title="A pipeline run failed",
        severity="critical",
        description="Readers keep the release they had.",
    )
    rule = AlertRule("run-failed", job.project.root, header, "")
    _tell(job, [Alert(rule, job.project.root.name, job.run.id, None, None, words)])


def _tell(job: Job, alerts: list[Alert]) -> None:
    channel = choose_channel(job.settings)
    for message in alert_messages(alerts, Telling(job.run.id, job.run.started_at, job.settings.mail_to)):
        said = channel.send(message)
        job.run.note("alert-sent", message.subject, len(message.recipients), said=said)
        job.findings.deliveries.append(said)
    for alert, row in zip(alerts, history_rows(alerts, job.run.started_at).to_pylist(), strict=True):
        told = {name: value for name, value in row.items() if name not in ("at", "rule")}
        job.run.note(
            "alert-told",
            alert.rule.name,
            None,
            about=alert.subject,
            severity=alert.rule.header.severity,
            message=alert.message,
            threshold=alert.threshold,
            **told,
        )
