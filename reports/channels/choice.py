"""Which channel a project's messages take."""

from lake.settings import Settings
from reports.channels.channel import Channel
from reports.channels.outbox import Outbox
from reports.channels.smtp import Encryption, SmtpChannel, SmtpServer

IMPLICIT_TLS_PORT = 465  # by RFC 8314 the port that is encrypted from the first byte


def choose_channel(settings: Settings) -> Channel:
    """Gives the mail server where one is set, else the outbox folder."""
    if not settings.smtp_host:  # `SLUICE_SMTP_HOST=` in .env means none, too
        return Outbox(settings.output / "outbox", settings.mail_from)
    return SmtpChannel(_server(settings, settings.smtp_host), settings.mail_from)


def _server(settings: Settings, host: str) -> SmtpServer:
    password = settings.smtp_password
    return SmtpServer(
        host,
        settings.smtp_port,
        user=settings.smtp_user,
        password=None if password is None else password.get_secret_value(),
        encryption=_encryption(settings),
    )


def _encryption(settings: Settings) -> Encryption:
    if settings.smtp_port == IMPLICIT_TLS_PORT:
        return "tls"
    return "starttls" if settings.smtp_starttls else "none"
