"""What a contract says of a topic, typed; `lake/odcs/servers/kafka.py` has checked it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from lake.contract import Contract, Server

DEFAULT_MESSAGES, DEFAULT_BYTES = "200000", str(64 << 20)  # of one batch: what a kill may cost, what landing weighs
DEFAULT_AGE, DEFAULT_GIVE_UP = "10", "30"


@dataclass(frozen=True)
class Topic:
    """One topic as one contract reads it.

    `brokers` are those asked first, `group` the consumer group that is told how far the lake is. A loop lands a batch
    that is not full after `batch_age`; `give_up_after` seconds of silence end a visit.
    `options` are the server's custom properties.
    """

    name: str
    brokers: str
    group: str
    starts_at_end: bool
    goes_on_when_lost: bool
    messages_per_batch: int
    bytes_per_batch: int
    batch_age: timedelta
    give_up_after: float
    options: Mapping[str, str]


def read_topic(contract: Contract) -> Topic:
    """Gives the topic of a contract."""
    return topic_of(contract.server, contract.source)


def topic_of(server: Server, source: str) -> Topic:
    """Gives the topic of a server, for a source of that name."""
    options = server.options
    return Topic(
        name=options["topic"],
        brokers=server.path,
        group=options.get("group", f"sluice-{source}"),
        starts_at_end=options.get("startFrom") == "latest",
        goes_on_when_lost=options.get("whenOffsetsLost") == "earliest",
        messages_per_batch=int(options.get("messagesPerBatch", DEFAULT_MESSAGES)),
        bytes_per_batch=int(options.get("bytesPerBatch", DEFAULT_BYTES)),
        batch_age=timedelta(seconds=int(options.get("batchAge", DEFAULT_AGE))),
        give_up_after=float(options.get("giveUpAfter", DEFAULT_GIVE_UP)),
        options=options,
    )
