"""The door to Kafka: one consumer of one visit, its errors in our words, without any secret in them.

It reads partitions that are assigned to it by name, so that no group and no rebalance has a say in what it reads.
"""

import logging
import threading
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from lake.errors import SourceError
from lake.secrets import Secrets
from lake.sources.kafka.topic import Topic

ANSWER_SECONDS = 2.0  # one question to the brokers; asked again until the visit gives up
PAUSE_SECONDS = 0.5  # before it is asked again
WAIT_SECONDS = 0.1  # for more messages, before what has come is worked on
COMMIT_LOOKS = 10  # of that length, for the answer to a commit
QUEUED_KILOBYTES = 16 << 10  # fetched ahead: what a visit holds in memory whatever waits in the topic
LARGEST_ANSWER = 512 << 20  # a single message may be larger than what is asked for; brokers take 1 MB by default
CLOSE_SECONDS = 10.0
MOST_TOLD = 10  # the latest of what a client has met
SECRETS: Mapping[str, str] = {
    "userSecret": "sasl.username",
    "passwordSecret": "sasl.password",
    "caSecret": "ssl.ca.pem",
    "certificateSecret": "ssl.certificate.pem",
    "keySecret": "ssl.key.pem",
    "keyPasswordSecret": "ssl.key.password",
}
REFUSALS = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}
UNTRUSTED = "certificate verify failed"  # what OpenSSL calls it; other failures of a handshake may pass
FORBIDDEN = {KafkaError.TOPIC_AUTHORIZATION_FAILED}  # of the topic; that the group is told is not needed
MISSING = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
LOST = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}

Offsets = Mapping[int, int]  # by partition: the offset of the message to be read next


@dataclass(frozen=True)
class Marks:
    """What a topic holds: of each partition the offset of its oldest message, and the one behind its newest."""

    cluster: str
    lowest: Offsets
    highest: Offsets


@dataclass
class Client:
    """One consumer of one topic."""

    topic: Topic
    secrets: Secrets
    _consumer: Consumer
    _told: deque[KafkaError]
    _told_group: deque[KafkaError | None]

    def marks(self) -> Marks:
        """Gives what the topic holds now; raises SourceError when no broker says so in time."""
        waited = 0.0
        while True:
            try:
                return self._ask_marks()
            except KafkaException as failure:
                error: KafkaError = failure.args[0]
                self._consumer.poll(PAUSE_SECONDS)  # lets the client tell what it has met
                self._raise_refusal()
                waited += ANSWER_SECONDS + PAUSE_SECONDS
                if (not error.retriable() and error.code() not in PASSING) or waited >= self.topic.give_up_after:
                    raise self.error(error) from None

    def _ask_marks(self) -> Marks:
        found = self._consumer.list_topics(self.topic.name, timeout=ANSWER_SECONDS)
        described = found.topics[self.topic.name]
        if described.error is not None:
            raise KafkaException(described.error)
        lowest, highest = {}, {}
        for partition in sorted(described.partitions):
            place = TopicPartition(self.topic.name, partition)
            lowest[partition], highest[partition] = self._consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
        return Marks(found.cluster_id or "", lowest, highest)

    def read_from(self, offsets: Offsets) -> None:
        """Begins to read some partitions at given offsets."""
        self._told.clear()
        self._consumer.assign([TopicPartition(self.topic.name, *place) for place in offsets.items()])

    def next(self, most: int) -> Sequence[Message]:
        """Gives up to so many messages; none when there was silence. A message's `error` tells the end of a partition.

        Raises SourceError when the brokers refuse.
        """
        found: Sequence[Message] = self._consumer.consume(most, WAIT_SECONDS)
        self._raise_refusal()
        return found

    def pause(self, partitions: Collection[int]) -> None:
        """Stops reading some partitions."""
        self._consumer.pause([TopicPartition(self.topic.name, partition) for partition in partitions])

    def commit(self, offsets: Offsets) -> None:
        """Tells the consumer group how far the lake is, for Kafka's own tools, and waits for no answer."""
        self._told_group.clear()
        self._consumer.commit(offsets=[TopicPartition(self.topic.name, *place) for place in offsets.items()])

    def commit_failure(self) -> str | None:
        """Gives why the group was not told, as far as the brokers say so within a moment; None when it was."""
        for _ in range(COMMIT_LOOKS):
            if self._told_group:
                break
            self._consumer.poll(WAIT_SECONDS)
        if not self._told_group:
            return "the brokers have not answered"
        error = self._told_group[-1]
        return None if error is None else self._redacted(error.str())

    def error(self, error: KafkaError) -> SourceError:
        """Gives an error of the brokers, or of the way to them, as ours."""
        code = error.code()
        where, topic = self.topic.brokers, self.topic.name
        if code in MISSING:
            return SourceError(
                "topic-missing",
                f"There is no topic {topic!r} at {where}.",
                cure="Mend the custom property 'topic', or have the topic made; a consumer makes none.",
            )
        if code in FORBIDDEN:
            return SourceError(
                "topic-forbidden",
                f"{where} does not let this user read the topic {topic!r}.",
                cure="Have its access list allow READ and DESCRIBE of the topic.",
            )
        if _is_untrusted(error):
            return SourceError(
                "kafka-sign-in-refused",
                f"{where} shows a certificate that is not trusted: {self._redacted(error.str())}.",
                cure="Let 'caSecret' name the secret that holds the certificate of who signed the brokers', in PEM; "
                "without it those of this machine count. The certificate must name the host.",
            )
        if code in REFUSALS:
            return SourceError(
                "kafka-sign-in-refused",
                f"{where} refused the sign-in: {self._redacted(error.str())}.",
                cure="Mend the secrets, 'securityProtocol' or 'saslMechanism'.",
            )
        told = [error.str(), *([self._told[-1].str()] if self._told else [])]
        return SourceError(
            "kafka-unreachable",
            f"{where} did not answer within {self.topic.give_up_after:g} seconds: {self._redacted('; '.join(told))}.",
            cure="Is 'host' right, are the brokers up, is 'securityProtocol' theirs? What came before is in the lake.",
        )

    def silence(self) -> SourceError:
        """Gives the error of brokers that have stopped answering."""
        return self.error(self._told[-1] if self._told else KafkaError(KafkaError._TIMED_OUT))

    def _raise_refusal(self) -> None:
        for error in self._told:
            if error.code() in REFUSALS | FORBIDDEN or _is_untrusted(error):
                raise self.error(error)

    def _redacted(self, text: str) -> str:
        return self.secrets.redact(text).strip()


