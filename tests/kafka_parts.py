"""What the tests of topics share: brokers in a process of their own, producers, and a contract of a topic.

The brokers are librdkafka's own mock cluster, which serves real clients. As a script it is such a cluster that takes
orders line by line: `topic NAME PARTITIONS`, `down`, `up`, `odd TOPIC VALUE` (a message with a header whose name is no
UTF-8), and answers each with a line. A partition of it holds no
more than 5 MB or 100 000 messages; older ones are deleted, as by a retention. It knows no ACLs, no transactions' marks,
no compaction and no administration.
"""

import ctypes
import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka import Producer

from lake.contract import Contract
from lake.ledger import BatchRecord
from lake.odcs.reader import read_contract
from lake.run import Run, begin_run
from lake.secrets import Secrets
from lake.sources.delivery import Delivery
from lake.sources.kafka.stream import message_deliveries
from lake.sources.visit import Visit

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
team: {{name: Shop}}
servers:
  - server: broker
    type: kafka
    host: {host}
    format: json
    customProperties: {server}
schema:
  - name: orders
    description: One row per order.
    customProperties: [{{property: driftPolicy, value: evolve}}, {{property: delivery, value: stream}}]
    properties:
      - {{name: order_id, logicalType: string, description: Its number., primaryKey: true, primaryKeyPosition: 1}}
      - {{name: amount, logicalType: number, physicalType: "decimal(12,2)", description: Paid., required: true}}
"""
ASIDE = """\
      - {name: sent_in, physicalName: "kafka:partition", logicalType: integer, description: The partition.}
      - {name: sent_as, physicalName: "kafka:offset", logicalType: integer, physicalType: bigint, description: Where.}
      - {name: sent_at, physicalName: "kafka:timestamp", logicalType: timestamp, description: When., required: true}
      - {name: sent_key, physicalName: "kafka:key", logicalType: string, description: The key.}
      - {name: sent_with, physicalName: "kafka:headers", logicalType: string, description: More.}
"""


@dataclass
class Cluster:
    """A mock cluster in a process of its own."""

    process: "subprocess.Popen[str]"
    host: str

    @classmethod
    def start(cls) -> "Cluster":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.kafka_parts"], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        return cls(process, process.stdout.readline().strip())

    def make_topic(self, name: str, partitions: int = 1) -> str:
        return self.order(f"topic {name} {partitions}") and name

    def order(self, words: str) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def producer(self) -> Producer:
        return Producer({"bootstrap.servers": self.host, "linger.ms": 20, "log_level": 0})

    def send(self, topic: str, values: Iterable[Any], partition: int = 0, **more: Any) -> None:
        """Sends values, objects as JSON, bytes and None as they are; all are there when it returns."""
        producer = self.producer()
        for value in values:
            body = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
            producer.produce(topic, value=body, partition=partition, **more)
            producer.poll(0)
        assert producer.flush(20) == 0


@contextmanager
def clustering() -> Iterator[Cluster]:
    """Gives a mock cluster that is gone when it is left."""
    cluster = Cluster.start()
    try:
        yield cluster
    finally:
        cluster.kill()


def orders(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Gives messages whose ids and amounts are known."""
    return [{"order_id": f"o{number:06}", "amount": f"{number % 1000}.25"} for number in range(first, first + count)]


def write_contract(folder: Path, host: str, aside: str = "", /, **server: Any) -> Path:
    """Writes a contract of orders into a project; the server's properties are given by name."""
    path = folder / "lake" / "contracts" / "orders.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = json.dumps([{"property": name, "value": value} for name, value in server.items()])
    path.write_text(CONTRACT.format(host=host, server=listed) + aside, encoding="utf-8")
    return path


