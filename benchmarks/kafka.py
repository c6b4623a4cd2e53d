"""What reading a topic costs: a bare consumer loop, the same into the files that landing reads, and the whole landing.

    python -m benchmarks.kafka [MESSAGES]

The three read the same topic of a mock cluster of librdkafka, one after the other, three times; the best of each
counts. CPU seconds are those of this process, the client's own threads included.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from tests.crash_parts import run_here
from tests.kafka_parts import Cluster, clustering, read, write_contract

MESSAGES, PARTITIONS, ROUNDS = 500_000, 64, 3  # a partition of the mock cluster holds 5 MB
VALUE = '{{"order_id":"o{:010}","amount":"{}.25","region":"north","at":"2026-01-01T00:00:00Z","note":"as usual"}}'


def fill(cluster: Cluster, count: int) -> None:
    """Sends messages to every partition in turn."""
    cluster.make_topic("orders", PARTITIONS)
    producer = cluster.producer()
    for number in range(count):
        body = VALUE.format(number, number % 1000).encode()
        while True:
            try:
                producer.produce("orders", body, key=b"%d" % number, partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(120) == 0


def read_bare(host: str) -> int:
    """Reads all messages and keeps none, as the shortest loop would."""
    settings = {"bootstrap.servers": host, "group.id": "bare", "enable.partition.eof": True, "check.crcs": True}
    consumer = Consumer(settings)
    consumer.assign([TopicPartition("orders", partition, 0) for partition in range(PARTITIONS)])
    count = ends = 0
    while ends < PARTITIONS:
        for message in consumer.consume(10_000, 0.1):
            if message.error() is None:
                count += len(message.value()) > 0
            else:
                ends += 1
    consumer.close()
    return count


def read_files(contract: Path) -> int:
    """Reads all messages into deliveries, which nobody lands."""
    folder = Path(tempfile.mkdtemp())
    offsets = [delivery.position["offsets"] for delivery in read(contract, folder)]
    shutil.rmtree(folder)
    return sum(json.loads(offsets[-1]).values())


def land(contract: Path) -> int:
    """Lands all messages in an empty lake: archived, judged by the contract, gated, committed."""
    project = contract.parents[2]
    shutil.rmtree(project / "lake/data", ignore_errors=True)
    outcome = run_here(project)
    assert outcome.is_ok, outcome.failure
    return sum(source.accepted for source in outcome.sources)


def timed(work: Callable[[], int], expected: int) -> tuple[float, float]:
    """Gives the seconds and the CPU seconds of some work."""
    wall, cpu = time.perf_counter(), time.process_time()
    assert work() == expected
    return time.perf_counter() - wall, time.process_time() - cpu


def main(count: int) -> None:
    """Prints what each way costs."""
    with clustering() as cluster, tempfile.TemporaryDirectory() as folder:
        fill(cluster, count)
        contract = write_contract(Path(folder), cluster.host, topic="orders")
        ways = {
            "bare loop": lambda: read_bare(cluster.host),
            "into files": lambda: read_files(contract),
            "landed": lambda: land(contract),
        }
        rounds = [{name: timed(work, count) for name, work in ways.items()} for _ in range(ROUNDS)]
        best = {name: tuple(min(each[name][which] for each in rounds) for which in (0, 1)) for name in ways}
        for name, (wall, cpu) in best.items():
            ratio = cpu / best["bare loop"][1]
            print(f"{name:10} {count / wall:10,.0f} messages/s  {wall:6.2f} s  CPU {cpu:6.2f} s  {ratio:5.2f} of bare")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES)
