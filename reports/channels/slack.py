"""Slack: a message of blocks, by an incoming webhook (Mattermost and Rocket.Chat take the same)."""

from collections.abc import Iterator, Mapping
from textwrap import shorten

from reports.channels.channel import Message
from reports.channels.webhook import without_subject

HEADER_LETTERS, SECTION_LETTERS, MOST_SECTIONS = 150, 3000, 10  # Slack takes no more, but for sections: 50
MORE = "More is in ops.alert_history."


def slack_body(message: Message) -> Mapping[str, object]:
    """Gives a message as blocks of plain text: nothing that data say becomes a link or calls everyone."""
    parts = list(_sections(without_subject(message)))
    if len(parts) > MOST_SECTIONS:
        parts[MOST_SECTIONS - 1 :] = [MORE]
    return {
        "text": _escaped(message.subject),  # for notifications
        "blocks": [
            {"type": "header", "text": _plain(shorten(message.subject, HEADER_LETTERS, placeholder=" …"))},
            *({"type": "section", "text": _plain(part)} for part in parts),
        ],
    }


def _sections(text: str) -> Iterator[str]:
    """Gives a text in parts that end with lines, or within one that is too long for a part."""
    part = ""
    for line in text.splitlines(keepends=True):
        if part and len(part) + len(line) > SECTION_LETTERS:
            yield part
            part = ""
        part += line[: SECTION_LETTERS - 1]
    if part.strip():
        yield part


def _plain(text: str) -> Mapping[str, object]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
