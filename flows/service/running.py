"""Running the service: a socket of its own, uvicorn on uvloop, and a polite end."""

import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from flows.service.admission import Guard
from flows.service.app import build_app
from flows.service.connections import bounded
from flows.service.doors import Doors
from flows.service.metrics import ServiceMetrics
from flows.service.state import Service
from flows.serving import stoppable
from lake.errors import SettingsError
from lake.project import Project
from lake.receiving.keys import KeyRing
from lake.receiving.records import record_judge
from lake.receiving.spool import Spool
from lake.run import system_clock
from lake.settings import Settings

BACKLOG = 2048
LOOPBACK = ("127.0.0.1", "::1", "localhost")
LINGER_SECONDS = 10  # for requests that are at work when the service is stopped


@dataclass(frozen=True)
class Place:
    """Where the service listens, and by which certificate it is known; None for plain HTTP. `is_open`: to everybody."""

    host: str
    port: int
    cert: Path | None = None
    key: Path | None = None
    is_open: bool = False


def serve(project: Project, settings: Settings, place: Place, tell: Callable[[str], None]) -> None:
    """Serves until it is stopped; raises SettingsError when it cannot listen, or nothing is posted to."""
    with closing(Doors(project, record_judge)) as doors:
        _serve(project, settings, place, doors, tell)


def _serve(project: Project, settings: Settings, place: Place, doors: Doors, tell: Callable[[str], None]) -> None:
    if not doors:
        raise SettingsError(
            "doors-missing",
            "No contract of this project is posted to.",
            cure="Give one a server of type 'api' with 'intake: push'; docs/service.md shows it.",
        )
    guard = open_guard(settings, doors, place)
    with _listening(place) as listener:
        service = Service(project, settings, Spool(settings.spool, system_clock), doors)
        server = uvicorn.Server(_config(build_app(service, guard), place, settings.body_seconds))
        scheme, port = "https" if place.cert else "http", listener.getsockname()[1]
        tell(f"Taking {', '.join(doors)} at {scheme}://{place.host}:{port}/v1/… (Ctrl-C stops it)")
        with stoppable(), suppress(KeyboardInterrupt):  # uvicorn tells the signal on, after its polite end
            server.run(sockets=[listener])


def open_guard(settings: Settings, doors: Doors, place: Place) -> Guard:
    """Gives who is let in; raises SettingsError when that would be nobody, or everybody from anywhere."""
    if place.is_open and place.host not in LOOPBACK:
        raise SettingsError(
            "open-beyond-loopback",
            f"Without keys, everybody who reaches {place.host} could post.",
            cure="Make keys (sluice key new), or listen on 127.0.0.1.",
        )
    ring = None if place.is_open else KeyRing(settings.keys)
    if ring is not None and len(ring) == 0:
        raise SettingsError(
            "keys-missing",
            f"There is no key in '{settings.keys}', so nobody could post.",
            cure="Make one: sluice key new --sources '*' --name laptop. To try without, on this machine: --open.",
        )
    metrics = ServiceMetrics(settings.spool, doors, system_clock)
    return Guard(ring, system_clock, metrics, settings.requests_per_minute, settings.rows_per_minute)


def _config(app: FastAPI, place: Place, head_seconds: float) -> uvicorn.Config:
    _expect_certificate(place)
    return uvicorn.Config(
        app,
        http=bounded(head_seconds),
        ws="none",
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


def _expect_certificate(place: Place) -> None:
    """Raises SettingsError when the service could not be known by its certificate."""
    cure = "Mend SLUICE_SERVE_CERT and SLUICE_SERVE_KEY, or --cert and --key."
    for path in (place.cert, place.key):
        if path is not None and not path.is_file():
            raise SettingsError("tls-missing", f"There is no file '{path}'.", cure=cure)
    if place.cert is None:
        if place.key is not None:
            raise SettingsError("tls-missing", f"There is no certificate to the key '{place.key}'.", cure=cure)
        return
    try:
        no_password = ""  # else OpenSSL would ask for one at the terminal
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(place.cert, place.key, no_password)
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(
            "tls-unusable", f"The certificate '{place.cert}' and its key cannot be used: {error}.", cure=cure
        ) from error


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
