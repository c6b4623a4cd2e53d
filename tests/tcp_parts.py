"""A line of bytes between a client and a server, which can be cut after so many of them."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

CHUNK_BYTES = 1 << 14


@dataclass
class Cable:
    """A line that listens on its own `port`. The first `cuts` connections end after `after` bytes from the server."""

    server_port: int
    after: int = 0
    cuts: int = 0
    connections: int = 0
    _listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        port: int = self._listening.getsockname()[1]
        return port

    def serve(self) -> None:
        """Takes connections until the line is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.connections += 1
                most = self.after if self.connections <= self.cuts else None
                server = socket.create_connection(("127.0.0.1", self.server_port))
                for way in ((client, server, None), (server, client, most)):
                    threading.Thread(target=_carry, args=way, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@contextmanager
def cable_to(port: int, *, after: int = 0, cuts: int = 0) -> Iterator[Cable]:
    """Gives a line to a server of this machine."""
    cable = Cable(port, after, cuts)
    threading.Thread(target=cable.serve, daemon=True).start()
    try:
        yield cable
    finally:
        cable.close()


def _carry(source: socket.socket, target: socket.socket, most: int | None) -> None:
    carried = 0
    with suppress(OSError):
        while (data := source.recv(CHUNK_BYTES)) and (most is None or carried < most):
            carried += len(data)
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
