"""The connector: nothing of Soda's reaches out, writes, prints or stays behind."""

import os
import subprocess
import sys
from pathlib import Path

PROBE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from checks.gate import run_gate
from checks.suites import Suite
from lake.engine import EngineLimits, Session
with Session(EngineLimits()) as session:
    session.execute("create table marts.t as select 'x@y' as a")
    text = "checks for t:\\n  - missing_count(nowhere) = 0\\n  - min(a) > 3\\n"
    checks = Suite("marts", "marts.t", text, Path("t.yml"))
    gate = run_gate(session, "marts", [checks], {}, now=datetime.now(UTC))
    assert [result.outcome for result in gate.results] == ["error", "error"], gate
    hour = "checks:\\n  - n = 0:\\n      n query: select extract(hour from timestamptz '2026-01-01 00:00:00+00')\\n"
    gate = run_gate(session, "marts", [Suite("marts", "marts.t", hour, Path("t.yml"))], {}, now=datetime.now(UTC))
    assert gate.passed, gate.results
from opentelemetry import trace
assert trace._TRACER_PROVIDER is None, "a global tracer provider was installed"
assert not [name for name in sys.modules if name.startswith("opentelemetry.exporter")], "an exporter is loaded"
assert "requests" not in sys.modules, "Soda could reach a server"
import threading
assert threading.active_count() == 1, threading.enumerate()
"""


def test_soda_connector_sends_writes_and_prints_nothing(tmp_path: Path) -> None:
    """A process that gates has no telemetry, no tracer, no settings file in its home and no line of Soda's output, and
    its checks count in UTC wherever it runs."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, "HOME": str(tmp_path), "TZ": "Asia/Kolkata"},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
