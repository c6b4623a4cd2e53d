"""A real HTTP API on this machine, with records of its own, every way of paging and faults that are planted.

The path says how it pages and in what format: `/cursor/readings.json`, `/page/readings.csv`. Query parameters: `since`
(inclusive), `until`, `page`, `offset`, `limit`, `cursor`. What is asked is kept in `asked`; `plan` are the faults, one
for each request to come, in order.
"""

import csv
import io
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

MOST = 100  # records a page, whatever is asked for
COLUMNS = ("reading_id", "read_at", "kwh")


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    form: Mapping[str, str]


@dataclass(frozen=True)
class Fault:
    """What a request gets in place of its answer: a status, silence, another body, or an answer cut in the middle."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    silent_seconds: float = 0.0
    is_cut: bool = False
    act: Callable[[], None] = lambda: None


GOOD = Fault()


class _Quick(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: object) -> None:
        """A client that went away is what many tests are about."""


class Api:
    """The server: `records` may be changed between requests, `accepts` says whose requests are answered."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.records = records
        self.asked: list[Asked] = []
        self.plan: list[Fault] = []
        self.tokens: list[str] = []
        self.token_seconds: int | None = 3600
        self.accepts: Callable[[Asked], bool] = lambda _asked: True
        self.page_of: Callable[[Asked], tuple[bytes, Mapping[str, str]]] = self.answer
        self.lock = threading.Lock()
        self.port = 0
        self.start()

    def start(self) -> None:
        """Listens, on the port it had before when it had one."""
        self._server = _Quick(("127.0.0.1", self.port), _handler_of(self))
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Speaks TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def stop(self) -> None:
        """Stops listening: who asks now finds nobody."""
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def data_requests(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.path != "/token"]

    def answer(self, asked: Asked) -> tuple[bytes, Mapping[str, str]]:
        """Gives the page that is asked for, and headers of its own."""
        way = asked.path.split("/")[1]
        found = self.records_of(asked)
        size = min(int(asked.parameters.get("limit", MOST)), MOST)
        first = _first_of(way, asked.parameters, size)
        page = found[first : first + size] if way != "all" else found
        following = first + size if first + size < len(found) and way != "all" else None
        link = f"{asked.path}?cursor={following}&limit={size}&since={quote(asked.parameters.get('since', ''))}"
        headers = {"Link": f'<{link}>; rel="next", </>; rel="first"'} if following and way == "header-link" else {}
        if asked.path.endswith(".csv"):
            return _csv(page), headers
        if asked.path.endswith(".jsonl"):
            return "".join(f"{json.dumps(record)}\n" for record in page).encode(), headers
        body: dict[str, Any] = {"data": {"items": page}, "more": following is not None}
        if following is not None and way == "cursor":
            body["next_cursor"] = f"c{following}"
        if way == "body-link":
            body["links"] = {"next": link if following is not None else None}
        return json.dumps(page if "/bare" in asked.path else body).encode(), headers

    def records_of(self, asked: Asked) -> list[dict[str, Any]]:
        since, until = asked.parameters.get("since") or "", asked.parameters.get("until") or "~"
        return [record for record in self.records if since <= record["read_at"] <= until]


def readings(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Gives hourly readings with nested meters, in the order of their instants."""
    return [reading(number) for number in range(first, first + count)]


def reading(number: int, **changes: Any) -> dict[str, Any]:
    day, hour = divmod(number, 24)
    return {
        "reading_id": f"r{number:06}",
        "read_at": f"2026-{1 + day // 28:02}-{1 + day % 28:02}T{hour:02}:00:00Z",
        "meter": {"id": f"m{number % 3}", "site": {"name": ("Pune", "Delhi", "Goa")[number % 3]}},
        "kwh": f"{number % 50}.{number % 1000:03}",
        **changes,
    }


@contextmanager
def serving(records: list[dict[str, Any]]) -> Iterator[Api]:
    """Serves an API as long as the block runs."""
    api = Api(records)
    try:
        yield api
    finally:
        api.stop()


def _first_of(way: str, parameters: Mapping[str, str], size: int) -> int:
    if way == "page":
        return (int(parameters.get("page", 1)) - 1) * size
    if way == "offset":
        return int(parameters.get("offset", 0))
    return int(parameters.get("cursor", "0").removeprefix("c"))


def _csv(page: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(page)
    return text.getvalue().encode()


class _Handler(BaseHTTPRequestHandler):
    """One connection; the API it serves is told by `_handler_of`."""

    api: Api
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every answer waits for the client to acknowledge its head
    timeout = 30

    def do_GET(self) -> None:
        asked, fault = self._take({})
        if fault is not GOOD and not fault.is_cut:
            self._give(fault.status, fault.body or b"", fault.headers)
        elif not self.api.accepts(asked):
            self._give(401, f"not for you: {self.path} {self.headers.get('Authorization')}".encode(), {})
        else:
            body, headers = self.api.page_of(asked)
            self._give(200, body, {**headers, **fault.headers}, is_cut=fault.is_cut)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        _, fault = self._take(dict(parse_qsl(self.rfile.read(length).decode())))
        if fault is not GOOD:
            self._give(fault.status, fault.body or b"", fault.headers)
            return
        tokens, seconds = self.api.tokens, self.api.token_seconds
        tokens.append(f"token-{len(tokens) + 1}-of-many")
        answer = {"access_token": tokens[-1], **({} if seconds is None else {"expires_in": seconds})}
        self._give(200, json.dumps(answer).encode(), {})

    def _take(self, form: Mapping[str, str]) -> tuple[Asked, Fault]:
        parts = urlsplit(self.path)
        asked = Asked(parts.path, dict(parse_qsl(parts.query)), dict(self.headers.items()), form)
        with self.api.lock:
            self.api.asked.append(asked)
            fault = self.api.plan.pop(0) if self.api.plan else GOOD
        fault.act()
        time.sleep(fault.silent_seconds)
        return asked, fault

    def _give(self, status: int, body: bytes, headers: Mapping[str, str], *, is_cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if is_cut else body)
        if is_cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _handler_of(api: Api) -> type[_Handler]:
    return type("Handler", (_Handler,), {"api": api})
