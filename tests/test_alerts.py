"""Alert rules: what they find, when people are told, and the message that tells them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from lake.engine import Session
from lake.errors import ModelError
from reports.alert_mail import SHOWN_ALERTS, Telling, alert_message, alert_messages
from reports.alerts import (
    HISTORY_SCHEMA,
    Alert,
    AlertHeader,
    AlertRule,
    address,
    evaluate,
    find_alerts,
    history_rows,
    new_alerts,
)
from reports.channels.channel import delivery_key
from reports.channels.mail import write_mail

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TELLING = Telling("20261121T120000Z-6f2a9c", NOON, ("data-team@example.org",), timezone="Asia/Kolkata")
HEADER = """/*
title: Revenue below plan
severity: critical
description: A region sells less than planned.
to: [asha@example.org]
*/
"""
SELECT = """select
    region as subject,
    region as breach_key,
    revenue_inr as measured,
    100.00 as threshold,
    'Revenue is below plan.' as message
from marts.sales_regional
where revenue_inr < 100
order by region
"""


def write_rule(folder: Path, text: str, name: str = "revenue_below_plan") -> Path:
    path = folder / f"{name}.sql"
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def rule(tmp_path: Path) -> AlertRule:
    write_rule(tmp_path, HEADER + SELECT)
    return find_alerts(tmp_path)["revenue_below_plan"]


@pytest.fixture
def sales(session: Session) -> Session:
    session.execute("create table marts.sales_regional (region varchar, revenue_inr decimal(18, 2))")
    session.execute("insert into marts.sales_regional values ('West', 90.50), ('North', 100.00), ('East', 40.00)")
    return session


def breach(rule: AlertRule, key: str = "West", measured: float | None = 90.0, threshold: float | None = 100.0) -> Alert:
    return Alert(rule, key, key, measured, threshold, "Revenue is below plan.")


def told(*groups: list[Alert]) -> pa.Table:
    """The history after each group was told, an hour apart."""
    hours = [history_rows(group, NOON + timedelta(hours=hour)) for hour, group in enumerate(groups)]
    return pa.concat_tables([HISTORY_SCHEMA.empty_table(), *hours])


def states(alerts: list[Alert]) -> list[tuple[str, str]]:
    return [(alert.breach_key, alert.state) for alert in alerts]


def test_alerts_are_found_by_file(tmp_path: Path) -> None:
    """Every SQL file is a rule with its header; other files are none."""
    write_rule(tmp_path, HEADER + SELECT + ";\n")
    (tmp_path / "README.md").write_text("no rule")
    (rule,) = find_alerts(tmp_path).values()
    assert rule.header == AlertHeader(
        title="Revenue below plan",
        severity="critical",
        description="A region sells less than planned.",
        to=("asha@example.org",),
    )
    assert (rule.name, rule.sql) == ("revenue_below_plan", SELECT.strip())


def test_alerts_folder_may_be_absent(tmp_path: Path) -> None:
    """A project without alert rules has none."""
    assert find_alerts(tmp_path / "alerts") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SELECT, r"revenue_below_plan\.sql:1: .*does not begin with a comment.*alert-header-missing"),
        ("/* just words */\n" + SELECT, r"not usable: 'header'.*alert-header-invalid"),
        (
            HEADER.replace("critical", "deadly") + SELECT,
            r"'severity': Input should be 'critical'.*alert-header-invalid",
        ),
        (HEADER.replace("title: Revenue below plan\n", "") + SELECT, r"'title': Field required.*alert-header-invalid"),
        (HEADER.replace("to:", "two:") + SELECT, r"'two': Extra inputs are not permitted.*alert-header-invalid"),
        (HEADER.replace("[asha", "[[asha") + SELECT, r"\.sql:[56]: .*no YAML.*alert-header-invalid"),
    ],
)
def test_alert_header_that_is_not_usable_is_named(tmp_path: Path, text: str, message: str) -> None:
    """A header that is missing or wrong names the file and what is wrong."""
    write_rule(tmp_path, text)
    with pytest.raises(ModelError, match=message):
        find_alerts(tmp_path)


def test_alert_rule_finds_one_alert_per_row(rule: AlertRule, sales: Session) -> None:
    """Every row a rule returns is an alert; what is at its threshold is none."""
    assert evaluate(rule, sales) == [breach(rule, "East", 40.0), breach(rule, "West", 90.5)]


def test_alert_rule_without_rows_finds_nothing(rule: AlertRule, sales: Session) -> None:
    """A rule nobody breaks gives no alert."""
    sales.execute("update marts.sales_regional set revenue_inr = 100")
    assert evaluate(rule, sales) == []


def test_alert_rule_may_have_no_numbers(rule: AlertRule, session: Session) -> None:
    """A rule that measures nothing gives alerts without numbers; nought is a number."""
    sql = "select 'a' as subject, 1 as breach_key, null as measured, 0 as threshold, 'gone' as message"
    assert evaluate(replace(rule, sql=sql), session) == [
        Alert(rule=replace(rule, sql=sql), subject="a", breach_key="1", measured=None, threshold=0.0, message="gone")
    ]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select 'a' as subject, 'k' as breach_key, 1 as measured, 2 as threshold", "'message'.*alert-columns-missing"),
        (
            "select 'a' as subject, null as breach_key, 1 as measured, 2 as threshold, '' as message",
            "'breach_key' is null.*alert-value-missing",
        ),
        (
            "select 'a' as subject, 'k' as breach_key, n as measured, 2 as threshold, '' as message from range(2) t(n)",
            "'k' more than once.*alert-key-repeated",
        ),
    ],
)
def test_alert_rule_that_gives_unusable_rows_is_named(
    rule: AlertRule, session: Session, sql: str, message: str
) -> None:
    """Missing columns, missing values and repeated keys name the rule's file."""
    with pytest.raises(ModelError, match=rf"revenue_below_plan\.sql: .*{message}"):
        evaluate(replace(rule, sql=sql), session)


