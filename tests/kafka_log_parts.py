"""A broker of the tests' own for what librdkafka's mock brokers do not know: compaction, transactions, TLS, SASL.

It serves one partition whose log is written down by the test, batch by batch, at whatever offsets, and speaks as much
of Kafka's protocol as a reader needs (kafka.apache.org/protocol): versions, the sign-in by PLAIN, metadata, offsets by
isolation level, and fetches of record batches of format 2.
"""

import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

PRODUCE, FETCH, LIST_OFFSETS, METADATA, HANDSHAKE, VERSIONS, AUTHENTICATE = 0, 1, 2, 3, 17, 18, 36
APIS = ((PRODUCE, 0, 3), (FETCH, 0, 4), (LIST_OFFSETS, 0, 2), (METADATA, 0, 2), (HANDSHAKE, 0, 1), (AUTHENTICATE, 0, 0))
TRANSACTIONAL, CONTROL = 0x10, 0x20
UNSUPPORTED_VERSION, REFUSED = 35, 58
EARLIEST = -2
IDLE_SECONDS = 0.05  # until a reader at the end is answered that there is nothing


@dataclass(frozen=True)
class Batch:
    """Records of one batch by their offsets; `last` is the offset that the batch says it ends at."""

    first: int
    last: int
    data: bytes


@dataclass
class Log:
    """One topic of one partition. `stable` is the offset of the first message of an open transaction, `end` the end.

    `aborted` are the transactions that were given up: producer and first offset.
    """

    topic: str
    batches: list[Batch] = field(default_factory=list)
    aborted: list[tuple[int, int]] = field(default_factory=list)
    end: int = 0
    stable: int | None = None
    user: bytes | None = None

    def add(self, records: Mapping[int, bytes], *, last: int | None = None, producer: int = -1) -> None:
        """Appends a batch: values by offset, in a transaction when a producer is named; a gap was compacted."""
        first, last = min(records), max(records) if last is None else last
        attributes = 0 if producer < 0 else TRANSACTIONAL
        listed = [(offset - first, b"k", value) for offset, value in sorted(records.items())]
        self._append(first, last, attributes, producer, listed)

    def finish(self, producer: int, *, is_commit: bool) -> None:
        """Appends the mark that ends a transaction."""
        key, value = struct.pack("!hh", 0, int(is_commit)), struct.pack("!hi", 0, 0)
        self._append(self.end, self.end, TRANSACTIONAL | CONTROL, producer, [(0, key, value)])

    def _append(
        self, first: int, last: int, attributes: int, producer: int, records: Iterable[tuple[int, bytes, bytes]]
    ) -> None:
        body = [_record(*record) for record in records]
        told = struct.pack("!hiqqqhii", attributes, last - first, 0, 0, producer, 0, -1, len(body)) + b"".join(body)
        data = struct.pack("!ibI", 0, 2, _crc32c(told)) + told
        self.batches.append(Batch(first, last, struct.pack("!qi", first, len(data)) + data))
        self.end = last + 1


class _Door(socketserver.StreamRequestHandler):
    """One connection of a reader."""

    def setup(self) -> None:
        context: ssl.SSLContext | None = self.server.context  # type: ignore[attr-defined]
        if context is not None:
            self.request.settimeout(10)
            self.request = context.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        while len(size := self.rfile.read(4)) == 4:
            request = self.rfile.read(int.from_bytes(size))
            kind, version, number = struct.unpack("!hhi", request[:8])
            length = max(0, int.from_bytes(request[8:10], signed=True))
            answer = self._answer(kind, version, request[10 + length :])
            body = struct.pack("!i", number) + answer
            self.wfile.write(struct.pack("!i", len(body)) + body)

    def _answer(self, kind: int, version: int, asked: bytes) -> bytes:
        log: Log = self.server.log  # type: ignore[attr-defined]
        if kind == VERSIONS:
            told = struct.pack("!i", len(APIS)) + b"".join(struct.pack("!hhh", *api) for api in APIS)
            return struct.pack("!h", UNSUPPORTED_VERSION if version else 0) + told
        if kind == HANDSHAKE:
            return struct.pack("!hi", 0, 1) + _text("PLAIN")
        if kind == AUTHENTICATE:
            is_known = asked[4:] == log.user
            return struct.pack("!h", 0 if is_known else REFUSED) + _text("wrong name or password") + bytes(4)
        if kind == METADATA:
            host, port = self.server.server_address  # type: ignore[misc]
            broker = struct.pack("!ii", 1, 1) + _text(host) + struct.pack("!ih", port, -1)
            parts = struct.pack("!ihiiiiii", 1, 0, 0, 1, 1, 1, 1, 1)
            return broker + _text("a-cluster") + struct.pack("!iih", 1, 1, 0) + _text(log.topic) + b"\0" + parts
        topic = struct.pack("!ii", 0, 1) + _text(log.topic)
        return topic + (_fetched(log, asked) if kind == FETCH else _offsets(log, asked))


def _offsets(log: Log, asked: bytes) -> bytes:
    """Answers where the log begins or ends; for a reader of committed messages, before the first open transaction."""
    is_committed, at = asked[4] == 1, struct.unpack("!q", asked[-8:])[0]
    end = _stable(log) if is_committed else log.end
    first = log.batches[0].first if log.batches else 0
    return struct.pack("!iihqq", 1, 0, 0, -1, first if at == EARLIEST else end)


def _fetched(log: Log, asked: bytes) -> bytes:
    """Answers with the batches from an offset on, as a broker does: whole, also what comes before the offset."""
    (offset, _) = struct.unpack("!qi", asked[-12:])
    stable = _stable(log)
    found = [batch.data for batch in log.batches if batch.last >= offset and batch.first < stable]
    if not found:
        time.sleep(IDLE_SECONDS)
    aborted = struct.pack("!i", len(log.aborted)) + b"".join(struct.pack("!qq", *told) for told in log.aborted)
    data = b"".join(found)
    return struct.pack("!iihqq", 1, 0, 0, log.end, stable) + aborted + struct.pack("!i", len(data)) + data


def _stable(log: Log) -> int:
    return log.end if log.stable is None else log.stable


def _record(delta: int, key: bytes, value: bytes) -> bytes:
    body = b"\0" + _varint(0) + _varint(delta) + _varint(len(key)) + key + _varint(len(value)) + value + _varint(0)
    return _varint(len(body)) + body


def _varint(number: int) -> bytes:
    left, told = number << 1, bytearray()
    while left > 127:
        told.append(left & 127 | 128)
        left >>= 7
    return bytes([*told, left])


def _text(words: str) -> bytes:
    return struct.pack("!h", len(words)) + words.encode()


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@contextmanager
def serving_log(log: Log, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Gives the address of a broker that has a log, behind TLS when a context is given."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Door) as server:
        server.daemon_threads, server.log, server.context = True, log, context  # type: ignore[attr-defined]
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a reader that trusts no such certificate
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
