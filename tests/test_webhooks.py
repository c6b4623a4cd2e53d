"""Slack, Teams and any other webhook, against a real HTTP server; and alerts of a real lake that go there."""

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lake.errors import DeliveryError, SettingsError
from lake.settings import Settings
from reports.channels.channel import Message, delivery_key
from reports.channels.choice import alert_channels
from reports.channels.outbox import Outbox
from reports.channels.slack import slack_body
from reports.channels.smtp import SmtpChannel
from reports.channels.teams import teams_body
from reports.channels.webhook import Webhook, json_body
from tests.platform_parts import FIRST, ask, deliver, run_at, told, write_platform_shop

SECRET = "T024BE7LD-B19-XXXXsecretXXXX"
HOUR = timedelta(hours=1)
LINES = "".join(f"- new: shop {number}: <!channel> [click](http://bad.example) *late*\n" for number in range(900))
FACTS = ({"rule": "late", "severity": "warning", "state": "open", "about": "shop 1", "measured": 12.5},)
MESSAGE = Message(
    subject="warning: 900 shops & <counting>",
    recipients=("asha@example.org",),
    html="<p>late</p>",
    text=f"warning: 900 shops & <counting>\n\n{LINES}",
    written_at=datetime(2026, 11, 21, 2, 30, tzinfo=UTC),
    delivery_key=delivery_key("alert", 1),
    facts=FACTS,
)


@dataclass
class Hook:
    """An address that takes posts and answers with the statuses it is given, then with 200; `posts` is what came."""

    url: str = ""
    answers: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            hook.keys.append(self.headers["Idempotency-Key"])
            status, headers, words = hook.answers.pop(0) if hook.answers else (200, {}, "ok")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(words.encode())))
            self.end_headers()
            self.wfile.write(words.encode())

        def log_message(self, *_: object) -> None:
            """The tests' output is for the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    hook.url = f"http://127.0.0.1:{server.server_port}/services/{SECRET}"
    yield hook
    server.shutdown()
    server.server_close()


def webhook(address: str, waits: list[float] | None = None) -> Webhook:
    return Webhook("Slack", "SLUICE_SLACK_WEBHOOK", address, slack_body, ([] if waits is None else waits).append)


def test_webhook_of_slack_takes_blocks_of_plain_text(hook: Hook) -> None:
    """What data say is shown as it is: it calls nobody, links nowhere, and is cut where Slack would refuse it."""
    assert webhook(hook.url).send(MESSAGE) == "Sent 'warning: 900 shops & <counting>' to Slack."
    (post,) = hook.posts
    header, *sections = post["blocks"]
    assert post["text"] == "warning: 900 shops &amp; &lt;counting&gt;"
    assert header["text"] == {"type": "plain_text", "text": MESSAGE.subject, "emoji": False}
    assert {section["text"]["type"] for section in sections} == {"plain_text"}
    assert len(sections) == 10
    assert all(0 < len(section["text"]["text"]) <= 3000 for section in sections)
    assert sections[0]["text"]["text"].startswith("- new: shop 0: <!channel>")
    assert sections[-1]["text"]["text"] == "More is in ops.alert_history."


def test_webhook_of_teams_takes_a_card_within_its_size() -> None:
    """The card is text without markup, no larger than Teams takes, whatever script it is written in."""
    indian = Message(
        "बजट से अधिक", (), "", "बजट से अधिक\n\n" + "- नया: विभाग 1: खर्च बजट से अधिक\n" * 900, MESSAGE.written_at, "k"
    )
    for message in (MESSAGE, indian):
        body = teams_body(message)
        (attachment,) = body["attachments"]
        blocks = attachment["content"]["body"]
        assert {block["type"] for block in blocks} == {"RichTextBlock"}
        assert blocks[0]["inlines"][0]["text"] == message.subject
        assert blocks[-1]["inlines"][0]["text"] == "More is in ops.alert_history."
        assert len(json.dumps(body, ensure_ascii=False).encode()) < 28 << 10


def test_webhook_of_a_program_takes_the_alert_as_data(hook: Hook) -> None:
    """A program gets what each breach is, and a key by which it knows the same message when it comes again."""
    Webhook("the webhook", "SLUICE_ALERT_WEBHOOK", hook.url, json_body, [].append).send(MESSAGE)
    (post,) = hook.posts
    assert post["facts"] == list(FACTS)
    assert post["written_at"] == "2026-11-21T02:30:00+00:00"
    assert hook.keys == [MESSAGE.delivery_key] == [post["key"]]


def test_webhook_is_tried_thrice_while_that_may_help(hook: Hook) -> None:
    """A busy server is asked again after as long as it wishes, half a minute at the most; then it is given up."""
    hook.answers = [(429, {"Retry-After": "7"}, ""), (503, {"Retry-After": "600"}, "")]
    waits: list[float] = []
    webhook(hook.url, waits).send(MESSAGE)
    assert (waits, len(hook.posts)) == ([7.0, 30.0], 3)
    hook.answers = [(500, {}, "")] * 3
    with pytest.raises(DeliveryError, match=r"Slack answered 500\. .*webhook-refused"):
        webhook(hook.url, waits).send(MESSAGE)
    assert (waits[2:], len(hook.posts)) == ([1.0, 5.0], 6)


def test_webhook_refused_is_told_without_its_address(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    """A withdrawn or a wrong address is told at once by its setting's name; the address itself stands nowhere."""
    caplog.set_level(logging.DEBUG)
    hook.answers = [(404, {}, "no_service"), (403, {}, f"/services/{SECRET} is not known")]
    said = []
    for address in (hook.url, hook.url, f"http://127.0.0.1:9/services/{SECRET}"):
        with pytest.raises(DeliveryError, match="Slack .*Check SLUICE_SLACK_WEBHOOK") as caught:
            webhook(address).send(MESSAGE)
        said += [
            f"{caught.value} {caught.value.__cause__} {caught.value.__context__ if caught.value.__cause__ else ''}"
        ]
    assert len(hook.posts) == 2
    assert "404 (no_service)" in said[0]
    assert "answered 403." in said[1]
    assert "webhook-unreachable" in said[2]
    assert SECRET not in "".join(said) + caplog.text + repr(webhook(hook.url))


