"""Messages as mail: MIME parts in the order every client understands."""

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, cast

from lake.errors import DeliveryError
from reports.channels.channel import Message

MAIL = SMTP.clone(cte_type="7bit")  # any server takes it, also one that does not speak 8BITMIME


def write_mail(message: Message, sender: str) -> EmailMessage:
    """Gives a message as mail: mixed(alternative(text, related(HTML, images)), attachments), the same bytes each time.

    Raises DeliveryError where nobody is to get it, or an address is none.
    """
    if not message.recipients:
        raise DeliveryError(
            "recipients-missing",
            f"Nobody is named to get '{message.subject}'.",
            cure="Name recipients in its header, or set SLUICE_MAIL_TO.",
        )
    mail = EmailMessage(policy=MAIL)
    mail["From"] = _checked(sender)
    mail["To"] = [_checked(recipient) for recipient in message.recipients]
    mail["Subject"] = " ".join(message.subject.split())
    mail["Date"] = format_datetime(message.written_at)
    mail["Message-ID"] = f"<{message.delivery_key}@{domain(sender)}>"
    mail["Auto-Submitted"] = "auto-generated"  # keeps out-of-office answers away
    _fill(mail, message)
    _fix_boundaries(mail, message.delivery_key)
    return mail


def domain(address: str) -> str:
    """Gives what stands behind the @ of an address; raises DeliveryError where it is none."""
    return _checked(address).domain


def _fill(mail: EmailMessage, message: Message) -> None:
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    page = cast(EmailMessage, mail.get_payload(1))
    for cid, image in message.images.items():
        page.add_related(image, "image", "png", cid=f"<{cid}>", filename=f"{cid}.png", disposition="inline")
    for attachment in message.attachments:
        kind, _, subtype = attachment.media_type.partition("/")
        mail.add_attachment(attachment.content, kind, subtype, filename=attachment.name)


def _fix_boundaries(mail: EmailMessage, key: str) -> None:
    """Python draws boundaries by lot; these repeat, and `=_` stands in no encoded text."""
    multiparts = (part for part in mail.walk() if part.is_multipart())
    for number, part in enumerate(multiparts):
        part.set_boundary(f"=_{number}_{key}")


def _checked(text: str) -> Address:
    """Gives one address, plain or with a display name."""
    address = _parsed(text)
    if address is None:
        raise DeliveryError(
            "address-invalid",
            f"'{text}' is no mail address.",
            cure="Write it as name@example.org, or Name <name@example.org>.",
        )
    return address


def _parsed(text: str) -> Address | None:
    try:
        header = cast(Any, MAIL.header_factory("To", text))  # its class is made at run time
    except (MessageError, ValueError, IndexError):  # Python's parser breaks on some texts in place of noting a defect
        return None
    whole = not header.defects and len(header.addresses) == 1 and header.addresses[0].domain
    return cast(Address, header.addresses[0]) if whole else None
