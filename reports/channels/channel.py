"""What is handed to a channel, and what a channel is."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

KEY_LENGTH = 32  # hex digits: 128 bits never meet by chance


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a message: its name, its bytes and its media type, such as `text/html`."""

    name: str
    content: bytes
    media_type: str


@dataclass(frozen=True)
class Message:
    """One message to people, told twice: `html` for clients that show it, `text` for those that do not.

    `images` are PNG files by the content id the HTML calls them by (`<img src="cid:revenue">`). `written_at` is an
    instant in UTC. Two messages of one `delivery_key` are one message, however often it is handed over: its mail has
    the same Message-ID, its file in the outbox the same name. `instead` says that the recipients were read from data,
    so that their addresses are not to be repeated, and who gets the message where they cannot be reached; None: they
    are named by the project. `facts` is what it tells as data, for programs.
    """

    subject: str
    recipients: tuple[str, ...]
    html: str
    text: str
    written_at: datetime
    delivery_key: str
    images: Mapping[str, bytes] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    instead: tuple[str, ...] | None = None
    facts: tuple[Mapping[str, object], ...] = ()


class Channel(Protocol):
    """A way to people."""

    def send(self, message: Message) -> str:
        """Hands a message over and says in one sentence what happened; raises DeliveryError when it was not taken."""
        ...


def delivery_key(*parts: object) -> str:
    """Gives the key of what its readers must get once, such as a page's name and its release.

    Leave the run's id out where a rerun after a crash must not tell people twice.
    """
    text = "\x1f".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
