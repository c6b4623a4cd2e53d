"""What the tests of the ingestion service share: a project that is posted to, and the real service as a process."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from flows.landing import land_sources
from flows.outcome import Outcome
from flows.steps import plain_step
from lake.project import open_project
from lake.receiving.segments import all_segments
from lake.run import begin_run
from lake.settings import Settings
from tests.landing_parts import quarantine_rows, raw_rows
from tests.warm_parts import WarmProcess

START_SECONDS = 60.0
STOP_SECONDS = 20.0
HANDOVER_SECONDS = 120.0
ADDRESS = re.compile(r"https?://\S+:\d+")
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: visits
version: 1.0.0
status: active
team: {name: Front desk}
servers:
  - server: inbox
    type: local
    path: inbox/*.csv
    format: csv
  - server: door
    type: api
    location: /v1/visits
    customProperties:
      - {property: intake, value: push}
      - {property: maxBodyBytes, value: 200000}
      - {property: maxRows, value: 500}
      - {property: maxFileBytes, value: 4000000}
schema:
  - name: visits
    description: One row per visit.
    customProperties:
      - {property: duplicatePolicy, value: first-wins}
      - {property: driftPolicy, value: quarantine}
    properties:
      - name: visit_id
        logicalType: string
        description: Its number.
        primaryKey: true
        primaryKeyPosition: 1
        required: true
      - {name: came_on, logicalType: date, description: The day., required: true}
      - {name: paid, logicalType: number, physicalType: "decimal(18,4)", description: What was paid.}
      - {name: note, logicalType: string, description: What was said.}
"""

CSV = b"visit_id,came_on,paid,note\nV-1,2026-01-02,1.5,\nV-2,never,1.5,\n"


def make_project(folder: Path) -> Path:
    """A project with one contract that takes files and posts alike."""
    for below in ("lake/contracts", "sql", "checks", "reports/pages", "inbox"):
        (folder / below).mkdir(parents=True, exist_ok=True)
    (folder / "lake" / "contracts" / "visits.yaml").write_text(CONTRACT, encoding="utf-8")
    (folder / "prefect.yaml").write_text("deployments: []\n", encoding="utf-8")
    return folder


def row(number: int | str, **more) -> dict:
    return {"visit_id": f"V-{number}", "came_on": "2026-01-02", "paid": 1.5, **more}


def land(project: Path) -> Outcome:
    """Lands all that waits, in this process; fails when that fails.

    A service that is short of time leaves its segment to the next landing, so that is asked for once more.
    """
    waiting, end = _segments(project), time.monotonic() + HANDOVER_SECONDS
    while True:
        outcome = _landed(project)
        assert outcome.failure is None, outcome.failure
        if not waiting & _segments(project):
            return outcome
        assert time.monotonic() < end, "the service has not handed its segment over"


def _segments(project: Path) -> set[str]:
    """The names of the segments that wait."""
    return {path.stem for _, path in all_segments(Settings.read(project).spool)}


def land_failing(project: Path) -> str:
    """Lands all that waits, of which something is refused; gives what was said of it."""
    failure = _landed(project).failure
    assert failure is not None
    return str(failure)


def _landed(project: Path) -> Outcome:
    return land_sources(open_project(project), Settings.read(project), begin_run("tester"), [], plain_step)


def raw_visits(project: Path, columns: str) -> list[tuple]:
    """The rows of raw, whichever batch brought them."""
    return raw_rows(Settings.read(project).store, columns, "visits")


def quarantined(project: Path, columns: str) -> list[tuple]:
    return quarantine_rows(Settings.read(project).store, columns)


@dataclass
class Served:
    """A running service: where it is, and the process it is."""

    url: str
    process: WarmProcess

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def post(self, rows, **options) -> httpx.Response:
        return httpx.post(f"{self.url}/v1/visits", json=rows, timeout=30, **options)


def send(service: Served, body: bytes, kind: str | None = "application/json", **headers: str) -> httpx.Response:
    given = {"content-type": kind} if kind else {}
    return httpx.post(f"{service.url}/v1/visits", content=body, headers=given | headers, timeout=30)


def upload(service: Served, name: str, content: bytes, **options) -> httpx.Response:
    return httpx.post(f"{service.url}/v1/visits/files", files={"file": (name, content)}, timeout=30, **options)


@contextmanager
def served(
    project: Path,
    *options: str,
    environment: dict[str, str] | None = None,
    limits: Callable[[], object] | None = None,
    is_open: bool = True,
    log: Path | None = None,
) -> Iterator[Served]:
    """The real service over a project, on a free port, gone when left; without keys unless told otherwise.

    All that it says is written into `log`, where one is named.
    """
    command = ["serve", "--project", str(project), "--port", "0", *options, *(["--open"] if is_open else [])]
    process = WarmProcess("flows.cli:main", command, os.environ | (environment or {}), prepare=limits, log=log)
    try:
        yield Served(_address(process), process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(STOP_SECONDS)


def _address(process: WarmProcess) -> str:
    """What the service says when it listens."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        said = "".join(process.said())
        if (found := ADDRESS.search(said)) is not None:
            return found.group()
        assert process.poll() is None, said
        time.sleep(0.02)
    raise AssertionError(f"The service does not listen: {process.said()}")
