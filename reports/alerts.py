"""Alert rules: SQL files whose every row is a breach, told once, again when it worsens, and when it is over."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lake.engine import Session
from lake.errors import Broken, ModelError, told_in
from lake.marked_yaml import NotYaml, read_yaml
from reports.data import tables_read

Severity = Literal["critical", "warning", "info"]
State = Literal["open", "worse", "over"]
ALERT_COLUMNS = ("subject", "breach_key", "measured", "threshold", "message")
HISTORY_SCHEMA = pa.schema(
    [
        ("rule", pa.string()),
        ("breach_key", pa.string()),
        ("state", pa.string()),
        ("measured", pa.float64()),
        ("at", pa.timestamp("us", "UTC")),
    ]
)


class Reader(Protocol):
    """Anything that answers SQL, such as a session opened on a release."""

    def arrow(self, sql: str, /) -> pa.Table:
        """Gives a result as an Arrow table."""
        ...


class AlertHeader(BaseModel):
    """What the leading comment of an alert rule says, in YAML.

    `to` names who is told (nobody: the project's `mail_to`). `recipients` is a select of `breach_key, recipient`, for
    rules each of whose breaches is one person's; a breach it does not name goes to the others. `worse_by` is the share
    of the distance to the threshold that must be added before an open breach is told again: 0 tells any worsening, 0.5
    one by half.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1)
    severity: Severity
    description: str = Field(min_length=1)
    to: tuple[str, ...] = ()
    recipients: str | None = Field(default=None, min_length=1)
    worse_by: float = Field(default=0.0, ge=0)


@dataclass(frozen=True)
class AlertRule:
    """One rule: its name is the file's; `sql` gives the breaches, in columns `ALERT_COLUMNS`."""

    name: str
    path: Path
    header: AlertHeader
    sql: str


@dataclass(frozen=True)
class Alert:
    """One breach: `breach_key` says which thing broke the rule, and is the same as long as the breach lasts.

    `measured` and `threshold` are in the unit the rule's words name; None where a rule has no number. `state` says why
    it is told: `open` for the first time, `worse` than when it was last told, `over`. `last_told_at` is the instant, in
    UTC, at which people last heard of this breach, whatever they heard. `recipient` is the address of the one person it
    is for (None: all whom the rule or the project names); it is data, and in no event.
    """

    rule: AlertRule
    subject: str
    breach_key: str
    measured: float | None
    threshold: float | None
    message: str
    state: State = "open"
    last_told_at: datetime | None = None
    recipient: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Told:
    state: State
    measured: float | None
    at: datetime


def find_alerts(alerts_dir: Path, broken: Broken | None = None) -> dict[str, AlertRule]:
    """Gives the alert rules of a folder by name; raises ModelError naming the file whose header is not usable.

    With a place for what is broken, such files are told there, and the others are given.
    """
    rules = {}
    for path in sorted(alerts_dir.glob("*.sql")):
        with told_in(broken, path):
            rules[path.stem] = _read_rule(path)
    return rules


def is_about_platform(rule: AlertRule) -> bool:
    """Says whether a rule reads `ops` only: then it holds after every run, whatever became of the marts."""
    return all(name.startswith("ops.") for name in tables_read(rule.sql))


def evaluate(rule: AlertRule, reader: Reader) -> list[Alert]:
    """Gives one alert for every row the rule returns; raises ModelError where its columns or keys are not usable."""
    table = _rows_of(rule, rule.sql, reader)
    missing = [column for column in ALERT_COLUMNS if column not in table.column_names]
    if missing:
        raise ModelError(
            "alert-columns-missing",
            f"Alert rule '{rule.name}' gives no column '{missing[0]}'.",
            cure=f"Select {', '.join(ALERT_COLUMNS)}.",
            path=rule.path,
        )
    alerts = [_alert(rule, row) for row in table.select(ALERT_COLUMNS).to_pylist()]
    repeated = [key for key, count in Counter(alert.breach_key for alert in alerts).items() if count > 1]
    if repeated:
        raise ModelError(
            "alert-key-repeated",
            f"Alert rule '{rule.name}' gives breach_key '{repeated[0]}' more than once.",
            cure="Give one row per breach, with what sets it apart in breach_key.",
            path=rule.path,
        )
    return alerts


def new_alerts(rules: Mapping[str, AlertRule], alerts: Sequence[Alert], history: pa.Table) -> list[Alert]:
    """Gives what people have not been told yet, the gravest first.

    Takes the rules that were evaluated, every breach they found, and what was told before (`HISTORY_SCHEMA`, in any
    order). A rule that was not evaluated is not over. Gives new breaches as `open`, those further from their threshold
    than when last told as `worse`, and those told but no longer found as `over`.
    """
    told = _last_told(history)
    found = {(alert.rule.name, alert.breach_key) for alert in alerts}
    news = [news for alert in alerts if (news := _news(alert, told.get((alert.rule.name, alert.breach_key))))]
    over = [
        _over(rules[rule], key, last)
        for (rule, key), last in told.items()
        if rule in rules and (rule, key) not in found and last.state != "over"
    ]
    return sorted([*news, *over], key=_gravest_first)


