"""Channels, against real mail servers on this machine and a real folder."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lake.errors import DeliveryError
from lake.settings import Settings
from reports.channels.channel import Attachment, Message, delivery_key
from reports.channels.choice import choose_channel
from reports.channels.mail import write_mail
from reports.channels.outbox import Outbox, fold_written
from reports.channels.smtp import SmtpChannel, SmtpServer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
SENDER = "Sluice <sluice@example.org>"
PASSWORD = "correct-horse-battery"
MESSAGE = Message(
    subject="Sales controls: ₹ 12,34,567",
    recipients=("asha@example.org", "Ravi K <ravi@example.org>"),
    html='<p>Revenue ₹ 12,34,567</p><img src="cid:revenue" alt="Revenue by day">' + "x" * 2000,
    text="Revenue ₹ 12,34,567\n",
    written_at=datetime(2026, 11, 21, 2, 30, tzinfo=UTC),
    delivery_key=delivery_key("sales_controls", 7),
    images={"revenue": PNG},
    attachments=(Attachment("sales_controls.html", b"<!doctype html>", "text/html"),),
)


@dataclass
class Postbox:
    """What a mail server of the tests does with mail: keeps it, or answers as it is told."""

    answer: str = "250 kept"
    refused: frozenset[str] = frozenset()
    closes_at_data: bool = False
    closes_at_quit: bool = False
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 known"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.closes_at_data:
            server.transport.abort()
            return ""
        if self.answer.startswith("250"):
            self.mails.append(message_from_bytes(envelope.content or b"", policy=policy.default))  # type: ignore[arg-type]
            self.recipients.extend(envelope.rcpt_tos)
            self.encrypted.append(session.ssl is not None)
        return self.answer

    async def handle_QUIT(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.closes_at_quit:
            server.transport.abort()
        return "221 bye"


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1 that signs itself, and the server's side of TLS with it."""

    file: Path
    context: ssl.SSLContext


def make_certificate(folder: Path, *, address: str = "127.0.0.1") -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail server of the tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{address}.crt", folder / f"{address}.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    return Certificate(certificate_file, context)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def signs_in(server: Any, session: Session, envelope: Envelope, mechanism: str, login: Any) -> AuthResult:
    known = isinstance(login, LoginPassword) and login.password == PASSWORD.encode()
    return AuthResult(success=known, handled=False)


