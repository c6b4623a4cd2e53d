"""Alerts as messages: one for each group of people, the gravest breach in the subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports.alerts import Alert
from reports.channels.channel import Message, delivery_key
from reports.formats import Formatter

TEMPLATES = Path(__file__).parent / "templates"
# Alerts, and letters of what each is of and says: they keep the mail below the 102 kB at which Gmail cuts it off.
SHOWN_ALERTS, SUBJECT_LETTERS, MESSAGE_LETTERS = 50, 100, 300
LARGE = 100
STATE_WORDS = {"open": "new", "worse": "worse", "over": "over"}


@dataclass(frozen=True)
class Telling:
    """When and for whom alerts are told: the run, its instant in UTC, and who gets those whose rule names nobody.

    Numbers are grouped as the currency's readers are used to; instants are shown in `timezone`.
    """

    run_id: str
    at: datetime
    mail_to: tuple[str, ...]
    currency: str = "INR"
    timezone: str = "UTC"


def alert_messages(alerts: Sequence[Alert], telling: Telling) -> list[Message]:
    """Gives one message for each group of recipients, with their alerts in the given order; none without alerts."""
    groups: dict[tuple[str | None, tuple[str, ...]], list[Alert]] = {}
    for alert in alerts:
        groups.setdefault((alert.recipient, alert.rule.header.to or telling.mail_to), []).append(alert)
    return [_addressed(group, telling, *whom) for whom, group in groups.items()]


def alert_message(alerts: Sequence[Alert], telling: Telling, recipients: tuple[str, ...]) -> Message:
    """Gives one message telling alerts, the gravest first, to the recipients."""
    values = _values(alerts, telling)
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True)
    words = environment.get_template("alert.txt.j2").render(values)
    page = environment.overlay(autoescape=True).get_template("alert.html.j2").render(values)
    told = [(alert.rule.name, alert.breach_key, alert.state, alert.last_told_at) for alert in alerts]
    return Message(
        subject=_subject(alerts),
        recipients=recipients,
        html=page,
        text=words,
        written_at=telling.at,
        delivery_key=delivery_key("alert", recipients, told),
        facts=tuple(_fact(alert) for alert in alerts),
    )


def _fact(alert: Alert) -> Mapping[str, object]:
    """Gives an alert as data, under the names of `ops.alert_history`."""
    return {
        "rule": alert.rule.name,
        "severity": alert.rule.header.severity,
        "state": alert.state,
        "about": alert.subject,
        "message": alert.message,
        "measured": alert.measured,
        "threshold": alert.threshold,
    }


def _addressed(alerts: Sequence[Alert], telling: Telling, person: str | None, others: tuple[str, ...]) -> Message:
    if person is None:
        return alert_message(alerts, telling, others)
    return replace(alert_message(alerts, telling, (person,)), instead=others)


def _values(alerts: Sequence[Alert], telling: Telling) -> Mapping[str, object]:
    formatter = Formatter(telling.timezone, telling.currency)
    by_rule: dict[str, list[Alert]] = {}
    for alert in alerts[:SHOWN_ALERTS]:
        by_rule.setdefault(alert.rule.name, []).append(alert)
    return {
        "rules": [_rule_shown(found, formatter) for found in by_rule.values()],
        "unshown_count": max(0, len(alerts) - SHOWN_ALERTS),
        "subject": _subject(alerts),
        "run_id": telling.run_id,
        "at": formatter.instant(telling.at),
    }


def _rule_shown(alerts: Sequence[Alert], formatter: Formatter) -> Mapping[str, object]:
    """A rule and what it says of itself, once, with its breaches in their order."""
    rule = alerts[0].rule
    return {
        "name": rule.name,
        "title": rule.header.title,
        "severity": rule.header.severity,
        "description": rule.header.description.strip(),
        "breaches": [_breach_shown(alert, formatter) for alert in alerts],
    }


def _breach_shown(alert: Alert, formatter: Formatter) -> Mapping[str, str]:
    return {
        "state": STATE_WORDS[alert.state],
        "subject": _cut(alert.subject, SUBJECT_LETTERS),
        "message": _cut(formatter.words(alert.message), MESSAGE_LETTERS),
        "measured": formatter.show(_rounded(alert.measured), "number"),
        "threshold": formatter.show(_rounded(alert.threshold), "number"),
    }


def _rounded(number: float | None) -> float | None:
    """Gives a large number without the digits that nobody reads."""
    return number if number is None or abs(number) < LARGE else round(number, 1)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} … (whole in ops.alert_history)"


def _subject(alerts: Sequence[Alert]) -> str:
    first, more = alerts[0], len(alerts) - 1
    kind = "over" if first.state == "over" else first.rule.header.severity
    rest = f" and {more} more" if more else ""
    return f"[{kind}] {first.rule.header.title}: {first.subject}{rest}"
