"""Running the service: a socket of its own, uvicorn on uvloop, and a polite end."""

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from flows.service.app import build_app
from flows.service.state import Service, open_doors
from flows.serving import stoppable
from lake.errors import SettingsError
from lake.project import Project
from lake.receiving.spool import Spool
from lake.run import system_clock
from lake.settings import Settings

BACKLOG = 2048
LINGER_SECONDS = 10  # for requests that are at work when the service is stopped


@dataclass(frozen=True)
class Place:
    """Where the service listens, and by which certificate it is known; None for plain HTTP."""

    host: str
    port: int
    cert: Path | None = None
    key: Path | None = None


def serve(project: Project, settings: Settings, place: Place, tell: Callable[[str], None]) -> None:
    """Serves until it is stopped; raises SettingsError when it cannot listen, or nothing is posted to."""
    doors = open_doors(project)
    if not doors:
        raise SettingsError(
            "doors-missing",
            "No contract of this project is posted to.",
            cure="Give one a server of type 'api' with 'intake: push'; docs/service.md shows it.",
        )
    with _listening(place) as listener:
        service = Service(project, settings, Spool(settings.spool, system_clock), doors)
        server = uvicorn.Server(_config(service, place))
        scheme, port = "https" if place.cert else "http", listener.getsockname()[1]
        tell(f"Taking {', '.join(doors)} at {scheme}://{place.host}:{port}/v1/… (Ctrl-C stops it)")
        with stoppable(), suppress(KeyboardInterrupt):  # uvicorn tells the signal on, after its polite end
            server.run(sockets=[listener])


def _config(service: Service, place: Place) -> uvicorn.Config:
    for path in (place.cert, place.key):
        if path is not None and not path.is_file():
            raise SettingsError("tls-missing", f"There is no file '{path}'.", cure="Mend SLUICE_SERVE_CERT and _KEY.")
    return uvicorn.Config(
        build_app(service),
        http="httptools",
        loop="uvloop",
        lifespan="on",
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=LINGER_SECONDS,
        ssl_certfile=place.cert,
        ssl_keyfile=place.key,
    )


def _listening(place: Place) -> socket.socket:
    """Gives a socket that listens; raises SettingsError when the place is taken or is none."""
    try:
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        return socket.create_server((place.host, place.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(
            "port-taken",
            f"The service cannot listen on {place.host}:{place.port}: {error.strerror}.",
            cure="Choose another port: sluice serve --port 8081; 0 takes any free one.",
        ) from error
