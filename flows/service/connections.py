"""Connections within bounds: a request's head comes in time and is not endless, and there are never too many.

uvicorn bounds none of these by itself. They hold before anybody has shown a key.
"""

import asyncio
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 << 10
MOST_FILES = 65_536
KEPT_FILES = 256  # for the spool, the lake and the engines
TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedConnection(HttpToolsProtocol):
    """A connection that is closed when a head is not whole within `head_seconds`, or larger than it may be.

    Where there are `most` already, the one that has kept the service waiting longest makes room.
    """

    head_seconds = 30.0
    most = 1_000
    waits_since: float | None = None  # by the loop's clock; None while a request is at work
    _head_bytes = 0
    _is_in_head = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begins to wait for a head."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing any more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes bytes; those of a head that is not whole yet are counted."""
        was_in_head = self._is_in_head
        super().data_received(data)
        if was_in_head and self._is_in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """Begins a head."""
        super().on_message_begin()
        self._head_bytes, self._is_in_head = 0, True
        if self._timer is None:
            self._wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header, of the head or behind a chunked body; an error ends the connection with 400."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MOST_HEAD_BYTES:
            raise ValueError("the headers are too large")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begins the request."""
        self._wait_no_more()
        self._is_in_head = False
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Waits for the rest of a body that was refused; where there is none, uvicorn itself closes what stays idle."""
        super().on_response_complete()
        if self._timer is not None or not self.cycle.response_complete:  # the next request has begun
            return
        if self.cycle.more_body:
            self._wait()
        self.waits_since = self.loop.time()

    def _wait(self) -> None:
        self.waits_since = self.loop.time()
        self._timer = self.loop.call_later(self.head_seconds, self._end)

    def _wait_no_more(self) -> None:
        self.waits_since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        if self._is_in_head:
            self.transport.write(TOO_LATE)
        self.transport.close()

    def _make_room(self) -> None:
        waiting = [
            (each.waits_since, place, each)
            for place, each in enumerate(self.connections)
            if isinstance(each, BoundedConnection) and each.waits_since is not None and not each.transport.is_closing()
        ]
        _, _, longest = min(waiting)
        longest.transport.abort()


def bounded(head_seconds: float) -> type[BoundedConnection]:
    """Gives the connections of a service; as many as files may be open, less what it opens itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    most = max(1, files - KEPT_FILES)
    return type("Connection", (BoundedConnection,), {"head_seconds": head_seconds, "most": most})
