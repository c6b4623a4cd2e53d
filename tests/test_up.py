"""`sluice up` before anything is started, and how a Prefect API is found without importing Prefect."""

import http.server
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from flows.prefect_api import configured_api, find_api, profiles_path
from flows.serving import find_place
from lake.errors import SettingsError


class Healthy(http.server.BaseHTTPRequestHandler):
    """Answers as a Prefect server's health route does."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def api() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    server.server_close()


def write_profile(project: Path, url: str) -> None:
    path = profiles_path(project)
    path.parent.mkdir(parents=True)
    path.write_text(f'active = "sluice-up"\n[profiles.sluice-up]\nPREFECT_API_URL = "{url}"\n', encoding="utf-8")


def test_up_finds_the_api_that_was_started_for_the_project(tmp_path: Path, api: str) -> None:
    """The address `sluice up` wrote into the project is found, and asked whether it is healthy."""
    write_profile(tmp_path, api)

    assert find_api(tmp_path, {}) == api


def test_up_environment_comes_before_the_project(tmp_path: Path, api: str) -> None:
    """PREFECT_API_URL is what is meant where it is set, even when it does not answer."""
    write_profile(tmp_path, api)
    silent = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}

    assert configured_api(tmp_path, silent) == "http://127.0.0.1:9/api"
    assert find_api(tmp_path, silent) is None


def test_up_other_servers_are_no_api(tmp_path: Path, api: str) -> None:
    """A server that knows no health route is no Prefect API, and neither is none at all."""
    assert find_api(tmp_path, {"PREFECT_API_URL": api.removesuffix("/api") + "/elsewhere"}) is None
    assert find_api(tmp_path, {"PREFECT_API_URL": "not an address"}) is None
    assert find_api(tmp_path, {"PREFECT_HOME": str(tmp_path)}) is None


def test_up_refuses_a_taken_port(tmp_path: Path, api: str) -> None:
    """A taken port is named with who holds it, before anything is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(SettingsError, match="taken by another program"):
            find_place(tmp_path, other.getsockname()[1])
    with pytest.raises(SettingsError, match="taken by a Prefect server"):
        find_place(tmp_path, int(api.rsplit(":", 1)[1].removesuffix("/api")))


def test_up_port_zero_takes_a_free_one(tmp_path: Path) -> None:
    """Port 0 gives a real port, and everything of the server stays in the project."""
    place = find_place(tmp_path, 0)

    assert place.port > 0
    assert place.environment["PREFECT_HOME"] == str(tmp_path / ".prefect")
    assert place.environment["DO_NOT_TRACK"] == "1"


def test_up_missed_runs_are_caught_up_by_the_newest() -> None:
    """Of the runs a schedule made and nobody started, all but each deployment's newest are superseded."""
    from prefect.client.schemas.objects import FlowRun

    from flows.provision import superseded

    now = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
    daily, hourly = uuid4(), uuid4()

    def missed(deployment: object, hours: int, *, auto: bool = True) -> FlowRun:
        due = now - timedelta(hours=hours)
        return FlowRun.model_validate(
            {"flow_id": uuid4(), "deployment_id": deployment, "auto_scheduled": auto, "expected_start_time": due}
        )

    old, middle, new = missed(hourly, 3), missed(hourly, 2), missed(hourly, 1)
    later, by_hand, only = missed(hourly, -1), missed(hourly, 5, auto=False), missed(daily, 24)

    assert superseded([new, old, only, later, by_hand, middle], now) == [old, middle]
