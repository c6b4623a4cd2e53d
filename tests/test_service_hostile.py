"""Bodies and requests that mean harm, on the real service: nobody else's rows suffer, and nothing is said of them."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.service_parts import CONTRACT, CSV, Served, land, make_project, row, send, served, upload

LINES = "application/x-ndjson"
ROOM = CONTRACT.replace("200000", "10485760")
DEEP = 500_000


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose service takes bodies of the usual size."""
    folder = make_project(tmp_path_factory.mktemp("hostile"))
    (folder / "lake" / "contracts" / "visits.yaml").write_text(ROOM, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "service.log"


@pytest.fixture(scope="module")
def service(project: Path, log: Path) -> Iterator[Served]:
    with served(project, log=log) as running:
        yield running


def record(more: bytes) -> bytes:
    return b'{"visit_id": "hostile", "came_on": "2026-01-02", ' + more + b"}"


def raw(service: Served, data: bytes) -> bytes:
    """Sends bytes, and gives the first that come back; b"" where the connection was closed."""
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port or 0), timeout=30) as line:
        line.sendall(data)
        return line.recv(65536)


MANY_KEYS = b",".join(b'"k%d": 1' % number for number in range(50_000))


@pytest.mark.parametrize(
    ("body", "good"),
    [
        (record(MANY_KEYS), 0),
        (record(b",".join(b'"x%d": 1' % place for place in range(60)) + b', "note": "' + b"n" * 9_000_000 + b'"'), 0),
        (record(b'"note": ' + b"[" * DEEP + b"]" * DEEP), 1),
        (record(b'"note": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP), 1),
        (record(b'"note": [' + b"1," * 2_000_000 + b"1]"), 1),
        (record(b'"paid": NaN'), 0),
        (record(b'"paid": ' + b"9" * 5000), 0),
        (record(b'"note": "\\ud800"'), 0),
        (record(b'"a\\u0000b": 1'), 0),
        (record(b'"visit_id": "again"'), 1),
        (b"\x0b\n\x1c\n\0", 0),
    ],
    ids=["keys", "long", "lists", "objects", "numbers", "nan", "digits", "surrogate", "nul", "twice", "blanks"],
)
def test_service_hostile_records_harm_nobody(service: Served, body: bytes, good: int) -> None:
    """Whatever a record is made of, it is kept and judged, and never a failure of the service."""
    answer = send(service, body, LINES)
    assert (answer.status_code, answer.json()["accepted_count"]) == (202 if good else 422, good), answer.text[:300]
    assert "unjudged_count" not in answer.json()


def test_service_hostile_records_land_with_the_others(project: Path, service: Served) -> None:
    """What was posted above lands, in the usual memory, each receipt with its own rows; the good ones are in raw."""
    answers = [send(service, json.dumps(row(1)).encode()), send(service, record(MANY_KEYS), LINES)]
    answers.append(send(service, json.dumps(row(2)).encode()))
    land(project)
    told = [httpx.get(service.url + answer.headers["location"], timeout=30).json() for answer in answers]
    assert [(each["state"], each["accepted_count"]) for each in told] == [("landed", 1), ("landed", 0), ("landed", 1)]


@pytest.mark.parametrize("receipt", ["20260101T000000Z-0000000000000000-" + "9" * 5000, "%2e%2e", "%00", "%ff", "*"])
def test_service_knows_no_odd_receipt(service: Served, receipt: str) -> None:
    """Whatever stands in the place of a receipt is 404."""
    answer = httpx.get(f"{service.url}/v1/receipts/{receipt}")
    assert (answer.status_code, answer.json()["code"]) == (404, "receipt-unknown")


def test_service_takes_files_of_any_name(project: Path, service: Served) -> None:
    """A name that is long, a pattern, or SQL is a name: each file is told of while it waits, and lands by itself."""
    names = ["\u9801" * 110 + ".csv", "a[1].csv", "*.csv", "it's; drop.csv", "\u202e{1}.csv"]
    contents = [CSV.replace(b"V-", f"{place}-".encode()) for place in range(len(names))]
    land(project)
    answers = [upload(service, name, content) for name, content in zip(names, contents, strict=True)]
    assert [answer.status_code for answer in answers] == [202] * len(names)
    metrics = httpx.get(f"{service.url}/metrics").text
    waiting = next(line for line in metrics.splitlines() if line.startswith("sluice_spool_bytes{"))
    assert float(waiting.split()[-1]) >= len(b"".join(contents))
    land(project)
    told = [httpx.get(service.url + answer.headers["location"], timeout=30).json() for answer in answers]
    assert [(each["accepted_count"], each["quarantined_count"]) for each in told] == [(1, 1)] * len(names)


def test_service_tells_methods(service: Served) -> None:
    """Health is asked by HEAD as well; a method that a place has not is 405 with those it has."""
    assert httpx.head(f"{service.url}/healthz").status_code == 200
    refused = httpx.options(f"{service.url}/v1/visits")
    assert (refused.status_code, refused.headers["allow"], refused.json()["code"]) == (405, "POST", "request-refused")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\n%x;a=b\r\n%s\r\n0\r\nX: 1\r\n\r\n", b"202"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n%s", b"400"),
        (b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n%s", b"100"),
        (b"Content-Length: 9%030d\r\n\r\n%s", b"400"),
    ],
    ids=["chunked", "both", "continue", "long"],
)
def test_service_reads_lengths_strictly(service: Served, head: bytes, status: bytes) -> None:
    """A chunked body is a body; a length that is none, or two at once, is refused."""
    body = json.dumps([row("c")]).encode()
    told = raw(service, b"POST /v1/visits HTTP/1.1\r\nHost: x\r\n" + head % (len(body), body))
    assert told.startswith(b"HTTP/1.1 " + status)


def test_service_says_little_of_senders_who_go(service: Served, log: Path) -> None:
    """A connection that breaks off within a body is no failure of the service, and is not logged."""
    address = urlsplit(service.url)
    head = b"POST /v1/visits HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n--xyz"
    before = log.read_text()
    for place in (b"/v1/visits", b"/v1/visits/files"):
        with socket.create_connection((address.hostname, address.port or 0), timeout=30) as line:
            line.sendall(head.replace(b"/v1/visits", place).replace(b"Host: x", b"Host: x\r\n" + FORM))
    while 'status="400"' not in httpx.get(f"{service.url}/metrics").text:
        pass
    assert log.read_text() == before


FORM = b"Content-Type: multipart/form-data; boundary=xyz"
