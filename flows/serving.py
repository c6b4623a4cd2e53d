"""`sluice up`: one project's own Prefect server and worker, started, watched and ended together."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from flows.prefect_api import answers, profiles_path
from lake.errors import SettingsError

HOST = "127.0.0.1"
USUAL_PORT = 4200
ASK_SECONDS = 1.0  # of who holds a port: enough for one that is well
START_SECONDS = 300.0  # a child that ends by itself is seen at once; one that is starved of a core is only slow
STOP_SECONDS = 15.0
POLL_SECONDS = 0.2
POOL = "sluice"
WORKER = f"sluice-up-{os.getpid()}"  # a worker of an earlier start counts as online for a while
TAIL_LINES = 5

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where a project's own Prefect lives: the project folder and the port its server listens on."""

    project: Path
    port: int

    @property
    def home(self) -> Path:
        """The folder that holds the server's database and the logs of what was started."""
        return self.project / ".prefect"

    @property
    def api(self) -> str:
        """The address programs talk to."""
        return f"http://{HOST}:{self.port}/api"

    @property
    def ui(self) -> str:
        """The address people look at."""
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of everything started here: this server, this project, and nothing reported to anybody."""
        return os.environ | {
            "PREFECT_HOME": str(self.home),
            "PREFECT_PROFILES_PATH": str(profiles_path(self.project)),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_WORKER_PREFETCH_SECONDS": "1",
            "PREFECT_LOGGING_LEVEL": "INFO",
            "DO_NOT_TRACK": "1",
            "SLUICE_PROJECT": str(self.project),
        }


def find_place(project: Path, port: int | None) -> Place:
    """Gives where a project's server will listen; port 0 asks for any free one.

    Raises SettingsError when the port is taken, by this project's own server or by somebody else.
    """
    wanted = USUAL_PORT if port is None else port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            who = "a Prefect server" if answers(f"http://{HOST}:{wanted}/api", ASK_SECONDS) else "another program"
            raise SettingsError(
                "port-taken",
                f"Port {wanted} is taken by {who}.",
                cure="Stop it, or choose another port: sluice up --port 4201.",
            ) from error
        return Place(project, int(probe.getsockname()[1]))


@contextmanager
def served(place: Place, tell: Tell) -> Iterator[tuple[subprocess.Popen[bytes], ...]]:
    """Starts the server, deploys `prefect.yaml`, starts a worker, and ends both when left."""
    tell(f"Starting the Prefect server on {place.ui} ...")
    with _server(place) as server:
        _await_server(server, place)
        _remember(place)
        _prepare(place, tell)
        worker_arguments = ["worker", "start", "--pool", POOL, "--type", "process", "--name", WORKER]
        with _started(place, "worker", worker_arguments) as worker:
            _await(lambda: _has_worker(place), worker, place, "worker")
            yield server, worker


@contextmanager
def server_for(place: Place) -> Iterator[Callable[[], None]]:
    """Starts the server alone, and ends it when left; gives what waits until it answers."""
    with _server(place) as server:
        yield lambda: _await_server(server, place)


def watch(place: Place, children: tuple[subprocess.Popen[bytes], ...]) -> None:
    """Waits until the process is told to stop; raises SettingsError when a child ends by itself."""
    while True:
        for name, child in zip(("server", "worker"), children, strict=True):
            _expect_running(child, place, name)
        time.sleep(POLL_SECONDS)


@contextmanager
def stoppable() -> Iterator[None]:
    """Lets SIGTERM end the block as Ctrl-C does, so that what was started is ended."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _prepare(place: Place, tell: Tell) -> None:
    from flows.provision import create_pool, sweep  # imports Prefect, while the server is up already

    create_pool(place.api, POOL)
    if not (place.project / "prefect.yaml").is_file():
        tell(f"No prefect.yaml in {place.project}: nothing is deployed.")
    else:
        _deploy(place)
    swept = sweep(place.api)
    if swept.crashed or swept.skipped:
        tell(
            f"Runs left over: {swept.crashed} interrupted ones marked Crashed, {swept.skipped} missed ones skipped "
            "(the newest of each deployment catches up)."
        )


def _deploy(place: Place) -> None:
    done = subprocess.run(
        _prefect(["--no-prompt", "deploy", "--all"]),
        cwd=place.project,
        env=place.environment,
        capture_output=True,
        text=True,
    )
    (place.home / "deploy.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode != 0:
        raise SettingsError(
            "deploy-failed",
            f"The deployments were refused: {_tail(done.stdout + done.stderr)}",
            cure=f"Mend it; all of Prefect's words are in {place.home / 'deploy.log'}.",
            path=place.project / "prefect.yaml",
        )


@contextmanager
def _server(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    place.home.mkdir(parents=True, exist_ok=True)
    with _started(place, "server", ["server", "start", "--host", HOST, "--port", str(place.port)]) as server:
        yield server


def _await_server(server: subprocess.Popen[bytes], place: Place) -> None:
    _await(lambda: answers(place.api), server, place, "server")


@contextmanager
def _started(place: Place, name: str, arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a child in a process group of its own, so that it and what it starts can be ended by id."""
    with (place.home / f"{name}.log").open("wb") as log:
        child = subprocess.Popen(
            _prefect(arguments),
            cwd=place.project,
            env=place.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield child
        finally:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            child.send_signal(number)
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
    try:
        os.killpg(child.pid, signal.SIGKILL)  # what the child started and did not end itself
    except ProcessLookupError:
        return  # nothing is left of the group, as it should be


def _await(is_ready: Callable[[], bool], child: subprocess.Popen[bytes], place: Place, name: str) -> None:
    until = time.monotonic() + START_SECONDS
    while not is_ready():
        _expect_running(child, place, name)
        if time.monotonic() > until:
            raise SettingsError(
                "up-timeout",
                f"The Prefect {name} was not ready after {START_SECONDS:.0f} seconds.",
                cure=f"Its log is {place.home / f'{name}.log'}.",
            )
        time.sleep(POLL_SECONDS)


def _expect_running(child: subprocess.Popen[bytes], place: Place, name: str) -> None:
    if child.poll() is not None:
        log = place.home / f"{name}.log"
        raise SettingsError(
            "up-child-ended",
            f"The Prefect {name} ended with {child.returncode}: {_tail(log.read_text(errors='replace'))}",
            cure=f"Its log is {log}.",
        )


def _has_worker(place: Place) -> bool:
    from flows.provision import has_worker

    return has_worker(place.api, POOL, WORKER)


def _remember(place: Place) -> None:
    text = f'active = "sluice-up"\n\n[profiles.sluice-up]\nPREFECT_API_URL = "{place.api}"\n'
    profiles_path(place.project).write_text(text, encoding="utf-8")


def _prefect(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "prefect", *arguments]


def _tail(text: str) -> str:
    return " / ".join([line.strip() for line in text.splitlines() if line.strip()][-TAIL_LINES:])