def address(alerts: Sequence[Alert], reader: Reader) -> list[Alert]:
    """Gives the alerts in their order, each with the person it is for where its rule's `recipients` name one.

    What is over is told to the same person as what began. Raises ModelError where that select is not usable.
    """
    rules = {alert.rule.name: alert.rule for alert in alerts if alert.rule.header.recipients}
    people = {name: _recipients_of(rule, reader) for name, rule in rules.items()}
    return [replace(alert, recipient=people.get(alert.rule.name, {}).get(alert.breach_key) or None) for alert in alerts]


def history_rows(alerts: Sequence[Alert], at: datetime) -> pa.Table:
    """Gives what to add to the history once these alerts are told: one row per alert, as `HISTORY_SCHEMA`."""
    rows = [
        {"rule": alert.rule.name, "breach_key": alert.breach_key, "state": alert.state, "measured": alert.measured}
        for alert in alerts
    ]
    return pa.Table.from_pylist([{**row, "at": at} for row in rows], HISTORY_SCHEMA)


def _read_rule(path: Path) -> AlertRule:
    text = path.read_text("utf-8")
    found = re.match(r"\s*/\*(.*?)\*/(.*)", text, re.DOTALL)
    if found is None:
        raise ModelError(
            "alert-header-missing",
            f"Alert rule '{path.stem}' does not begin with a comment that says what it is.",
            cure="Begin it with /* title: …, severity: info, warning or critical, description: … */ in YAML.",
            path=path,
            line=1,
        )
    return AlertRule(path.stem, path, _read_header(path, found[1]), found[2].rstrip().removesuffix(";").strip())


def _read_header(path: Path, text: str) -> AlertHeader:
    try:
        return AlertHeader.model_validate(read_yaml(text).value)
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"'{'.'.join(map(str, first['loc'])) or 'header'}': {first['msg']}"
        raise _header_invalid(path, reason) from error
    except NotYaml as error:
        raise _header_invalid(path, f"no YAML, {error.problem}", error.line or 1) from error


def _header_invalid(path: Path, reason: str, line: int = 1) -> ModelError:
    return ModelError(
        "alert-header-invalid",
        f"The header of alert rule '{path.stem}' is not usable: {reason}.",
        cure="It holds title, severity (info, warning or critical), description; if wanted to, recipients, worse_by.",
        path=path,
        line=line,
    )


def _rows_of(rule: AlertRule, sql: str, reader: Reader) -> pa.Table:
    try:
        return reader.arrow(sql)
    except Session.failure as error:
        sentence = str(error).strip().splitlines()[0].rstrip("!.")
        message = f"The select of alert rule '{rule.name}' failed: {sentence}."
        raise ModelError("alert-query", message, cure="Mend it; `sluice sql` runs it too.", path=rule.path) from error


def _recipients_of(rule: AlertRule, reader: Reader) -> dict[str, str]:
    table = _rows_of(rule, rule.header.recipients or "", reader)
    if sorted(table.column_names) != ["breach_key", "recipient"]:
        raise ModelError(
            "alert-recipients-columns",
            f"The recipients of alert rule '{rule.name}' are given in columns {', '.join(table.column_names)}.",
            cure="Select breach_key and recipient, and nothing else.",
            path=rule.path,
        )
    return {str(row["breach_key"]): row["recipient"] for row in table.to_pylist()}


def _alert(rule: AlertRule, row: Mapping[str, Any]) -> Alert:
    absent = [column for column in ("subject", "breach_key", "message") if row[column] is None]
    if absent:
        raise ModelError(
            "alert-value-missing",
            f"Alert rule '{rule.name}' gives a row whose '{absent[0]}' is null.",
            cure="Give every breach a subject, a breach_key and a message.",
            path=rule.path,
        )
    measured, threshold = (None if row[column] is None else float(row[column]) for column in ("measured", "threshold"))
    return Alert(rule, str(row["subject"]), str(row["breach_key"]), measured, threshold, str(row["message"]))


def _last_told(history: pa.Table) -> dict[tuple[str, str], _Told]:
    """What people last heard of every breach there ever was."""
    rows = history.sort_by("at").to_pylist()  # of two told at once, the later row is the last
    return {(row["rule"], row["breach_key"]): _Told(row["state"], row["measured"], row["at"]) for row in rows}


def _news(alert: Alert, last: _Told | None) -> Alert | None:
    if last is None:
        return alert
    if last.state == "over":
        return replace(alert, last_told_at=last.at)
    return replace(alert, state="worse", last_told_at=last.at) if _is_worse(alert, last.measured) else None


def _is_worse(alert: Alert, before: float | None) -> bool:
    if before is None or alert.measured is None or alert.threshold is None:
        return False
    then, now = abs(before - alert.threshold), abs(alert.measured - alert.threshold)
    return now > then * (1 + alert.rule.header.worse_by)


def _over(rule: AlertRule, key: str, last: _Told) -> Alert:
    measured = "" if last.measured is None else f" It was last told at {last.measured:,.10g}."
    return Alert(rule, key, key, None, None, f"No longer breached.{measured}", "over", last.at)


def _gravest_first(alert: Alert) -> tuple[bool, int, str, str]:
    grave = ("critical", "warning", "info").index(alert.rule.header.severity)
    return alert.state == "over", grave, alert.rule.name, alert.breach_key
