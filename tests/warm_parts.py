"""Processes for tests that begin with everything imported, which costs a new interpreter more than a small run does.

Each is forked from a server that has imported the parts and done nothing else. It is a process like any other: with an
id, memory, environment and folder of its own, and it can be killed. How an interpreter begins is the matter of
`tests/test_cli.py`, which starts new ones.
"""

import importlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.forkserver import ensure_running
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRELOADED = [
    *("pytest", "flows.cli", "flows.landing", "flows.reading", "flows.rework", "flows.prefect_api", "checks.sodacl"),
    *("flows.service.running", "uvicorn"),
    *("lake.sources.http.pull", "reports.media", "rich.console", "tests.upload_parts", "tests.crash_parts"),
]
OUT, ERR = 1, 2

_context = multiprocessing.get_context("forkserver")


class WarmProcess:
    """A process that begins warm, with those ways of `subprocess.Popen` that tests use."""

    def __init__(
        self,
        main: str,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        prepare: Callable[[], object] | None = None,
        log: Path | None = None,
    ) -> None:
        """Starts `main`, a function of a module as `module:function`, with arguments; `prepare` is called first.

        What it says is kept until it is forgotten, or in `log`, both what it prints and its errors.
        """
        _start_server()
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-test-")
        self._told = tuple(log or Path(self._folder.name, name) for name in ("out", "err"))
        for path in self._told:
            path.write_bytes(b"")
        given = dict(os.environ if environment is None else environment)
        self.args = [main, *arguments]
        self._process = _context.Process(
            target=_begin, args=(main, list(arguments), given, self._told, prepare), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits for its end and gives what it printed."""
        self.wait(timeout)
        return self.said()

    def said(self) -> tuple[str, str]:
        """Gives what it has printed so far."""
        out, err = (file.read_text(encoding="utf-8", errors="replace") for file in self._told)
        return out, err


def run_warm(
    main: str, *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Runs a function in a warm process to its end, as `subprocess.run` does with a command."""
    child = WarmProcess(main, arguments, environment)
    try:
        out, err = child.communicate(timeout)
    finally:
        child.kill()
    return subprocess.CompletedProcess(child.args, child.wait(), out, err)


def _start_server() -> None:
    _context.set_forkserver_preload(PRELOADED)
    with pytest.MonkeyPatch.context() as environment:  # the server imports from this checkout, wherever tests began
        environment.setenv("PYTHONPATH", str(ROOT))
        ensure_running()


def _begin(
    main: str,
    arguments: list[str],
    environment: Mapping[str, str],
    told: tuple[Path, ...],
    prepare: Callable[[], object] | None,
) -> None:
    for number, path in zip((OUT, ERR), told, strict=True):
        with path.open("ab") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    if prepare is not None:
        prepare()
    sys.argv = [main, *arguments]
    module, _, name = main.partition(":")
    function: Callable[[Sequence[str]], int | None] = getattr(importlib.import_module(module), name)
    sys.exit(function(arguments))
