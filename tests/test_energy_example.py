"""The project of docs/examples/energy, run by the command line against an API that misbehaves."""

import json
import os
import shutil
import subprocess
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lake.project import open_project
from tests.api_server import GOOD, Api, Asked, Fault, reading, readings, serving
from tests.crash_parts import run_here
from tests.http_parts import ask
from tests.warm_parts import run_warm

EXAMPLE = Path(__file__).resolve().parent.parent / "docs" / "examples" / "energy"
TOKEN, KEY = "t0ken-of-the-meters", "k3y-of-the-weather"
FORECAST = {
    "latitude": 18.52, "longitude": 73.86, "generationtime_ms": 0.05, "daily_units": {"time": "iso8601"},
    "daily": {
        "time": ["2026-11-21", "2026-11-22"], "temperature_2m_max": [31.5, 30.0], "temperature_2m_min": [17.1, 16],
    },
}  # fmt: skip


@pytest.fixture
def api():
    with serving([{**record, "kwh": float(record["kwh"])} for record in readings(250)]) as opened:
        opened.accepts = _is_known
        answer = opened.answer
        opened.page_of = lambda asked: _forecast() if asked.path == "/v1/forecast" else answer(_cursored(asked))
        yield opened


def _is_known(asked: Asked) -> bool:
    if asked.path == "/v1/forecast":
        return asked.parameters["apikey"] == KEY and asked.parameters["timezone"] == "Asia/Kolkata"
    return asked.headers.get("Authorization") == f"Bearer {TOKEN}"


def _forecast() -> tuple[bytes, dict[str, str]]:
    return json.dumps(FORECAST).encode(), {}


def _cursored(asked: Asked) -> Asked:
    return Asked("/cursor/readings.json", asked.parameters, asked.headers, asked.form)


@pytest.fixture
def energy(tmp_path: Path, api: Api) -> Path:
    """The example, with this machine's server for its APIs and the secrets in `.env`."""
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "energy"))
    for name in ("readings", "forecast"):
        path = folder / "lake" / "contracts" / f"{name}.yaml"
        text = path.read_text("utf-8")
        for address in ("https://meters.example.com", "https://weather.example.com"):
            text = text.replace(address, api.url(""))
        path.write_text(text, encoding="utf-8")
    (folder / ".env").write_text(f"METERS_TOKEN={TOKEN}\nWEATHER_KEY={KEY}\n", encoding="utf-8")
    return folder


def sluice(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "PREFECT_", "LAKE_"))}
    given = kept | {"PREFECT_HOME": str(folder / ".prefect")}
    return run_warm("flows.cli:main", "--project", str(folder), *arguments, environment=given)


def expected(records: list[dict]) -> list[tuple[date, str, int, Decimal]]:
    """Energy per Indian day and building, computed from the server's own records."""
    found: dict[tuple[date, str], list[Decimal]] = defaultdict(list)
    for record in {record["reading_id"]: record for record in records}.values():
        day = datetime.fromisoformat(record["read_at"]).astimezone(ZoneInfo("Asia/Kolkata")).date()
        found[day, record["meter"]["site"]["name"]].append(Decimal(str(record["kwh"])))
    return sorted((day, site, len(parts), sum(parts, Decimal(0))) for (day, site), parts in found.items())


def test_energy_example_pulls_both_apis_through_every_fault(energy: Path, api: Api) -> None:
    """429, 503, a cut connection and malformed JSON on the way: the marts hold the server's own sums."""
    api.plan = [
        GOOD, Fault(429, {"Retry-After": "1"}), GOOD, Fault(is_cut=True), GOOD, Fault(200, {}, b"<html>"), Fault(503),
    ]  # fmt: skip
    ran = sluice(energy, "run", "-q")
    assert ran.returncode == 0, ran.stderr
    assert ask(energy, "from marts.energy_daily order by all") == expected(api.records)
    assert ask(energy, "from marts.weather_daily order by all") == [
        (date(2026, 11, 21), Decimal("31.5"), Decimal("17.1")),
        (date(2026, 11, 22), Decimal("30.0"), Decimal("16.0")),
    ]
    retried = "select count(*) from ops.audit_log where event = 'request-retried'"
    assert ask(energy, retried) == [(4,)]

    late = reading(245, kwh=7), reading(0, reading_id="new", read_at=_after(api.records[-1]))
    api.records = [*api.records[:245], late[0], *api.records[246:], late[1]]
    ran = sluice(energy, "run", "-q", "energy_daily")
    assert ran.returncode == 0, ran.stderr
    assert ask(energy, "from marts.energy_daily order by all") == expected(api.records)
    kept = "select read_count, accepted_count, duplicate_count from ops.ingestion_log where source = 'readings'"
    assert ask(energy, f"{kept} order by ended_at") == [(250, 250, 0), (8, 2, 6)]
    said = ran.stderr + ran.stdout + json.dumps(ask(energy, "from ops.audit_log"), default=str)
    assert TOKEN not in said and KEY not in said


def _after(record: dict) -> str:
    return (datetime.fromisoformat(record["read_at"]) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_energy_example_forecast_alone_is_pulled_once(energy: Path, api: Api) -> None:
    """One mart asks its own API only, and the same answer again lands nothing."""
    outcomes = [run_here(energy, "weather_daily") for _ in range(2)]
    assert [(outcome.failure, outcome.sources[0].batches) for outcome in outcomes] == [(None, 1), (None, 0)]
    assert {asked.path for asked in api.asked} == {"/v1/forecast"}
    assert ask(energy, "select count(*), any_value(latitude) from raw.forecast") == [(1, Decimal("18.5200"))]


def test_energy_example_contracts_are_whole() -> None:
    """The example as it stands is read without a word, and its deployments name its marts."""
    assert set(open_project(EXAMPLE).contracts()) == {"readings", "forecast"}
    deployments = (EXAMPLE / "prefect.yaml").read_text("utf-8")
    assert all(mart.stem in deployments for mart in (EXAMPLE / "sql" / "marts").glob("*.sql"))
