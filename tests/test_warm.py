"""Warm processes: as good as new ones for what tests do with them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.warm_parts import WarmProcess, run_warm

HERE = "tests.test_warm:tell"


def tell(arguments: Sequence[str]) -> int:
    """What a process says of itself; ends as it is asked to."""
    what = arguments[0]
    loaded = sorted({"duckdb", "deltalake", "soda", "prefect"} & sys.modules.keys())
    sys.stdout.write(json.dumps({"id": os.getpid(), "word": os.environ.get("A_WORD"), "loaded": loaded}))
    sys.stderr.write("said")
    if what == "fail":
        raise ValueError("no good end")
    if what == "sleep":
        sys.stdout.flush()
        time.sleep(60)
    return int(what)


def test_warm_process_is_one_of_its_own() -> None:
    """It has an id, an environment and output of its own, our parts but not Prefect, and ends as told."""
    done = [run_warm(HERE, "3", environment={"A_WORD": word}) for word in ("one", "other")]
    told = [json.loads(each.stdout) for each in done]
    assert [each.returncode for each in done] == [3, 3]
    assert len({os.getpid(), *(each["id"] for each in told)}) == 3
    assert [each["word"] for each in told] == ["one", "other"]
    assert told[0]["loaded"] == ["deltalake", "duckdb", "soda"]
    assert "said" in done[0].stderr


def test_warm_process_prints_only_what_it_is_told_to() -> None:
    """In a program that is no file DuckDB would print how far a statement of some seconds is, amid the answers."""
    asked = "Session(EngineLimits()).value(\"select current_setting('enable_progress_bar')\")"
    command = [sys.executable, "-c", f"from lake.engine import EngineLimits, Session; print({asked})"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


def test_warm_process_that_breaks_says_so() -> None:
    """An exception is a traceback and exit code 1."""
    done = run_warm(HERE, "fail")
    assert (done.returncode, "ValueError: no good end" in done.stderr) == (1, True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_warm_process_dies_of_signals(number: signal.Signals) -> None:
    """A killed process is dead at once, what it printed before is there, and its end tells which signal it was."""
    child = WarmProcess(HERE, ["sleep"])
    while not child.said()[0]:
        time.sleep(0.005)
    child.send_signal(number)
    out, _ = child.communicate(timeout=10)
    assert child.returncode == -number
    assert not Path(f"/proc/{json.loads(out)['id']}").exists()
