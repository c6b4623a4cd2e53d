"""`sluice demo` as a new user runs it: data made, the API served, one run, and all that was started gone again."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commerce_parts import ROOT
from tests.platform_parts import ask

SOURCES = ("electricity_invoices", "electricity_readings", "print_logs", "device_audit_log")
MARTS = ("electricity_daily", "electricity_reconciliation", "paper_usage")
ROWS = "20000"  # of a whole demo: this project has one body of work of it


@pytest.fixture
def offices(tmp_path: Path) -> Path:
    """A project with the sources of the footprint and some of its marts; no checks, no pages."""
    project = tmp_path / "offices"
    for folder in ("lake/contracts", "sql/staging", "sql/marts"):
        (project / folder).mkdir(parents=True)
    shutil.copytree(ROOT / "sql/reference", project / "sql/reference")
    for source in SOURCES:
        shutil.copy(ROOT / f"lake/contracts/{source}.yaml", project / "lake/contracts")
        shutil.copy(ROOT / f"sql/staging/stg_{source}.sql", project / "sql/staging")
    for mart in MARTS:
        shutil.copy(ROOT / f"sql/marts/{mart}.sql", project / "sql/marts")
    return project


def sluice(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SLUICE_", "ELEC"))}
    return subprocess.run(
        [sys.executable, "-m", "flows", *arguments, "--project", str(project)],
        cwd=project,
        env=kept | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_demo_run_plain_lands_files_and_the_api(offices: Path) -> None:
    """Files and readings land in one run, faults in the numbers told; a later run does without the API and is well."""
    ran = sluice(offices, "demo", "--plain", "--rows", ROWS)

    assert ran.returncode == 0, ran.stderr
    assert re.search(r"electricity_readings: [\d,]+ by API, of them \d+ repeat", ran.stderr)
    assert "Next: sluice sql" in ran.stdout
    landed = dict(ask(offices, "select source, sum(accepted_count)::bigint from ops.ingestion_log group by source"))
    assert landed.keys() == set(SOURCES)
    assert all(count > 50 for count in landed.values())
    assert ask(offices, "select count(distinct run_id) from ops.ingestion_log") == [(1,)]
    assert not (offices / ".prefect").exists()

    again = sluice(offices, "run", "--plain")
    assert again.returncode == 0, again.stderr
    assert "electricity_readings: not asked, ELECTRICITY_API_URL is not set" in again.stderr
    assert "release 1 (unchanged)" in again.stdout


@pytest.mark.soak
def test_demo_run_is_in_the_projects_own_prefect(offices: Path) -> None:
    """Without a server one is started for the run, which is in its history; server and API are gone afterwards."""
    ran = sluice(offices, "demo", "--rows", ROWS)

    assert ran.returncode == 0, ran.stderr
    assert "This run is in the history of http://127.0.0.1:" in ran.stderr
    with sqlite3.connect(offices / ".prefect/prefect.db") as history:
        assert history.execute("select name, state_type from flow_run").fetchall()[0][1] == "COMPLETED"
        tasks = {name for (name,) in history.execute("select name from task_run where state_type = 'COMPLETED'")}
    assert any(name.startswith("land electricity_readings") for name in tasks)
    assert not (offices / ".prefect/profiles.toml").exists()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                assert f"PREFECT_HOME={offices}".encode() not in (folder / "environ").read_bytes()
            except OSError:
                continue  # it ended while we looked, or is not ours to read


@pytest.mark.parametrize("rows", ["-1", "many"])
def test_demo_run_of_no_size_is_a_wrong_argument(offices: Path, rows: str) -> None:
    """A size that is none is said, and nothing is made."""
    ran = sluice(offices, "demo", "--rows", rows)

    assert ran.returncode == 2
    assert not (offices / "lake/data").exists()
