"""Alerts in a run: what the project's rules find, batches held back, and the run's own failure."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from flows.inventory import TABLE_NAME
from flows.job import Job
from flows.planning import Plan
from lake.engine import literal, quote, scan_sql
from lake.errors import DeliveryError, SluiceError
from lake.tables import read_version
from reports.alert_mail import Telling, alert_messages
from reports.alerts import (
    HISTORY_SCHEMA,
    Alert,
    AlertHeader,
    AlertRule,
    address,
    evaluate,
    history_rows,
    is_about_platform,
    new_alerts,
)
from reports.channels.channel import Channel, Message
from reports.channels.choice import alert_channels, choose_channel

UNREACHABLE = ("address-invalid", "recipients-refused")  # the fault of an address, not of the channel


def tell_alerts(job: Job, plan: Plan) -> None:
    """Evaluates the alert rules about the data on the release, and tells what people have not been told yet.

    Rules that read `ops` only are about the platform: they are evaluated after the run, when its end is known.
    """
    rules = {name: rule for name, rule in plan.alerts.items() if not is_about_platform(rule)}
    tell(job, untold(job, rules))


def untold(job: Job, rules: Mapping[str, AlertRule]) -> list[Alert]:
    """Gives what the rules find now and people have not been told yet."""
    found = [alert for rule in rules.values() for alert in evaluate(rule, job.session)]
    columns = ", ".join(quote(name) for name in HISTORY_SCHEMA.names)
    history = job.session.arrow(f"select {columns} from ops.alert_history").cast(HISTORY_SCHEMA)
    return _address(job, new_alerts(rules, found, history))


def tell_failure(job: Job, failure: Exception) -> None:
    """Tells the people of `mail_to` that a run failed and why, a held batch included."""
    words = str(failure) if isinstance(failure, SluiceError) else f"A bug in Sluice: {type(failure).__name__}."
    header = AlertHeader(
        title="A pipeline run failed",
        severity="critical",
        description="Readers keep the release they had.",
    )
    rule = AlertRule("run-failed", job.project.root, header, "")
    tell(job, [Alert(rule, job.project.root.name, job.run.id, None, None, words)])


def _address(job: Job, news: list[Alert]) -> list[Alert]:
    """Gives the alerts with the person each is for; for this alone raw tables are read without their masks."""
    selects = {alert.rule.header.recipients for alert in news if alert.rule.header.recipients}
    names = {name for select in selects for name in TABLE_NAME.findall(select) if name.startswith("raw.")}
    with _revealed(job, sorted(names)):
        return address(news, job.session)


@contextmanager
def _revealed(job: Job, names: Sequence[str]) -> Iterator[None]:
    """Shows raw tables as they are while the block runs, and as they were before when it is left."""
    found = [version for name in names if (version := read_version(job.store, name)) is not None]
    before = {}
    for table in found:
        schema, name = table.name.split(".")
        where = f"schema_name = {literal(schema)} and view_name = {literal(name)}"
        before[table.name] = job.session.value(f"select sql from duckdb_views() where {where}")
    try:
        for table in found:
            scan = scan_sql([file.path for file in table.files], table.columns, evolved=table.evolved)
            job.session.execute(f"create or replace view {table.name} as {scan}")
        yield
    finally:
        for name, sql in before.items():
            job.session.execute(f"drop view {name}; {sql}")


def tell(job: Job, alerts: list[Alert]) -> None:
    """Hands alerts to channels, then writes down that people were told; raises DeliveryError where none took one."""
    job.findings.alerts += [_line(alert) for alert in alerts if alert.rule.sql]
    telling = Telling(
        job.run.id, job.run.started_at, job.settings.mail_to, job.settings.currency, job.settings.timezone
    )
    for message in alert_messages(alerts, telling):
        for said in _deliver(job, message):
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


def _line(alert: Alert) -> str:
    return f"{alert.rule.header.title}: {alert.subject}: {alert.message}"


def _deliver(job: Job, message: Message) -> list[str]:
    """Hands a message to every channel and gives what they said; what is for one person goes to that person alone.

    Told is what one channel has taken; another's failure is noted. Raises DeliveryError where none has taken it.
    """
    is_personal = message.instead is not None
    channels = [choose_channel(job.settings)] if is_personal else alert_channels(job.settings, time.sleep)
    said: list[str] = []
    failures: list[DeliveryError] = []
    for channel in channels:
        try:
            said.append(_send(job, channel, message))
        except DeliveryError as error:
            failures.append(error)
    if not said:
        raise failures[0]
    for failure in failures:
        job.run.note("alert-undelivered", message.subject, error=failure.message)
    return said


def _send(job: Job, channel: Channel, message: Message) -> str:
    """Sends a message and gives what is said of it; one person's goes to the others where that person has no address.

    A person's address is data: it is struck out of whatever is said.
    """
    if message.instead is None:
        return channel.send(message)
    for recipient in message.recipients:
        job.secrets.guard(recipient)
    try:
        return job.secrets.redact(channel.send(message))
    except DeliveryError as error:
        if error.code not in UNREACHABLE or not message.instead:
            raise DeliveryError(error.code, job.secrets.redact(error.message), cure=error.cure) from None
        job.run.note("recipient-unreachable", message.subject, None, code=error.code)
        return channel.send(replace(message, recipients=message.instead, instead=None))
