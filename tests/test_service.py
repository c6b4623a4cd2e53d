"""The ingestion service over HTTP: the real process, real requests, and what the lake has of them afterwards."""

import gzip
import io
import json
import resource
import socket
import ssl
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.service_parts import Served, land, land_failing, make_project, quarantined, raw_visits, row, served
from tests.test_channels import make_certificate


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("visits"))


@pytest.fixture(scope="module")
def service(project: Path):
    with served(project) as running:
        yield running


def send(service: Served, body: bytes, kind: str | None = "application/json", **headers: str) -> httpx.Response:
    given = {"content-type": kind} if kind else {}
    return httpx.post(f"{service.url}/v1/visits", content=body, headers=given | headers, timeout=30)


@pytest.mark.parametrize(
    ("body", "kind", "count"),
    [
        (b'{"visit_id": "a"}', "application/json", 1),
        (b' [{"visit_id": "a"},\n {"visit_id":\n"b"}] ', "application/json; charset=utf-8", 2),
        (b'{"visit_id": "a"}\n\n{"visit_id": "b"}\r\nnonsense', "application/x-ndjson", 3),
        (b'{"visit_id": "a"}\n{"visit_id": "b"}\n', None, 2),
        (b'{"visit_id": "a"}', "application/x-www-form-urlencoded", 1),
        (b'\xef\xbb\xbf[{"visit_id": "a"}]', None, 1),
    ],
)
def test_service_takes_one_record_an_array_and_lines(
    service: Served, body: bytes, kind: str | None, count: int
) -> None:
    """Whatever the form, and told or not, 202 says how many rows were kept and where to ask for them."""
    answer = send(service, body.replace(b'"a"', b'"a", "came_on": "2026-01-02"'), kind)
    assert (answer.status_code, answer.json()["row_count"]) == (202, count)
    assert answer.headers["location"] == f"/v1/receipts/{answer.json()['receipt']}"


def test_service_takes_gzip(service: Served) -> None:
    """A body may be packed; a broken pack, and one that unpacks beyond the limit, are refused."""
    body = json.dumps([row("gzip")]).encode()
    assert send(service, gzip.compress(body), **{"content-encoding": "gzip"}).status_code == 202
    assert send(service, gzip.compress(body)[:-9], **{"content-encoding": "gzip"}).json()["code"] == "body-not-gzip"
    bomb = gzip.compress(b"[" + b" " * 10_000_000 + b"]")
    assert send(service, bomb, **{"content-encoding": "gzip"}).status_code == 413


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b'[{"visit_id": "a"}', "application/json", 400, "body-not-json"),
        (b'{"visit_id": ', "application/json", 400, "body-not-json"),
        (b"[1] 2", "application/json", 400, "body-not-json"),
        (b"[" * 200_001, "application/json", 413, "body-too-large"),
        (b"[" * 100_000, "application/json", 400, "body-not-json"),
        (b"[]", "application/json", 400, "body-empty"),
        (b" \n ", None, 400, "body-empty"),
        (b'{"visit_id": "\xff"}', "application/json", 400, "body-not-utf8"),
        (b"<a/>", "text/xml", 415, "media-type-unfit"),
        (b"visit_id=a", "application/x-www-form-urlencoded", 415, "media-type-unfit"),
        (b"[" + b"1," * 600 + b"1]", "application/json", 413, "rows-too-many"),
        (b"x" * 200_001, "application/x-ndjson", 413, "body-too-large"),
    ],
)
def test_service_tells_what_cannot_be_taken(service: Served, body: bytes, kind: str, status: int, code: str) -> None:
    """What is no body of rows, or is too much, is refused in one form, with the cure."""
    answer = send(service, body, kind)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "cure"} <= answer.json().keys()


def test_service_names_the_source_that_was_meant(service: Served) -> None:
    """A source that takes no posts is 404, and the near one is named; so is any other place that is not there."""
    answer = httpx.post(f"{service.url}/v1/visit", json=[row(1)])
    assert (answer.status_code, answer.json()["cure"]) == (404, "Did you mean '/v1/visits'?")
    assert httpx.get(f"{service.url}/nowhere").headers["content-type"] == "application/problem+json"
    assert httpx.get(f"{service.url}/healthz").json() == {"status": "ok"}


