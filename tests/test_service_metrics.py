"""What Prometheus is told by the real service."""

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.service_parts import Served, land, make_project, row, served


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("measured"))


@pytest.fixture(scope="module")
def service(project: Path):
    with served(project) as running:
        yield running


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
