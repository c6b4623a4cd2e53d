"""An HTTP server between a lake and its store, which does to requests what bad stores and bad lines do.

It runs in a process of its own (`python -m tests.proxy_parts HOST:PORT`), since some of what it serves holds on to the
interpreter of the test's process while it waits.
"""

import http.client
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

REFUSAL = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>InvalidAccessKeyId</Code><Message>The AWS Access Key Id you '
    b"provided does not exist in our records.</Message></Error>"
)
LONGEST_SILENCE_SECONDS = 60
OURS = "/--line"
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length"}


@dataclass
class Fault:
    """What happens to requests whose `METHOD path` a pattern finds, and how often (None: always)."""

    kind: Literal["none", "forget-condition", "refuse", "be-silent", "cut-before", "cut-after"] = "none"
    pattern: str = ""
    times: int | None = None


@dataclass(frozen=True)
class Line:
    """A line to a store, by its own address."""

    endpoint: str

    def seen(self) -> list[str]:
        """Gives every request so far as `METHOD path`."""
        with urllib.request.urlopen(f"{self.endpoint}{OURS}", timeout=30) as answer:
            return json.load(answer)  # type: ignore[no-any-return]

    def have(self, fault: Fault) -> None:
        """Gives the line another fault from now on."""
        told = json.dumps(asdict(fault)).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}{OURS}", told, method="PUT"), timeout=30).close()


@contextmanager
def line_to(endpoint: str, kind: str = "none", pattern: str = "", times: int | None = None) -> Iterator[Line]:
    """Gives a line to a store, with a fault."""
    command = [sys.executable, "-m", "tests.proxy_parts", endpoint.removeprefix("http://")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        line = Line(f"http://127.0.0.1:{int(server.stdout.readline())}")
        line.have(Fault(kind, pattern, times))  # type: ignore[arg-type]
        yield line
    finally:
        server.kill()
        server.communicate()


class Between(BaseHTTPRequestHandler):
    """Takes a request, and passes it on or not."""

    protocol_version = "HTTP/1.1"
    wbufsize, disable_nagle_algorithm = -1, True  # else every answer waits for the client to acknowledge its head
    store: str
    fault = Fault()
    seen: list[str] = []  # noqa: RUF012 - one for all requests

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == OURS:
            self._obey(body)
            return
        asked = f"{self.command} {self.path}"
        Between.seen.append(asked)
        kind = self._fault_for(asked)
        if kind == "be-silent":
            time.sleep(LONGEST_SILENCE_SECONDS)
        if kind in ("be-silent", "cut-before"):
            self.close_connection = True
        elif kind == "refuse":
            self._answer(403, [("Content-Type", "application/xml")], REFUSAL)
        else:
            self._pass_on(body, kind)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _take  # noqa: N815 - the library's names

    def _obey(self, body: bytes) -> None:
        if self.command == "PUT":
            Between.fault = Fault(**json.loads(body))
        self._answer(200, [], json.dumps(Between.seen).encode())

    def _fault_for(self, asked: str) -> str:
        fault = Between.fault
        if fault.times == 0 or not re.search(fault.pattern, asked):
            return "none"
        fault.times = None if fault.times is None else fault.times - 1
        return fault.kind

    def _pass_on(self, body: bytes, kind: str) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        if kind == "forget-condition":
            headers = {name: value for name, value in headers.items() if name.lower() != "if-none-match"}
        store = http.client.HTTPConnection(self.store, timeout=60)
        store.request(self.command, self.path, body, headers)
        answer = store.getresponse()
        content, given = answer.read(), answer.getheaders()
        store.close()
        if kind == "cut-after":
            self.close_connection = True
            return
        length = dict(given).get("Content-Length") if self.command == "HEAD" else None
        self._answer(answer.status, given, content, length)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, length: str | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


class Quiet(ThreadingHTTPServer):
    """A server whose clients may go away in the middle: they do so in these tests."""

    daemon_threads = True

    def handle_error(self, *_arguments: object) -> None:
        """Says nothing."""


if __name__ == "__main__":
    Between.store = sys.argv[1]
    with Quiet(("127.0.0.1", 0), Between) as serving:
        sys.stdout.write(f"{serving.server_address[1]}\n")
        sys.stdout.flush()
        serving.serve_forever()