def test_service_takes_a_key_once(service: Served) -> None:
    """The same key with the same body gives the same receipt; with another body it is refused."""
    key = {"Idempotency-Key": "once"}
    first, again = (service.post([row("k")], headers=key) for _ in range(2))
    assert first.json() == again.json()
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    other = service.post([row("l")], headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "key-reused")
    assert service.post([row("k")], headers={"Idempotency-Key": "x" * 256}).json()["code"] == "idempotency-key-unfit"


def test_service_rows_land_with_the_files_of_the_folder(tmp_path: Path) -> None:
    """Posted rows and CSV files meet in one table, by one contract, with the same errors; each row once."""
    project = make_project(tmp_path)
    (project / "inbox" / "monday.csv").write_text("visit_id,came_on,paid,note\nV-1,2026-01-02,1.5,\nV-2,never,1.5,\n")
    with served(project) as service:
        posted = [row(1), row(3), row(4, came_on="never"), row(5, colour="red"), row(6, colour=None), {"came_on": None}]
        assert service.post(posted).status_code == 202
        assert (
            send(service, b"no json\n" + json.dumps(row(7, note="l\nm")).encode(), "application/x-ndjson").status_code
            == 202
        )
        (outcome,) = land(project).sources
    assert (outcome.read, outcome.accepted, outcome.quarantined, outcome.duplicate) == (10, 4, 5, 1)
    assert raw_visits(project, "visit_id, note") == [("V-1", None), ("V-3", None), ("V-6", None), ("V-7", "l\nm")]
    rules = ["not-json", "repeat", "required", "schema-drift", "type", "type"]
    assert quarantined(project, "rule") == [(rule,) for rule in rules]
    assert land(project).sources[0].read == 0


def receipt(service: Served, answer: httpx.Response) -> dict:
    found = httpx.get(service.url + answer.headers["location"], timeout=30)
    assert found.status_code == 200, found.text
    return found.json()


def test_service_receipts_tell_where_rows_are(tmp_path: Path) -> None:
    """A receipt tells of its own rows alone: in the spool, then in the lake with what became of each."""
    project = make_project(tmp_path)
    with served(project) as service:
        first = service.post([row(1), row(2), row(3, came_on="never")])
        second = service.post([row(4), row(1), {"visit_id": "V-5"}, row(2)])
        assert (receipt(service, first)["state"], receipt(service, first)["row_count"]) == ("spooled", 3)
        land(project)
        told = [receipt(service, answer) for answer in (first, second)]
        kept = [[each[f"{name}_count"] for name in ("row", "accepted", "quarantined", "duplicate")] for each in told]
        assert (kept, {each["state"] for each in told}) == ([[3, 2, 1, 0], [4, 1, 1, 2]], {"landed"})
        assert told[0]["batches"] == told[1]["batches"]
        lost = httpx.get(f"{service.url}/v1/receipts/20260101T000000Z-0000000000000000-1")
        assert (lost.status_code, lost.json()["code"]) == (404, "receipt-unknown")
        assert httpx.get(f"{service.url}/v1/receipts/*").status_code == 404


CSV = b"visit_id,came_on,paid,note\nV-1,2026-01-02,1.5,\nV-2,never,1.5,\n"


def upload(service: Served, name: str, content: bytes, **options) -> httpx.Response:
    return httpx.post(f"{service.url}/v1/visits/files", files={"file": (name, content)}, timeout=30, **options)