def test_alert_is_told_once_while_it_lasts(rule: AlertRule) -> None:
    """A breach is news the first time and not the second."""
    first = new_alerts({rule.name: rule}, [breach(rule)], told())
    assert states(first) == [("West", "open")]
    assert new_alerts({rule.name: rule}, [breach(rule)], told(first)) == []


def test_alert_is_told_again_when_it_worsens(rule: AlertRule) -> None:
    """Further from the threshold than when last told is news, nearer is not, and back to where it was is not."""
    rules, first = {rule.name: rule}, [breach(rule, measured=90)]
    worse = new_alerts(rules, [breach(rule, measured=80)], told(first))
    assert states(worse) == [("West", "worse")]
    assert new_alerts(rules, [breach(rule, measured=95)], told(first, worse)) == []
    assert new_alerts(rules, [breach(rule, measured=80)], told(first, worse)) == []
    assert states(new_alerts(rules, [breach(rule, measured=79)], told(first, worse))) == [("West", "worse")]


def test_alert_worsens_upwards_too(rule: AlertRule) -> None:
    """Where the threshold is an upper one, more is worse and less is not."""
    rules, first = {rule.name: rule}, [breach(rule, measured=110)]
    assert states(new_alerts(rules, [breach(rule, measured=120)], told(first))) == [("West", "worse")]
    assert new_alerts(rules, [breach(rule, measured=105)], told(first)) == []


def test_alert_worsens_by_the_share_its_rule_names(rule: AlertRule) -> None:
    """`worse_by: 0.5` tells a breach again once its distance to the threshold has grown by more than half."""
    slow = replace(rule, header=rule.header.model_copy(update={"worse_by": 0.5}))
    rules, first = {slow.name: slow}, [breach(slow, measured=90)]
    assert new_alerts(rules, [breach(slow, measured=85)], told(first)) == []
    assert states(new_alerts(rules, [breach(slow, measured=84)], told(first))) == [("West", "worse")]


def test_alert_without_numbers_cannot_worsen(rule: AlertRule) -> None:
    """Where nothing is measured, a lasting breach stays told."""
    nothing = [breach(rule, measured=None)]
    assert new_alerts({rule.name: rule}, nothing, told(nothing)) == []
    assert new_alerts({rule.name: rule}, [breach(rule)], told(nothing)) == []
    assert new_alerts({rule.name: rule}, [breach(rule, threshold=None)], told([breach(rule, threshold=None)])) == []


def test_alert_that_is_over_is_told_once(rule: AlertRule) -> None:
    """A breach no longer found is over, told once, and new when it comes back."""
    rules, first = {rule.name: rule}, [breach(rule)]
    over = new_alerts(rules, [], told(first))
    assert states(over) == [("West", "over")]
    assert over[0].message == "No longer breached. It was last told at 90."
    assert new_alerts(rules, [], told(first, over)) == []
    again = new_alerts(rules, [breach(rule)], told(first, over))
    assert states(again) == [("West", "open")]