@contextmanager
def mail_server(postbox: Postbox, **options: Any) -> Iterator[SmtpServer]:
    """A running mail server, and its place as an unencrypted client would call it."""
    controller = Controller(postbox, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield SmtpServer("127.0.0.1", controller.port, encryption="none", timeout_seconds=5)
    finally:
        controller.stop()


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[SmtpServer]:
    """A server that says to its one client what `talk` makes it say."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                talk(client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield SmtpServer("127.0.0.1", listener.getsockname()[1], encryption="none", timeout_seconds=0.3)
        thread.join(timeout=10)


def parts(mail: EmailMessage) -> list[str]:
    return [part.get_content_type() for part in mail.walk()]


def test_mail_has_its_parts_in_the_order_clients_understand() -> None:
    """Text before HTML, images beside the HTML that shows them, attachments outside."""
    mail = message_from_bytes(write_mail(MESSAGE, SENDER).as_bytes(), policy=policy.default)
    assert parts(mail) == [  # type: ignore[arg-type]
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "text/html",
    ]
    image = next(part for part in mail.walk() if part.get_content_type() == "image/png")
    assert (image["Content-ID"], image.get_content_disposition()) == ("<revenue>", "inline")
    assert image.get_payload(decode=True) == PNG
    (attachment,) = mail.iter_attachments()  # type: ignore[attr-defined]
    assert (attachment.get_filename(), attachment.get_payload(decode=True)) == (
        "sales_controls.html",
        b"<!doctype html>",
    )


def test_mail_without_pictures_or_files_is_text_and_html() -> None:
    """What has neither images nor attachments has no part around them."""
    plain = replace(MESSAGE, images={}, attachments=())
    assert parts(write_mail(plain, SENDER)) == ["multipart/alternative", "text/plain", "text/html"]


def test_mail_carries_its_words_whole() -> None:
    """Subject, text and HTML arrive as written, in bytes every server takes."""
    content = write_mail(MESSAGE, SENDER).as_bytes()
    mail = message_from_bytes(content, policy=policy.default)
    assert mail["Subject"] == MESSAGE.subject
    assert mail.get_body(("plain",)).get_content().rstrip() == MESSAGE.text.rstrip()  # type: ignore[attr-defined]
    assert mail.get_body(("html",)).get_content().rstrip() == MESSAGE.html  # type: ignore[attr-defined]
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998


def test_mail_of_one_key_is_one_mail() -> None:
    """The same message gives the same bytes and Message-ID; another key gives another."""
    first, again = (write_mail(MESSAGE, SENDER).as_bytes() for _ in range(2))
    other = write_mail(replace(MESSAGE, delivery_key=delivery_key("sales_controls", 8)), SENDER)
    assert first == again
    assert other["Message-ID"] not in first.decode()
    assert write_mail(MESSAGE, SENDER)["Message-ID"] == f"<{MESSAGE.delivery_key}@example.org>"


def test_mail_subject_stays_one_line() -> None:
    """A line break in a subject starts no header of its own."""
    mail = write_mail(replace(MESSAGE, subject="Sales\r\nBcc: thief@example.org"), SENDER)
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Sales Bcc: thief@example.org"


@pytest.mark.parametrize(
    "address", ["", "asha", "asha@", "@example.org", "a@b.org, c@d.org", "a@b.org\nBcc: thief@example.org", "<a@b.org"]
)
def test_mail_refuses_what_is_no_address(address: str) -> None:
    """A recipient that is no single address is named before anything is sent."""
    with pytest.raises(DeliveryError, match="is no mail address.*address-invalid"):
        write_mail(replace(MESSAGE, recipients=("asha@example.org", address)), SENDER)


def test_mail_for_nobody_is_refused() -> None:
    """A message without recipients is an error, not a success."""
    with pytest.raises(DeliveryError, match="Nobody is named to get 'Sales controls.*recipients-missing"):
        write_mail(replace(MESSAGE, recipients=()), SENDER)


def test_outbox_writes_a_mail_that_opens(tmp_path: Path) -> None:
    """The outbox holds one readable `.eml`, named for its subject, and nothing half-written."""
    said = Outbox(tmp_path / "outbox", SENDER).send(MESSAGE)
    (path,) = (tmp_path / "outbox").iterdir()
    assert path.name == f"sales-controls-12-34-567-{MESSAGE.delivery_key}.eml"
    assert said == f"Wrote {path}."
    assert message_from_bytes(path.read_bytes(), policy=policy.default)["To"] == ", ".join(MESSAGE.recipients)


def test_outbox_holds_a_repeated_message_once(tmp_path: Path) -> None:
    """Handing the same message over again leaves one file; another message is another file."""
    outbox = Outbox(tmp_path, SENDER)
    for message in (MESSAGE, MESSAGE, replace(MESSAGE, delivery_key=delivery_key("sales_controls", 8))):
        outbox.send(message)
    assert len(list(tmp_path.iterdir())) == 2


def test_outbox_mails_are_told_by_their_folder(tmp_path: Path) -> None:
    """Many mails of one folder are one line; a single one, and whatever a mail server took, are told as they are."""
    first, second = (Outbox(tmp_path / name, SENDER) for name in ("first", "second"))
    many = [first.send(replace(MESSAGE, delivery_key=str(number))) for number in range(3)]
    alone, sent = second.send(MESSAGE), "Sent 'Orders' to asha@example.org through 127.0.0.1:25."
    assert fold_written([many[0], alone, sent, *many[1:], sent]) == [
        f"3 mails: {tmp_path / 'first'}",
        f"mail: {alone}",
        f"mail: {sent}",
        f"mail: {sent}",
    ]
    assert fold_written([]) == []


def test_outbox_takes_any_subject(tmp_path: Path) -> None:
    """A subject of no letters or of very many makes a file name all the same."""
    outbox = Outbox(tmp_path, SENDER)
    outbox.send(replace(MESSAGE, subject="₹ ₹", delivery_key="1"))
    outbox.send(replace(MESSAGE, subject="../" * 200 + "revenue" * 50, delivery_key="2"))
    assert all(path.parent == tmp_path for path in tmp_path.rglob("*"))
    assert (tmp_path / "mail-1.eml").exists()


def test_outbox_names_the_folder_it_cannot_write(tmp_path: Path) -> None:
    """A folder that cannot be made is named with the reason."""
    (tmp_path / "outbox").write_text("a file stands here")
    with pytest.raises(DeliveryError, match=r"outbox: The outbox cannot be written: .*outbox-unwritable"):
        Outbox(tmp_path / "outbox", SENDER).send(MESSAGE)


def test_outbox_that_cannot_take_a_file_keeps_no_half(tmp_path: Path) -> None:
    """When the file cannot be put in its place, no half-written file stays."""
    (tmp_path / f"sales-controls-12-34-567-{MESSAGE.delivery_key}.eml").mkdir()
    with pytest.raises(DeliveryError, match="outbox-unwritable"):
        Outbox(tmp_path, SENDER).send(MESSAGE)
    assert [path.suffix for path in tmp_path.iterdir()] == [".eml"]


def test_smtp_delivers_to_every_recipient() -> None:
    """The server gets the whole mail, for everybody named."""
    postbox = Postbox()
    with mail_server(postbox) as server:
        said = SmtpChannel(server, SENDER).send(MESSAGE)
    assert postbox.recipients == ["asha@example.org", "ravi@example.org"]
    assert said == f"Sent '{MESSAGE.subject}' to {', '.join(MESSAGE.recipients)} through {server.place}."
    assert parts(postbox.mails[0]) == parts(write_mail(MESSAGE, SENDER))
    assert postbox.mails[0].get_body(("html",)).get_content().rstrip() == MESSAGE.html  # type: ignore[union-attr]


def test_smtp_encrypts_by_starttls(certificate: Certificate) -> None:
    """With STARTTLS and a trusted certificate the mail travels encrypted, and the account signs in."""
    postbox = Postbox()
    options = {"tls_context": certificate.context, "require_starttls": True, "authenticator": signs_in}
    with mail_server(postbox, auth_required=True, **options) as server:
        account = replace(server, encryption="starttls", ca_file=certificate.file, user="sluice", password=PASSWORD)
        SmtpChannel(account, SENDER).send(MESSAGE)
    assert postbox.encrypted == [True]


def test_smtp_encrypts_from_the_first_byte(certificate: Certificate) -> None:
    """With `tls` the connection is encrypted before anything is said."""
    postbox = Postbox()
    with mail_server(postbox, ssl_context=certificate.context) as server:
        SmtpChannel(replace(server, encryption="tls", ca_file=certificate.file), SENDER).send(MESSAGE)
    assert len(postbox.mails) == 1


def test_smtp_trusts_no_unknown_certificate(certificate: Certificate) -> None:
    """A certificate no known authority signed ends the delivery before the mail is shown."""
    postbox = Postbox()
    with mail_server(postbox, tls_context=certificate.context) as server:
        with pytest.raises(DeliveryError, match="certificate of mail server.*mail-certificate-untrusted"):
            SmtpChannel(replace(server, encryption="starttls"), SENDER).send(MESSAGE)
    assert postbox.mails == []


def test_smtp_trusts_no_certificate_of_another_host(tmp_path: Path) -> None:
    """A certificate for another address is not to be trusted, whoever signed it."""
    other = make_certificate(tmp_path, address="127.0.0.9")
    with mail_server(Postbox(), tls_context=other.context) as server:
        with pytest.raises(DeliveryError, match="mail-certificate-untrusted"):
            SmtpChannel(replace(server, encryption="starttls", ca_file=other.file), SENDER).send(MESSAGE)


def test_smtp_never_falls_back_to_clear_text() -> None:
    """A server without STARTTLS gets no mail when encryption is asked for."""
    postbox = Postbox()
    with mail_server(postbox) as server:
        with pytest.raises(DeliveryError, match="does not offer what is asked of it.*mail-not-supported"):
            SmtpChannel(replace(server, encryption="starttls"), SENDER).send(MESSAGE)
    assert postbox.mails == []


def test_smtp_wrong_password_is_not_shown(certificate: Certificate) -> None:
    """A refused account is named without its password, in message and in the settings' own words."""
    with mail_server(Postbox(), tls_context=certificate.context, authenticator=signs_in) as server:
        account = replace(server, encryption="starttls", ca_file=certificate.file, user="sluice", password="hunter-two")
        with pytest.raises(DeliveryError, match=r"refused the account 'sluice' \(535\).*mail-login-refused") as caught:
            SmtpChannel(account, SENDER).send(MESSAGE)
    assert "hunter-two" not in f"{caught.value}{caught.value.subject}{caught.value.__cause__}{account}"


def test_smtp_names_the_one_recipient_refused() -> None:
    """When one of two recipients is refused, the other has the mail and the error names the one."""
    postbox = Postbox(refused=frozenset({"ravi@example.org"}))
    with mail_server(postbox) as server:
        with pytest.raises(
            DeliveryError, match=r"refused recipients: 'ravi@.*no such mailbox.*recipients-refused"
        ) as e:
            SmtpChannel(server, SENDER).send(MESSAGE)
    assert e.value.subject == {"recipients": ("ravi@example.org",)}
    assert postbox.recipients == ["asha@example.org"]


def test_smtp_names_all_recipients_refused() -> None:
    """When all recipients are refused, each is named and nothing was delivered."""
    postbox = Postbox(refused=frozenset({"ravi@example.org", "asha@example.org"}))
    with mail_server(postbox) as server:
        with pytest.raises(DeliveryError, match=r"'asha@example.org' \(550.*'ravi@example.org' \(550"):
            SmtpChannel(server, SENDER).send(MESSAGE)
    assert postbox.mails == []


def test_smtp_repeats_the_answer_that_refused_the_mail() -> None:
    """A server that refuses the mail is quoted."""
    with mail_server(Postbox(answer="552 too big")) as server:
        with pytest.raises(DeliveryError, match="refused the mail: 552 too big.*mail-refused"):
            SmtpChannel(server, SENDER).send(MESSAGE)


def test_smtp_cut_off_midway_may_have_arrived() -> None:
    """A connection lost while the mail is given says that it may have arrived, and how to send it again."""
    with mail_server(Postbox(closes_at_data=True)) as server:
        with pytest.raises(DeliveryError, match="was lost while it was given the mail.*Message-ID.*mail-interrupted"):
            SmtpChannel(server, SENDER).send(MESSAGE)


def test_smtp_taken_mail_is_sent_whatever_the_goodbye() -> None:
    """A server that hangs up after it took the mail has it: no error, or it would be sent twice."""
    postbox = Postbox(closes_at_quit=True)
    with mail_server(postbox) as server:
        assert SmtpChannel(server, SENDER).send(MESSAGE).startswith("Sent 'Sales controls")
    assert len(postbox.mails) == 1


def test_smtp_server_that_is_not_there() -> None:
    """A port nobody listens on is named with the reason."""
    nowhere = SmtpServer("127.0.0.1", free_port(), encryption="none")
    with pytest.raises(DeliveryError, match=r"127\.0\.0\.1:\d+ cannot be talked to: Connection refused"):
        SmtpChannel(nowhere, SENDER).send(MESSAGE)


def test_smtp_server_that_says_nothing() -> None:
    """A server that accepts and stays silent is given up after the time an answer may take."""
    silence = threading.Event()
    with raw_server(lambda _: silence.wait(5) and None) as server:
        with pytest.raises(DeliveryError, match="did not answer in time.*mail-server-unreachable"):
            SmtpChannel(server, SENDER).send(MESSAGE)
        silence.set()


def test_smtp_server_that_closes_at_once() -> None:
    """A server that closes before it speaks is told apart from one that lost a mail."""
    with raw_server(lambda _: None) as server:
        with pytest.raises(DeliveryError, match="it closed the connection.*mail-server-unreachable"):
            SmtpChannel(server, SENDER).send(MESSAGE)


def test_smtp_server_that_is_busy() -> None:
    """A server that greets with 421 is reported by that number."""
    with raw_server(lambda client: client.sendall(b"421 come back later\r\n")) as server:
        with pytest.raises(DeliveryError, match="it answered 421.*mail-server-unreachable"):
            SmtpChannel(server, SENDER).send(MESSAGE)


def test_channel_is_the_outbox_without_a_mail_server(tmp_path: Path) -> None:
    """Without a host, or with an empty one, mails go to the project's outbox."""
    for host in (None, ""):
        channel = choose_channel(Settings.read(tmp_path, smtp_host=host))
        assert channel == Outbox(tmp_path / "lake" / "data" / "outbox", "sluice@localhost")


def test_channel_is_the_mail_server_where_one_is_set(tmp_path: Path) -> None:
    """With a host mails go there, encrypted unless that is switched off, and on port 465 in any case."""
    encryptions = {}
    for port, starttls in [(587, True), (25, False), (465, True), (465, False)]:
        settings = Settings.read(
            tmp_path,
            smtp_host="mail.example.org",
            smtp_port=port,
            smtp_starttls=starttls,
            smtp_user="sluice",
            smtp_password=PASSWORD,
        )
        channel = choose_channel(settings)
        assert isinstance(channel, SmtpChannel)
        assert (channel.server.host, channel.server.user, channel.server.password) == (
            "mail.example.org",
            "sluice",
            PASSWORD,
        )
        assert PASSWORD not in repr(channel)
        encryptions[port, starttls] = channel.server.encryption
    assert encryptions == {(587, True): "starttls", (25, False): "none", (465, True): "tls", (465, False): "tls"}
