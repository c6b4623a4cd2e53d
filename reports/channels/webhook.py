"""Chats and programs: one POST of JSON to an address that is itself the secret."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lake.errors import DeliveryError
from reports.channels.channel import Message

if TYPE_CHECKING:
    import httpx

ANSWER_SECONDS = 15.0
WAITS = (1.0, 5.0)  # seconds before the second and the third try
LONGEST_WAIT = 30.0  # however long a server asks for: a run waits meanwhile
TOO_MANY, SERVER_ERROR = 429, 500
ANSWERED_LETTERS = 100  # of what a server says, in a message
LOGGERS = ("httpx", "httpcore")  # their lines quote addresses
NOT_SENT = "the alert was not sent."

Body = Callable[[Message], Mapping[str, object]]


@dataclass(frozen=True)
class Webhook:
    """One address that takes messages: `name` is how it is told of, `setting` the one that holds its address.

    `body` writes a message as what stands behind the address wants it; `wait` is given seconds.
    """

    name: str
    setting: str
    address: str = field(repr=False)
    body: Body
    wait: Callable[[float], None]

    def send(self, message: Message) -> str:
        """Posts the message, thrice where that may help; raises DeliveryError, which holds no word of the address."""
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        for wait in WAITS:
            try:
                self._post(message)
            except _NotTakenError as error:
                if not error.may_pass:
                    raise
                self.wait(min(error.asked_wait or wait, LONGEST_WAIT))
            else:
                break
        else:
            self._post(message)
        return f"Sent '{message.subject}' to {self.name}."

    def _post(self, message: Message) -> None:
        import httpx  # a tenth of a second that runs without a webhook need not pay

        headers = {"User-Agent": "sluice", "Idempotency-Key": message.delivery_key}
        try:
            answer = httpx.post(self.address, json=self.body(message), headers=headers, timeout=ANSWER_SECONDS)
        except httpx.TransportError as error:
            raise self._unreachable(
                error, is_late=isinstance(error, httpx.TimeoutException)
            ) from None  # its own words may name the address
        if not answer.is_success:
            raise self._refused(answer)

    def _unreachable(self, error: "httpx.TransportError", *, is_late: bool) -> DeliveryError:
        reason = "it did not answer in time" if is_late else type(error).__name__
        message = f"{self.name} cannot be reached: {reason}."
        cure = f"Check {self.setting} and the network; {NOT_SENT}"
        return _NotTakenError("webhook-unreachable", message, cure=cure, may_pass=True)

    def _refused(self, answer: "httpx.Response") -> DeliveryError:
        words = " ".join(answer.text.split())[:ANSWERED_LETTERS]
        if any(part in words for part in (self.address, answer.request.url.path) if len(part) > 1):
            words = ""  # it repeats what it was told
        message = f"{self.name} answered {answer.status_code}{f' ({words})' if words else ''}."
        cure = f"Check {self.setting}, which may have been withdrawn; {NOT_SENT}"
        may_pass = answer.status_code == TOO_MANY or answer.status_code >= SERVER_ERROR
        return _NotTakenError("webhook-refused", message, cure=cure, may_pass=may_pass, asked_wait=_asked_wait(answer))


class _NotTakenError(DeliveryError):
    """A message that was not taken, whether that may pass, and how many seconds were asked for to try again."""

    def __init__(self, code: str, message: str, *, cure: str, may_pass: bool, asked_wait: float | None = None) -> None:
        super().__init__(code, message, cure=cure)
        self.may_pass, self.asked_wait = may_pass, asked_wait


def _asked_wait(answer: "httpx.Response") -> float | None:
    asked = answer.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else None


def json_body(message: Message) -> Mapping[str, object]:
    """Gives a message for programs: what it says, and the same as data."""
    return {
        "key": message.delivery_key,
        "written_at": message.written_at.isoformat(),
        "subject": message.subject,
        "text": message.text,
        "facts": [dict(fact) for fact in message.facts],
    }


def without_subject(message: Message) -> str:
    """Gives the text below its first line, which repeats the subject."""
    return message.text.removeprefix(message.subject).strip()
