"""Microsoft Teams: an adaptive card, by a webhook of Workflows ("when a webhook request is received")."""

from collections.abc import Mapping
from itertools import accumulate

from reports.channels.channel import Message
from reports.channels.webhook import without_subject

MOST_LETTERS = 6000  # a card may have 28 kB, and a letter of an Indian script has three bytes
MORE = "More is in ops.alert_history."


def teams_body(message: Message) -> Mapping[str, object]:
    """Gives a message as a card of text runs, which know no markup: nothing that data say becomes a link."""
    lines = [line for line in without_subject(message).splitlines() if line.strip()]
    shown = [line for line, letters in zip(lines, accumulate(map(len, lines)), strict=True) if letters <= MOST_LETTERS]
    more = [] if len(shown) == len(lines) else [MORE]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [
            _line(message.subject, size="Large", weight="Bolder"),
            *(_line(line) for line in [*shown, *more]),
        ],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _line(text: str, **style: str) -> Mapping[str, object]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}