def read(
    path: Path,
    folder: Path,
    known: Mapping[str, BatchRecord] | None = None,
    run: Run | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Iterator[Delivery]:
    """Reads a topic without a lake."""
    folder.mkdir(parents=True, exist_ok=True)
    run = run or begin_run("tester")
    return message_deliveries(
        Visit(read_contract(path), folder, folder, run, Secrets((secrets or {}).get), lambda _: None, known or {})
    )


class _Refusing(socketserver.StreamRequestHandler):
    """Speaks as much of Kafka's protocol as a client needs to be refused: versions, the handshake, the sign-in."""

    def handle(self) -> None:
        while len(size := self.rfile.read(4)) == 4:
            request = self.rfile.read(int.from_bytes(size))
            kind, version, number = request[:2], request[2:4], request[4:8]
            words = self.server.words.encode()  # type: ignore[attr-defined]
            answer = {
                18: _VERSIONS,
                17: b"\0\0" + (1).to_bytes(4) + (5).to_bytes(2) + b"PLAIN",
                36: (58).to_bytes(2) + len(words).to_bytes(2) + words + (0).to_bytes(4),
            }[int.from_bytes(kind)]
            if int.from_bytes(kind) == 18 and int.from_bytes(version) > 0:
                answer = (35).to_bytes(2) + _VERSIONS[2:]
            body = number + answer
            self.wfile.write(len(body).to_bytes(4) + body)


_APIS = ((3, 0, 1), (17, 0, 1), (18, 0, 0), (36, 0, 0))  # the requests that are known, their versions from and to
_VERSIONS = b"\0\0" + len(_APIS).to_bytes(4) + b"".join(part.to_bytes(2) for api in _APIS for part in api)


@contextmanager
def refusing_broker(words: str) -> Iterator[str]:
    """Gives the address of a broker that refuses every sign-in with some words."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Refusing) as server:
        server.daemon_threads, server.words = True, words  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def landed(contract: Contract, position: Mapping[str, str]) -> dict[str, BatchRecord]:
    """Gives what the lake would know after a delivery with that position."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    record = BatchRecord(
        run_id="r", batch_id="b", source=contract.source, origin="o", kind="stream", status="landed", started_at=now,
        ended_at=now, read_count=1, accepted_count=1, quarantined_count=0, duplicate_count=0, byte_count=1,
        checksum="c", watermark=None, table_version=1, error=None, attempt_id="a",
        contract_version=contract.version, contract_digest=contract.digest, position=json.dumps(dict(position)),
    )  # fmt: skip
    return {record.batch_id: record}


def serve() -> None:
    """Runs a mock cluster until its orders end."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka*"))))
    library.rd_kafka_conf_new.restype = ctypes.c_void_p
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
    library.rd_kafka_mock_topic_create.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
    for switch in (library.rd_kafka_mock_broker_set_down, library.rd_kafka_mock_broker_set_up):
        switch.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    client = library.rd_kafka_new(0, library.rd_kafka_conf_new(), None, 0)
    cluster = library.rd_kafka_mock_cluster_new(client, 1)
    say(library.rd_kafka_mock_cluster_bootstraps(cluster).decode())
    for line in sys.stdin:
        match line.split():
            case ["topic", name, partitions]:
                say(library.rd_kafka_mock_topic_create(cluster, name.encode(), int(partitions), 1))
            case ["odd", name, value]:
                host = library.rd_kafka_mock_cluster_bootstraps(cluster)
                say(send_odd(library, host, name.encode(), value.encode()))
            case ["down"]:
                say(library.rd_kafka_mock_broker_set_down(cluster, 1))
            case ["up"]:
                say(library.rd_kafka_mock_broker_set_up(cluster, 1))


def send_odd(library: ctypes.CDLL, host: bytes, topic: bytes, value: bytes) -> int:
    """Sends a message with a header whose name is no UTF-8, which no producer in Python can."""
    settings = ctypes.c_void_p(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(settings, b"bootstrap.servers", host, None, ctypes.c_size_t(0))
    client = ctypes.c_void_p(library.rd_kafka_new(0, settings, None, 0))
    parts = [1, topic, 3, 0, 4, value, ctypes.c_size_t(len(value)), 7, 2, 9, b"\xff", b"v", ctypes.c_ssize_t(1), 0]
    failed: int = library.rd_kafka_producev(client, *parts)  # by number: topic, partition, value, flags, header, end
    return failed or library.rd_kafka_flush(client, 10_000)


def say(words: object) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
