"""What the ingestion service took, in the lake: beside files, by receipt, by upload; on a full disk; at its end."""

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

from flows.cli import main
from tests.service_parts import (
    CSV,
    Served,
    land,
    land_failing,
    make_project,
    quarantined,
    raw_visits,
    row,
    send,
    served,
    upload,
)
from tests.test_channels import make_certificate


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


MODEL = """/*
description: Visits by day.
grain: one row per day
owner: Front desk
*/
select came_on, count(*) as visits_count from raw.visits group by came_on
"""


def test_service_receipts_tell_where_rows_are(tmp_path: Path) -> None:
    """A receipt tells of its own rows alone: in the spool, in the lake with what became of each, in which release."""
    project = make_project(tmp_path)
    (project / "sql" / "marts").mkdir()
    (project / "sql" / "marts" / "visits_daily.sql").write_text(MODEL, encoding="utf-8")
    with served(project) as service:
        first = service.post([row(1), row(2), row(3, came_on="never")])
        second = service.post([row(4), row(1), {"visit_id": "V-5"}, row(2)])
        assert (receipt(service, first)["state"], receipt(service, first)["row_count"]) == ("spooled", 3)
        land(project)
        told = [receipt(service, answer) for answer in (first, second)]
        kept = [[each[f"{name}_count"] for name in ("row", "accepted", "quarantined", "duplicate")] for each in told]
        assert (kept, {each["state"] for each in told}) == ([[3, 2, 1, 0], [4, 1, 1, 2]], {"landed"})
        assert told[0]["batches"] == told[1]["batches"]
        assert "release" not in told[0]
        assert main(["run", "--project", str(project), "--quiet"]) == 0
        assert receipt(service, first)["release"] == 1
        assert main(["batch", "reland", told[0]["batches"][0], "--project", str(project), "--quiet"]) == 0
        assert receipt(service, second)["duplicate_count"] == 2
        lost = httpx.get(f"{service.url}/v1/receipts/20260101T000000Z-0000000000000000-1")
        assert (lost.status_code, lost.json()["code"]) == (404, "receipt-unknown")
        assert httpx.get(f"{service.url}/v1/receipts/*").status_code == 404


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


def small_files() -> None:
    """Lets the process write no file of more than 100 kB, as a full disk would."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_service_keeps_nothing_of_what_a_full_disk_refused(tmp_path: Path) -> None:
    """On a full disk the answer is 507; what was answered with 202 lands, what was refused does not, half or whole."""
    project = make_project(tmp_path)
    taken, refused = set(), set()
    with served(project, limits=small_files) as service:
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
