"""What goes wrong around what is posted: a batch that is held, a spool that cannot be written, senders who stall."""

import resource
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from flows.rework import admit_batch
from flows.workplace import Workplace
from tests.service_parts import CSV, Served, land_failing, make_project, row, served, upload

HURRY_SECONDS = "1"  # for a head and a body, instead of the half minute that there is by default
FORM = 'multipart/form-data; boundary="xyz"'
PART = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nvisit_id\r\n'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose raw gate wants small amounts."""
    folder = make_project(tmp_path_factory.mktemp("faults"))
    check = folder / "checks" / "raw" / "visits.yml"
    check.parent.mkdir()
    check.write_text("checks for visits:\n  - max(paid) < 100\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def service(project: Path) -> Iterator[Served]:
    with served(project, environment={"SLUICE_BODY_SECONDS": HURRY_SECONDS}) as running:
        yield running


def receipt(service: Served, answer: httpx.Response) -> dict:
    return httpx.get(service.url + answer.headers["location"], timeout=30).json()


def place_of(service: Served) -> tuple[str, int]:
    address = urlsplit(service.url)
    return address.hostname or "", address.port or 0


def files(project: Path) -> Path:
    return project / "lake" / "data" / "spool" / "visits" / "files"


def test_service_receipts_tell_of_a_held_batch(project: Path, service: Served) -> None:
    """Rows whose raw gate failed are told as held, with the reason, and as landed once their batch was admitted."""
    answers = [service.post([row(1), row(2, came_on="never")]), service.post([row(3, paid=500)])]
    land_failing(project)
    held = [receipt(service, answer) for answer in answers]
    assert [(each["state"], each["row_count"]) for each in held] == [("held", 2), ("held", 1)]
    assert "max(paid)" in held[0]["why"]
    assert "accepted_count" not in held[0]
    admit_batch(Workplace(project, is_quiet=True), held[0]["batches"][0])
    told = [receipt(service, answer) for answer in answers]
    kept = [[each[f"{name}_count"] for name in ("row", "accepted", "quarantined", "duplicate")] for each in told]
    assert ([each["state"] for each in told], kept) == (["landed"] * 2, [[2, 1, 1, 0], [1, 1, 0, 0]])


def test_service_says_that_uploads_cannot_be_kept(project: Path, service: Served) -> None:
    """A folder of uploads that cannot be written to is told as a spool that cannot; with it, files are taken again."""
    files(project).parent.mkdir(parents=True, exist_ok=True)
    files(project).write_text("in the way")
    answer = upload(service, "a.csv", CSV)
    assert (answer.status_code, answer.json()["code"]) == (503, "spool-unwritable"), answer.text
    files(project).unlink()
    assert upload(service, "a.csv", CSV).status_code == 202


def test_service_keeps_uploads_from_other_users(project: Path, service: Served) -> None:
    """An uploaded file may be read by the service's own user alone, as segments of rows may."""
    path = files(project) / upload(service, "mine.csv", CSV).json()["receipt"] / "mine.csv"
    assert path.stat().st_mode & 0o777 == 0o600


@dataclass
class Line:
    """A connection on which a request begins and never ends; a trickling one brings a byte now and then."""

    begun: bytes
    is_trickling: bool
    socket: socket.socket

    def told(self) -> bytes:
        """What comes back, once the service closes the connection."""
        found = b""
        while True:
            if select.select([self.socket], [], [], 0.1)[0]:
                try:
                    more = self.socket.recv(65536)
                except ConnectionResetError:  # what we sent came too late
                    more = b""
                found += more
                if not more:
                    return found
            elif self.is_trickling:
                with suppress(OSError):  # it may be closed by now
                    self.socket.sendall(b"a")


@contextmanager
def lines(service: Served, beginnings: list[bytes]) -> Iterator[list[Line]]:
    """Two connections for each beginning, one of which trickles."""
    with ExitStack() as stack:
        opened = []
        for begun in beginnings:
            for is_trickling in (False, True):
                line = stack.enter_context(socket.create_connection(place_of(service), timeout=30))
                line.sendall(begun)
                opened.append(Line(begun, is_trickling, line))
        yield opened


def test_service_waits_for_no_body_for_ever(project: Path, service: Served) -> None:
    """A body that stops coming, or comes by single bytes, is refused with 408, its connection closed, nothing kept."""
    before = sorted(files(project).glob("*"))
    head = "POST /{} HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\nContent-Length: 100000\r\n\r\n"
    bodies = [
        ("v1/visits", "application/json", b'[{"visit_id": '),
        ("v1/visits/files", FORM, PART),
        ("sign-in", "application/x-www-form-urlencoded", b"key="),
    ]
    with lines(service, [head.format(place, kind).encode() + body for place, kind, body in bodies]) as opened:
        for line in opened:
            told = line.told()
            assert told.startswith(b"HTTP/1.1 408 ") and b'"code":"body-slow"' in told, (line, told)
    assert sorted(files(project).glob("*")) == before


def test_service_waits_for_no_head_for_ever(service: Served) -> None:
    """A head that stops coming, or comes by single bytes, is refused with 408; a silent connection is closed."""
    whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with lines(service, [b"G", b"POST /v1/visits HTTP/1.1\r\nX-A: ", whole + b"GET "]) as opened:
        for line in opened:
            assert b"HTTP/1.1 408 " in line.told(), line
    with lines(service, [b""]) as (silent, _):
        assert silent.told() == b""


def test_service_waits_for_no_refused_body_for_ever(service: Served) -> None:
    """A body that goes on after it was refused does so for a while only."""
    head = b"POST /v1/nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    with lines(service, [head, head + b"0\r\nX-A: b"]) as opened:
        for line in opened:
            assert line.told().startswith(b"HTTP/1.1 404 "), line


def test_service_takes_no_endless_head(service: Served) -> None:
    """A head without end is refused, whether it is one header, many, or headers behind a chunked body."""
    chunked = b"POST /v1/visits HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    many = b"X-A: bcdefgh\r\n" * 100_000
    for endless in (b"GET / HTTP/1.1\r\nX-A: " + b"a" * 1_000_000, b"GET / HTTP/1.1\r\n" + many, chunked + many):
        with socket.create_connection(place_of(service), timeout=30) as line:
            with suppress(OSError):  # it is closed while we still send
                line.sendall(endless)
            with suppress(ConnectionResetError):
                assert line.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert httpx.get(f"{service.url}/healthz").status_code == 200


def allow_few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (320, 320))


def test_service_serves_beside_very_many_connections(tmp_path: Path) -> None:
    """However many connections are open and idle, files can be opened and whoever comes is served."""
    with served(make_project(tmp_path), limits=allow_few_files) as service, ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(place_of(service), timeout=30)) for _ in range(400)]
        for number in range(3):
            assert service.post([row(number)]).status_code == 202
            idle += [stack.enter_context(socket.create_connection(place_of(service), timeout=30)) for _ in range(50)]
        assert upload(service, "a.csv", CSV).status_code == 202
