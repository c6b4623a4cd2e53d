"""Which channels a project's messages take."""

from collections.abc import Callable

from lake.settings import Settings
from reports.channels.channel import Channel
from reports.channels.outbox import Outbox
from reports.channels.slack import slack_body
from reports.channels.smtp import Encryption, SmtpChannel, SmtpServer
from reports.channels.teams import teams_body
from reports.channels.webhook import Body, Webhook, json_body

WEBHOOKS: dict[str, tuple[str, Body]] = {  # by the setting that holds the address
    "slack_webhook": ("Slack", slack_body),
    "teams_webhook": ("Teams", teams_body),
    "alert_webhook": ("the webhook", json_body),
}
IMPLICIT_TLS_PORT = 465  # by RFC 8314 the port that is encrypted from the first byte


def choose_channel(settings: Settings) -> Channel:
    """Gives the mail server where one is set, else the outbox folder."""
    if not settings.smtp_host:  # `SLUICE_SMTP_HOST=` in .env means none, too
        return Outbox(settings.output / "outbox", settings.mail_from)
    return SmtpChannel(_server(settings, settings.smtp_host), settings.mail_from)


def alert_channels(settings: Settings, wait: Callable[[float], None]) -> list[Channel]:
    """Gives the ways of alerts: the mail server and every webhook that are set, the outbox where none is."""
    hooks = [
        Webhook(name, f"SLUICE_{setting.upper()}", address.get_secret_value(), body, wait)
        for setting, (name, body) in WEBHOOKS.items()
        if (address := getattr(settings, setting)) is not None
    ]
    return [choose_channel(settings), *hooks] if settings.smtp_host or not hooks else [*hooks]


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