def test_webhook_settings_name_the_ways_of_alerts(tmp_path: Path) -> None:
    """Every webhook that is set is a way beside the mail server; the outbox is one where there is no other."""

    def ways(**settings: str) -> list[str]:
        found = alert_channels(Settings.read(tmp_path, **settings), [].append)
        return [getattr(channel, "name", type(channel).__name__) for channel in found]

    assert ways() == [Outbox.__name__] == ways(slack_webhook="")
    assert ways(slack_webhook=" https://hooks.example.org/a ") == ["Slack"]
    assert ways(smtp_host="mail.example.org", teams_webhook="https://x.example.org/b") == [
        SmtpChannel.__name__,
        "Teams",
    ]
    assert ways(alert_webhook="https://x.example.org/b", slack_webhook="https://x.example.org/a") == [
        "Slack",
        "the webhook",
    ]
    with pytest.raises(SettingsError, match="SLUICE_SLACK_WEBHOOK.*no address that begins with https://") as caught:
        Settings.read(tmp_path, slack_webhook=SECRET)
    assert SECRET not in str(caught.value)


def test_webhook_hears_each_breach_once_and_when_it_is_over(tmp_path: Path, hook: Hook) -> None:
    """A run that fails again and again is told once, and once more when it went well; no mail is written beside it."""
    shop = write_platform_shop(tmp_path / "shop")
    check = shop / "checks/marts/daily_orders.yml"
    assert run_at(shop, FIRST, slack_webhook=hook.url).failure is None
    deliver(shop, 2, "B1,2026-11-19,-7.00,")
    for hour in (1, 2):
        assert run_at(shop, FIRST + hour * HOUR, slack_webhook=hook.url).failure is not None
    check.write_text(check.read_text().replace(">= 0", ">= -100"), encoding="utf-8")
    assert run_at(shop, FIRST + 3 * HOUR, slack_webhook=hook.url).failure is None

    said = [line for post in hook.posts for block in post["blocks"] for line in block["text"]["text"].splitlines()]
    assert sum(line.startswith("- new: shop, run by tester: ") for line in said) == 1
    assert sum(line.startswith("- over: shop tester: ") for line in said) == 1
    assert not list((shop / "lake/data").glob("outbox/critical-*"))


def test_webhook_that_fails_is_noted_and_told_by_the_next_run(tmp_path: Path, hook: Hook) -> None:
    """What no way took is told by the next run; where mail took it, it is told, and Slack's failure is on record."""
    shop = write_platform_shop(tmp_path / "shop")
    assert run_at(shop, FIRST).failure is None
    deliver(shop, 2, "B1,2026-11-19,-7.00,")
    hook.answers = [(410, {}, "gone")] * 100
    run_at(shop, FIRST + HOUR, slack_webhook=hook.url)
    assert told(shop, "gate_failed") == []

    hook.answers = []
    run_at(shop, FIRST + 2 * HOUR, slack_webhook=hook.url)
    assert [state for state, _ in told(shop, "gate_failed")] == ["open"]
    assert ask(shop, "select count(*) from ops.audit_log where event = 'alert-undelivered'") == [(1,)]