def test_alert_of_a_rule_not_evaluated_is_not_over(rule: AlertRule) -> None:
    """A run that did not evaluate a rule says nothing about its breaches."""
    assert new_alerts({}, [], told([breach(rule)])) == []


def test_alert_history_may_come_in_any_order(rule: AlertRule) -> None:
    """The last row by time counts, wherever it stands."""
    first = [breach(rule)]
    history = told(first, [replace(breach(rule), state="over")], [breach(rule, measured=70)])
    shuffled = history.take([2, 0, 1])
    assert new_alerts({rule.name: rule}, [breach(rule, measured=70)], shuffled) == []


def test_alerts_are_told_gravest_first(rule: AlertRule) -> None:
    """Critical before warning before info, what is over last."""
    rules = {
        severity: replace(rule, name=severity, header=rule.header.model_copy(update={"severity": severity}))
        for severity in ("info", "critical", "warning")
    }
    found = [breach(rules[name]) for name in ("info", "warning", "critical")]
    news = new_alerts(rules, found, told([breach(rules["critical"], "East")]))
    assert [(alert.rule.name, alert.state) for alert in news] == [
        ("critical", "open"),
        ("warning", "open"),
        ("info", "open"),
        ("critical", "over"),
    ]


def test_alert_message_tells_what_is_measured(rule: AlertRule) -> None:
    """Both bodies say title, severity, subject, words, numbers, run and instant."""
    message = alert_message([breach(rule, measured=1234567.4539)], TELLING, ("asha@example.org",))
    assert message.subject == "[critical] Revenue below plan: West"
    for body in (message.html, message.text):
        for words in (
            "Revenue below plan",
            "critical",
            "West",
            "12,34,567.5",
            "100",
            TELLING.run_id,
            "21 Nov 2026, 17:30 IST",
        ):
            assert words in body


def test_alert_message_says_once_what_its_rule_is(rule: AlertRule) -> None:
    """Breaches of one rule stand together under its title and description, whatever stands between them."""
    other = replace(rule, name="other", header=rule.header.model_copy(update={"title": "Stock", "description": "Low."}))
    over = replace(breach(rule, "East"), state="over")
    message = alert_message([breach(rule), breach(other), over], TELLING, ("asha@example.org",))
    for body in (message.html, message.text):
        assert body.count("A region sells less than planned.") == body.count("Low.") == 1
        assert body.index("West") < body.index("East") < body.index("Low.")


def test_alert_message_groups_amounts_as_its_readers_do(rule: AlertRule) -> None:
    """Rupees are grouped by lakh, other money as its currency is; what is grouped already stays as it is."""
    words = "INR 1234567.50 of INR -5 or USD 1234567.5, not INR 12,34,567 nor ORDER 1234567."
    message = alert_message([replace(breach(rule), message=words)], TELLING, ("asha@example.org",))
    for body in (message.html, message.text):
        assert "₹12,34,567.50 of -₹5.00 or $1,234,567.50, not INR 12,34,567 nor ORDER 1234567." in body
    abroad = replace(TELLING, currency="USD")
    assert "1,234,567.5," in alert_message([breach(rule, measured=1234567.4539)], abroad, ("a@example.org",)).text


def test_alert_message_shows_values_as_text(rule: AlertRule) -> None:
    """A value that looks like HTML is shown, not run; the text body has it as it is."""
    message = alert_message([breach(rule, "<script>alert(1)</script>")], TELLING, ("asha@example.org",))
    assert "<script>" not in message.html
    assert "&lt;script&gt;" in message.html
    assert "<script>alert(1)</script>" in message.text


def test_alert_messages_go_to_those_the_rule_names(rule: AlertRule) -> None:
    """Each group of people gets its alerts in one message; a rule that names nobody goes to the project's own."""
    nobody = replace(rule, name="other", header=rule.header.model_copy(update={"to": ()}))
    messages = alert_messages([breach(rule), breach(nobody), breach(rule, "East")], TELLING)
    assert [(message.recipients, message.subject) for message in messages] == [
        (("asha@example.org",), "[critical] Revenue below plan: West and 1 more"),
        (("data-team@example.org",), "[critical] Revenue below plan: West"),
    ]
    assert alert_messages([], TELLING) == []


