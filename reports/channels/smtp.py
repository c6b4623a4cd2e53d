"""The mail server: SMTP over a connection that is encrypted and whose certificate is verified."""

import smtplib
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lake.errors import DeliveryError
from reports.channels.channel import Message
from reports.channels.mail import domain, write_mail

ANSWER_SECONDS = 30.0
Encryption = Literal["starttls", "tls", "none"]


@dataclass(frozen=True)
class SmtpServer:
    """A mail server and the account on it.

    `encryption` is `starttls` (asked for, and never left out), `tls` (from the first byte, port 465) or `none`.
    `ca_file` holds the certificates to trust in place of the system's. `timeout_seconds` is what one answer may take.
    """

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    encryption: Encryption = "starttls"
    ca_file: Path | None = None
    timeout_seconds: float = ANSWER_SECONDS

    @property
    def place(self) -> str:
        """The server as messages name it."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class SmtpChannel:
    """Mail by SMTP; `sender` is who the mails are from."""

    server: SmtpServer
    sender: str

    def send(self, message: Message) -> str:
        """Hands the mail to the server; raises DeliveryError, also where only some recipients were taken."""
        mail = write_mail(message, self.sender)
        connection = _connect(self.server, domain(self.sender))
        try:
            refused = connection.send_message(mail)
        except (smtplib.SMTPException, OSError) as error:
            raise _handing_failed(self.server, error) from error
        finally:
            _hang_up(connection)
        if refused:
            raise _refused(self.server, refused)
        return f"Sent '{message.subject}' to {', '.join(message.recipients)} through {self.server.place}."


def _connect(server: SmtpServer, name: str) -> smtplib.SMTP:
    """Opens, encrypts and signs in; closes again where one of these fails."""
    connection: smtplib.SMTP | None = None
    try:
        connection = _open(server, name)
        if server.encryption == "starttls":
            connection.starttls(context=_trust(server))
        if server.user is not None:
            connection.login(server.user, server.password or "")
    except (smtplib.SMTPException, OSError) as error:
        if connection is not None:
            connection.close()
        raise _connecting_failed(server, error) from error
    return connection


def _open(server: SmtpServer, name: str) -> smtplib.SMTP:
    if server.encryption == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, name, timeout=server.timeout_seconds, context=_trust(server))
    return smtplib.SMTP(server.host, server.port, name, timeout=server.timeout_seconds)


def _trust(server: SmtpServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.ca_file)


def _hang_up(connection: smtplib.SMTP) -> None:
    """Says goodbye; the mail is taken or refused by now, whatever the server answers to that."""
    try:
        connection.quit()
    except (smtplib.SMTPException, OSError):
        connection.close()


def _connecting_failed(server: SmtpServer, error: Exception) -> DeliveryError:
    """What stopped us before any mail was handed over; no word of the server, which may repeat what it was told."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return DeliveryError(
            "mail-login-refused",
            f"Mail server {server.place} refused the account '{server.user}' ({error.smtp_code}).",
            cure="Check SLUICE_SMTP_USER and SLUICE_SMTP_PASSWORD.",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return DeliveryError(
            "mail-certificate-untrusted",
            f"The certificate of mail server {server.place} is not to be trusted: {error.verify_message}.",
            cure="Use the name the certificate is for, or make its authority known (SSL_CERT_FILE).",
        )
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return DeliveryError(
            "mail-not-supported",
            f"Mail server {server.place} does not offer what is asked of it: encryption by STARTTLS, or signing in.",
            cure="Use its submission port (587), or set SLUICE_SMTP_STARTTLS=false or no SLUICE_SMTP_USER.",
        )
    return DeliveryError(
        "mail-server-unreachable",
        f"Mail server {server.place} cannot be talked to: {_reason(error)}.",
        cure="Check SLUICE_SMTP_HOST, SLUICE_SMTP_PORT and the network; the mail was not sent.",
    )


def _handing_failed(server: SmtpServer, error: Exception) -> DeliveryError:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _refused(server, error.recipients)
    if isinstance(error, smtplib.SMTPResponseException):
        return DeliveryError(
            "mail-refused",
            f"Mail server {server.place} refused the mail: {error.smtp_code} {_words(error.smtp_error)}.",
            cure="Its answer says why: the sender (SLUICE_MAIL_FROM), the size or the content.",
        )
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return DeliveryError(
            "mail-not-supported",
            f"Mail server {server.place} takes no addresses with letters beyond ASCII.",
            cure="Use addresses in plain letters.",
        )
    return DeliveryError(
        "mail-interrupted",
        f"Mail server {server.place} was lost while it was given the mail: {_reason(error)}.",
        cure="Send it again: if it arrived all the same, its Message-ID tells the copy from a second mail.",
    )


def _refused(server: SmtpServer, refused: dict[str, tuple[int, bytes]]) -> DeliveryError:
    answers = "; ".join(f"'{who}' ({code} {_words(words)})" for who, (code, words) in sorted(refused.items()))
    return DeliveryError(
        "recipients-refused",
        f"Mail server {server.place} refused recipients: {answers}.",
        cure="Mend their addresses; recipients not named here have the mail.",
        recipients=tuple(sorted(refused)),
    )


def _reason(error: Exception) -> str:
    """What happened to a connection, in words that hold nothing of what was said over it."""
    if TimeoutError in (type(error), type(error.__context__)):  # smtplib calls a silent server a closed connection
        return "it did not answer in time"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "it closed the connection"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answered {error.smtp_code}"
    return getattr(error, "strerror", None) or type(error).__name__


def _words(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return " ".join(text.split())
