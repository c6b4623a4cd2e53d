"""A small API on this machine that gives the demo's meter readings page by page, as a meter platform would.

It asks for its token, is busy once, and ends with the block that serves it.
"""

import json
import threading
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

READINGS = "/v1/readings"
MOST_RECORDS = 1000  # of a page, whatever is asked for
BUSY_REQUEST = 2  # the request that is sent away once, to be asked again after a second


@contextmanager
def served_readings(path: Path, token: str) -> Iterator[str]:
    """Serves a file of readings on a free port of this machine to who knows the token; gives the API's address."""
    server = _Server(path, token)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, path: Path, token: str) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        told = sorted((datetime.fromisoformat(json.loads(line)["reported_at"]), line) for line in lines)
        self.instants, self.lines = [instant for instant, _ in told], [line for _, line in told]
        self.token = token
        self.request_count = 0
        super().__init__(("127.0.0.1", 0), _Handler)

    def page(self, since: str | None, cursor: str | None, limit: int) -> str:
        """Gives the records reported since an instant, from where a cursor points, as the body of an answer."""
        start = bisect_left(self.instants, datetime.fromisoformat(since)) if since else 0
        first = int(cursor) if cursor else start
        last = first + min(limit, MOST_RECORDS)
        following = f'"{last}"' if last < len(self.lines) else "null"
        return f'{{"data": {{"items": [{", ".join(self.lines[first:last])}]}}, "next_cursor": {following}}}'


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:  # http.server's own name
        """Answers one request: a page, or why there is none."""
        self.server.request_count += 1
        asked = urlsplit(self.path)
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            return self._answer(HTTPStatus.UNAUTHORIZED, '{"error": "unknown token"}')
        if asked.path != READINGS:
            return self._answer(HTTPStatus.NOT_FOUND, '{"error": "no such path"}')
        if self.server.request_count == BUSY_REQUEST:
            return self._answer(HTTPStatus.SERVICE_UNAVAILABLE, '{"error": "busy"}', retry_after=1)
        return self._answer_page({name: values[-1] for name, values in parse_qs(asked.query).items()})

    def _answer_page(self, asked: dict[str, str]) -> None:
        try:
            body = self.server.page(asked.get("since"), asked.get("cursor"), int(asked.get("limit", MOST_RECORDS)))
        except ValueError:
            return self._answer(HTTPStatus.BAD_REQUEST, '{"error": "since, cursor or limit is not usable"}')
        return self._answer(HTTPStatus.OK, body)

    def _answer(self, status: HTTPStatus, body: str, *, retry_after: int | None = None) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing: the run's own log tells what was asked."""
