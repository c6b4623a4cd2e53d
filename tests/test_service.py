"""The ingestion service over HTTP: the real process, real requests, and what the lake has of them afterwards."""

import gzip
import json
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.service_parts import CSV, Served, land, make_project, row, send, served, upload


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("visits"))


@pytest.fixture(scope="module")
def service(project: Path):
    with served(project) as running:
        yield running


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


def measured(service: Served) -> dict[tuple[str, ...], float]:
    text = httpx.get(f"{service.url}/metrics").text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_service_metrics_count_requests_rows_and_bytes(service: Served) -> None:
    """Requests by source and status, rows by verdict, bytes and times are counted, each once."""
    before = measured(service)
    rows = [row("a"), row("b"), row("c", came_on="never")]
    sent = service.post(rows)
    service.post([row("d", came_on="never")])
    httpx.post(f"{service.url}/v1/nowhere", json=[])
    now = measured(service)
    told = {name: value - before.get(name, 0.0) for name, value in now.items()}
    assert told["sluice_requests_total", "visits", "202"] == 1
    assert told["sluice_requests_total", "visits", "422"] == 1
    assert told["sluice_requests_total", "none", "404"] == 1
    assert (told["sluice_rows_total", "visits", "good"], told["sluice_rows_total", "visits", "bad"]) == (2, 2)
    assert told["sluice_received_bytes_total", "visits"] > len(sent.request.content)
    assert told["sluice_request_seconds_count", "visits"] == 2


def test_service_metrics_tell_what_waits(service: Served, project: Path) -> None:
    """Bytes and age of what waits are there until it is landed."""
    service.post([row("waiting")])
    assert measured(service)["sluice_spool_bytes", "visits"] > 0
    land(project)
    now = measured(service)
    assert (now["sluice_spool_bytes", "visits"], now["sluice_spool_oldest_seconds", "visits"]) == (0, 0)


def test_service_metrics_have_bounded_labels(service: Served) -> None:
    """Whatever paths and methods are tried, no new label comes of them."""
    for place in range(20):
        httpx.get(f"{service.url}/v1/{place}")
        httpx.post(f"{service.url}/v1/made-up-{place}", json=[])
        httpx.request("BREW", f"{service.url}/{place}")
    assert {name[1] for name in measured(service) if name[0] == "sluice_requests_total"} == {"visits", "none"}
