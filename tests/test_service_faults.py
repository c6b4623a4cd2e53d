"""What goes wrong around what is posted: a batch that is held, a spool that cannot be written, senders who stall."""

import select
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from flows.rework import admit_batch
from flows.workplace import Workplace
from tests.service_parts import CSV, Served, land_failing, make_project, row, served, upload

HURRY_SECONDS = "0.5"  # for a body, instead of the half minute that there is by default
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


@pytest.mark.parametrize(
    ("place", "kind", "body"),
    [
        ("v1/visits", "application/json", b'[{"visit_id": '),
        ("v1/visits/files", FORM, PART),
        ("sign-in", "application/x-www-form-urlencoded", b"key="),
    ],
    ids=["rows", "file", "sign-in"],
)
@pytest.mark.parametrize("is_trickling", [False, True], ids=["stalls", "trickles"])
def test_service_waits_for_no_sender_for_ever(
    project: Path, service: Served, place: str, kind: str, body: bytes, is_trickling: bool
) -> None:
    """A body that stops coming, or comes by single bytes, is refused with 408, its connection closed, nothing kept."""
    before = sorted(files(project).glob("*"))
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port or 0), timeout=30) as line:
        head = f"POST /{place} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 100000\r\n\r\n"
        line.sendall(head.encode() + body)
        while is_trickling and not select.select([line], [], [], 0.1)[0]:
            line.sendall(b" ")
        told = b"".join(iter(lambda: line.recv(65536), b""))
    assert told.startswith(b"HTTP/1.1 408 ") and b'"code":"body-slow"' in told, told
    assert sorted(files(project).glob("*")) == before
