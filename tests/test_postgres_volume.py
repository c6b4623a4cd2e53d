"""A table of a million rows and sixteen columns, in memory that does not grow with it; and killed all over a run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash_parts import ROOT, run_here, start_run
from tests.database_parts import MAKE as MAKE_READINGS
from tests.database_parts import fill, postgresql, write_contract
from tests.http_parts import ask
from tests.postgres_parts import Database
from tests.volume_parts import fill_wide

ROWS = 1_000_000
MOST_KILOBYTES = 1_300_000  # DuckDB may use half a gigabyte of it; the rows alone are 150 MB, as text twice that
BATCH_ROWS = 250_000

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


def test_postgres_volume_lands_in_bounded_memory(tmp_path: Path, database: Database) -> None:
    """A million rows of sixteen columns land in batches, by a process that never holds more than one of them."""
    fill_wide(database, ROWS)
    command = [sys.executable, "-m", "tests.volume_parts", str(tmp_path), str(database.port), database.name]
    done = subprocess.run([*command, str(BATCH_ROWS)], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sum(batch[1] for batch in found["counts"]) == ROWS
    assert len(found["counts"]) == ROWS / BATCH_ROWS
    assert found["kilobytes"] < MOST_KILOBYTES


def test_postgres_volume_killed_all_over_a_run(tmp_path: Path, database: Database) -> None:
    """Killed at events all over a run: the next run ends with the table, every row once."""
    database.execute(MAKE_READINGS)
    fill(database, 1, 45)
    database.let_read()
    write_contract(tmp_path / "begun", postgresql(database, rowsPerBatch=10))
    seen: list = []
    shutil.copytree(tmp_path / "begun", tmp_path / "undisturbed")
    assert run_here(tmp_path / "undisturbed", observers=(seen.append,)).is_ok
    for place in range(1, len(seen) + 1, len(seen) // 5):
        folder = shutil.copytree(tmp_path / "begun", tmp_path / f"at-{place}")
        start_run(folder, "--kill-at-event", str(place)).communicate()
        assert run_here(folder).is_ok
        found = ask(folder, "select reading_id from raw.readings order by all")
        assert found == [(number,) for number in range(1, 46)], seen[place - 1].kind
        shutil.rmtree(folder)