def test_alert_message_stays_small(rule: AlertRule) -> None:
    """Very many breaches, of very many words, make a mail that clients show whole, and that says what it leaves out."""
    found = [replace(breach(rule, f"{n} {'दुकान<' * 50}"), message=f"Said {n}: {'शब्द<' * 900}") for n in range(5_000)]
    message = alert_message(found, TELLING, ("asha@example.org",))
    assert len(message.html.encode()) < 102_000
    assert message.html.count("(whole in ops.alert_history)") == 2 * SHOWN_ALERTS
    assert f"{5_000 - SHOWN_ALERTS} more are in" in message.html
    assert f"{5_000 - SHOWN_ALERTS} more are in" in message.text


def test_alert_message_of_a_rerun_is_the_same_mail(rule: AlertRule) -> None:
    """A run that crashed before it wrote the history makes the same mail again; the next telling is another."""
    rules = {rule.name: rule}
    first = new_alerts(rules, [breach(rule)], told())
    rerun = new_alerts(rules, [breach(rule, measured=89.0)], told())
    over = new_alerts(rules, [], told(first))
    again = new_alerts(rules, [breach(rule)], told(first, over))
    later = replace(TELLING, run_id="20261121T130000Z-111111", at=NOON + timedelta(hours=1))
    keys = [alert_messages(alerts, later)[0].delivery_key for alerts in (rerun, over, again)]
    assert keys[0] == alert_messages(first, TELLING)[0].delivery_key
    assert len(set(keys)) == 3


def test_alert_message_is_a_mail(rule: AlertRule) -> None:
    """An alert's message is taken by the mail channels as it is."""
    mail = write_mail(alert_messages([breach(rule)], TELLING)[0], "sluice@example.org")
    assert mail["To"] == "asha@example.org"
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]


def test_delivery_key_tells_its_parts_apart() -> None:
    """Parts that would read the same when joined give different keys."""
    assert delivery_key("sales", 12) != delivery_key("sales1", 2)
    assert delivery_key("sales", 12) == delivery_key("sales", 12)


RECIPIENTS = HEADER.replace("*/", "recipients: select * from raw.people\n*/")


@pytest.fixture
def personal(tmp_path: Path, session: Session) -> AlertRule:
    """A rule whose breaches are one person's each, and the people."""
    session.execute(
        "create table raw.people as from (values ('West', 'meera@example.org'), ('North', null), ('Moon', 'x@y.zz'))"
        " as people(breach_key, recipient)"
    )
    write_rule(tmp_path, RECIPIENTS + SELECT, "personal")
    return find_alerts(tmp_path)["personal"]


def test_alerts_are_addressed_to_the_person_they_are_for(personal: AlertRule, session: Session) -> None:
    """The select names people by breach, for what is over as for what begins; a breach without one has none."""
    alerts = [breach(personal, "West"), breach(personal, "North"), replace(breach(personal, "East"), state="over")]
    over = replace(breach(personal, "West"), state="over")
    found = address([*alerts, over], session)
    assert [alert.recipient for alert in found] == ["meera@example.org", None, None, "meera@example.org"]
    assert "meera@example.org" not in repr(found)


def test_alerts_without_such_a_rule_are_addressed_to_nobody(rule: AlertRule, session: Session) -> None:
    """A rule that names no recipients leaves its alerts to all."""
    assert address([breach(rule)], session) == [breach(rule)]


def test_alert_messages_to_one_person_say_who_gets_them_instead(personal: AlertRule, session: Session) -> None:
    """One person's alerts are one message, and the rule's own people get it where that person cannot be reached."""
    alerts = address([breach(personal, "West"), breach(personal, "North")], session)
    told = [(message.recipients, message.instead) for message in alert_messages(alerts, TELLING)]
    assert told == [(("meera@example.org",), ("asha@example.org",)), (("asha@example.org",), None)]


def test_alert_recipients_in_other_columns_are_refused(personal: AlertRule, session: Session) -> None:
    """A select of recipients with other columns names them, and the rule's file."""
    session.execute("alter table raw.people rename recipient to address")
    with pytest.raises(ModelError, match=r"personal\.sql: .*columns breach_key, address.*alert-recipients-columns"):
        address([breach(personal)], session)


def test_alert_recipients_that_cannot_be_read_name_the_rule(personal: AlertRule, session: Session) -> None:
    """A select of recipients that the engine refuses is an error of the rule."""
    session.execute("drop table raw.people")
    with pytest.raises(ModelError, match=r"personal\.sql: .*people does not exist.*alert-query"):
        address([breach(personal)], session)
