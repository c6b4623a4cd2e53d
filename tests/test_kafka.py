"""A topic read into a real lake: every message once, from the lake's own offsets; what is no record in quarantine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash_parts import run_here
from tests.http_parts import ask
from tests.kafka_parts import Cluster, clustering, orders, write_contract

IDS = "select order_id from raw.orders order by all"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with clustering() as started:
        yield started


def ok(folder: Path, *observers) -> None:
    outcome = run_here(folder, observers=observers)
    assert outcome.is_ok, outcome.failure


def test_kafka_lands_each_message_once(tmp_path: Path, cluster: Cluster) -> None:
    """Messages of several partitions are rows; the next visit brings only what came since."""
    topic = cluster.make_topic("once", 3)
    for partition in range(3):
        cluster.send(topic, orders(100, partition * 100), partition)
    write_contract(tmp_path, cluster.host, topic=topic)
    ok(tmp_path)
    assert [row[0] for row in ask(tmp_path, IDS)] == [order["order_id"] for order in orders(300)]
    cluster.send(topic, orders(7, 300), 1)
    ok(tmp_path)
    ok(tmp_path)
    assert [row[0] for row in ask(tmp_path, IDS)] == [order["order_id"] for order in orders(307)]
    found = ask(tmp_path, "select origin, kind, read_count, accepted_count from ops.ingestion_log order by ended_at")
    assert found == [("once[0]@0-99,[1]@0-99,[2]@0-99", "stream", 300, 300), ("once[1]@100-106", "stream", 7, 7)]