def test_service_takes_files(tmp_path: Path) -> None:
    """A file lands as one in a folder does, whatever its format; its receipt tells what became of it."""
    project = make_project(tmp_path)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.jsonl", json.dumps(row(10, note="zipped")))
        archive.writestr("b.csv", "visit_id,came_on,paid,note\nV-11,2026-01-02,1,\n")
    with served(project) as service:
        first = upload(service, "../../etc/monday.csv", CSV, headers={"Idempotency-Key": "file"})
        again = upload(service, "other.csv", CSV, headers={"Idempotency-Key": "file"})
        assert (first.status_code, first.json()["name"]) == (202, "monday.csv")
        assert (again.json()["receipt"], again.headers["idempotent-replayed"]) == (first.json()["receipt"], "true")
        assert upload(service, "o.csv", CSV + b"x", headers={"Idempotency-Key": "file"}).json()["code"] == "key-reused"
        others = [
            upload(service, "days.csv.gz", gzip.compress(CSV.replace(b"V-", b"W-"))),
            upload(service, "both.zip", zipped.getvalue()),
            upload(service, "broken.json", b"[{"),
        ]
        assert receipt(service, first) | {"state": "spooled", "name": "monday.csv"} == receipt(service, first)
        refused = land_failing(project)
        assert "broken.json" in refused
        told = [receipt(service, answer) for answer in (first, *others)]
        assert [each["state"] for each in told] == ["landed", "landed", "landed", "refused"]
        assert [(each["accepted_count"], each["quarantined_count"]) for each in told[:3]] == [(1, 1), (1, 1), (2, 0)]
        assert "no well-formed JSON" in told[3]["why"]
        third = upload(service, "late.csv", CSV, headers={"Idempotency-Key": "file"})
        assert third.json()["receipt"] == first.json()["receipt"]
    assert raw_visits(project, "visit_id") == [("V-1",), ("V-10",), ("V-11",), ("W-1",)]
    assert not any((project / "lake" / "data" / "spool" / "visits" / "files").iterdir())


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("rows.txt", CSV, 415, "file-format-unknown"),
        ("large.csv", b"x" * 4_000_001, 413, "file-too-large"),
    ],
)
def test_service_tells_which_file_cannot_be_taken(
    project: Path, service: Served, name: str, content: bytes, status: int, code: str
) -> None:
    """A file of no known format, or beyond the limit, is refused, and nothing of it stays."""
    answer = upload(service, name, content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not any((project / "lake" / "data" / "spool" / "visits").glob("files/*"))


def test_service_takes_no_broken_form(project: Path, service: Served) -> None:
    """A form that is none, ends too early, or holds no file or two, is refused, and nothing of it stays."""
    whole = {"content-type": "multipart/form-data; boundary=xyz"}
    part = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nvisit_id\r\n'
    for body in (b"", b"rubbish", part, part + part + b"--xyz--\r\n", b"--xyz\r\n\r\na\r\n--xyz--\r\n"):
        answer = httpx.post(f"{service.url}/v1/visits/files", content=body, headers=whole)
        assert (answer.status_code, answer.json()["code"]) == (400, "form-unfit"), body
    plain = httpx.post(f"{service.url}/v1/visits/files", content=CSV, headers={"content-type": "text/csv"})
    assert plain.json()["code"] == "media-type-unfit"
    assert not any((project / "lake" / "data" / "spool" / "visits").glob("files/*"))


def test_service_keeps_nothing_of_what_a_full_disk_refused(tmp_path: Path) -> None:
    """On a full disk the answer is 507; what was answered with 202 lands, what was refused does not, half or whole."""
    project = make_project(tmp_path)
    taken, refused = set(), set()
    with served(project, limits=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))) as service:
        for number in range(30):
            answer = service.post([row(f"{number}-{place}", note="x" * 100) for place in range(40)])
            (taken if answer.status_code == 202 else refused).add(number)
            assert answer.status_code in (202, 507), answer.text
        assert answer.json()["code"] == "disk-full"
        assert upload(service, "a.csv", b"x" * 200_000).status_code == 507
        land(project)
        assert service.post([row("after")]).status_code == 202
        land(project)
    assert taken and refused
    landed = {name.split("-")[1] for (name,) in raw_visits(project, "visit_id")}
    assert landed == {str(number) for number in taken} | {"after"}
    assert len(raw_visits(project, "visit_id")) == len(taken) * 40 + 1


def test_service_stops_politely(tmp_path: Path) -> None:
    """Told to stop, the service hands its segment over and ends; one that finds its port taken says so."""
    project = make_project(tmp_path)
    with served(project) as service:
        assert service.post([row(1)]).status_code == 202
        assert service.stop() == 0
    assert [path.suffix for path in (project / "lake" / "data" / "spool" / "visits" / "segments").iterdir()] == [
        ".closed"
    ]
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "flows", "serve", "--project", str(project), "--port", port, "--open"],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert (done.returncode, "[port-taken]" in done.stderr) == (1, True)


def test_service_speaks_tls(tmp_path: Path) -> None:
    """With a certificate, the service is reached by https alone."""
    project = make_project(tmp_path)
    cert = make_certificate(tmp_path).file
    with served(project, "--cert", str(cert), "--key", str(cert.with_suffix(".key"))) as service:
        answer = httpx.post(
            f"{service.url}/v1/visits", json=[row(1)], verify=ssl.create_default_context(cafile=cert), timeout=30
        )
        assert (answer.status_code, service.url[:5]) == (202, "https")
        with pytest.raises(httpx.HTTPError, match=".*"):
            httpx.post(service.url.replace("https", "http") + "/v1/visits", json=[row(1)], timeout=5)
