"""How many messages of a topic the lake has not read."""

from collections.abc import Iterator
from dataclasses import replace

from lake.sources.kafka.client import open_client
from lake.sources.kafka.offsets import find_start
from lake.sources.kafka.topic import read_topic
from lake.sources.lag import Lag
from lake.sources.visit import Visit

GIVE_UP_SECONDS = 5  # a measurement is worth no long wait


def partition_lags(visit: Visit) -> Iterator[Lag]:
    """Gives what waits in each partition; raises SourceError when the brokers do not say, or what waited is gone."""
    topic = read_topic(visit.contract)
    topic = replace(topic, give_up_after=min(GIVE_UP_SECONDS, topic.give_up_after))
    with open_client(topic, visit.secrets) as client:
        marks = client.marks()
    offsets = find_start(topic, visit.position, marks).offsets
    for partition, offset in offsets.items():
        yield Lag(f"{topic.name}[{partition}]", max(0, marks.highest[partition] - offset), "messages")