PASSING = {
    *(KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE),
    *(KafkaError._WAIT_COORD, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION),
}


def _is_untrusted(error: KafkaError) -> bool:
    return error.code() == KafkaError._SSL and UNTRUSTED in error.str()


@contextmanager
def open_client(topic: Topic, secrets: Secrets) -> Iterator[Client]:
    """Gives a consumer that is closed when it is left; raises SettingsError for a secret that is not set."""
    told: deque[KafkaError] = deque(maxlen=MOST_TOLD)
    told_group: deque[KafkaError | None] = deque(maxlen=MOST_TOLD)
    options = topic.options
    settings: dict[str, object] = {
        "bootstrap.servers": topic.brokers,
        "group.id": topic.group,
        "client.id": "sluice",
        "security.protocol": options.get("securityProtocol", "PLAINTEXT"),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",  # an offset that is gone is told, never jumped over
        "allow.auto.create.topics": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "check.crcs": True,
        "queued.max.messages.kbytes": QUEUED_KILOBYTES,
        "fetch.max.bytes": QUEUED_KILOBYTES << 10,
        "receive.message.max.bytes": LARGEST_ANSWER,
        "reconnect.backoff.max.ms": 1000,
        "socket.connection.setup.timeout.ms": 5000,
        "session.timeout.ms": 5000,  # nothing of a session: how long closing waits for a group that nobody answers for
        "error_cb": told.append,
        "on_commit": lambda error, _places: told_group.append(error),
        "logger": _silent(),
    }
    if "userSecret" in options:
        settings["sasl.mechanism"] = options.get("saslMechanism", "PLAIN")
    settings |= {key: secrets.reveal(options[name]) for name, key in SECRETS.items() if name in options}
    try:
        consumer = Consumer(settings)
    except KafkaException as failure:
        error = secrets.redact(failure.args[0].str())
        cure = "Mend the secrets that 'caSecret', 'certificateSecret' and 'keySecret' name: PEM texts."
        raise SourceError("kafka-sign-in-refused", f"The sign-in cannot be prepared: {error}.", cure=cure) from None
    try:
        yield Client(topic, secrets, consumer, told, told_group)
    finally:
        _close(consumer)


def _close(consumer: Consumer) -> None:
    """Closes a consumer; one that waits for a group whose broker is gone is left behind, for it may do so for ever."""
    closing = threading.Thread(target=consumer.close, name="kafka-close", daemon=True)
    closing.start()
    closing.join(CLOSE_SECONDS)


def _silent() -> logging.Logger:
    """Gives a log that nobody reads: what matters is raised, and the client's own words may hold a secret."""
    logger = logging.getLogger("sluice.kafka")
    logger.disabled = True
    return logger
