"""How far the lake is behind a topic: measured with the platform's health, told when it is too much."""

import shutil
from datetime import timedelta
from pathlib import Path

from tests.crash_parts import ROOT, run_here
from tests.kafka_parts import clustering, orders, write_contract
from tests.platform_parts import FIRST, ask, health_at, told

HOUR = timedelta(hours=1)
BEHIND = """
    select metric, subject, value, unit from ops.platform_health_metrics
    where metric like 'source%behind' and measured_at = (select max(measured_at) from ops.platform_health_metrics)
    order by all
"""


def test_kafka_lag_is_measured_and_told(tmp_path: Path) -> None:
    """What waits in each partition is measured; more than the contract allows is told once, and told as over when it is
    read; brokers that do not answer are noted and stop no measurement."""
    with clustering() as cluster:
        topic = cluster.make_topic("waiting", 2)
        write_contract(tmp_path, cluster.host, topic=topic, mostBehind=10)
        (tmp_path / "sql/alerts").mkdir(parents=True)
        shutil.copy(ROOT / "sql/alerts/source_behind.sql", tmp_path / "sql/alerts")
        cluster.send(topic, orders(9), 0)
        cluster.send(topic, orders(3, 9), 1)
        health_at(tmp_path, FIRST)
        assert ask(tmp_path, BEHIND) == [
            ("source_allowed_behind", "orders", 10, "messages"),
            ("source_behind", "orders", 12, "messages"),
            ("source_part_behind", "orders waiting[0]", 9, "messages"),
            ("source_part_behind", "orders waiting[1]", 3, "messages"),
        ]
        assert run_here(tmp_path).is_ok
        cluster.send(topic, orders(1, 20), 1)
        health_at(tmp_path, FIRST + HOUR)
        assert ask(tmp_path, BEHIND)[1:] == [
            ("source_behind", "orders", 1, "messages"),
            ("source_part_behind", "orders waiting[0]", 0, "messages"),
            ("source_part_behind", "orders waiting[1]", 1, "messages"),
        ]
        assert told(tmp_path, "source_behind") == [("open", "orders"), ("over", "orders")]
    write_contract(tmp_path, "127.0.0.1:1", topic=topic, mostBehind=10, giveUpAfter="1 second")
    health_at(tmp_path, FIRST + 2 * HOUR)
    assert ask(tmp_path, BEHIND) == []
    ((error,),) = ask(tmp_path, "select details ->> 'code' from ops.audit_log where event = 'lag-unknown'")
    assert error == "kafka-unreachable"
