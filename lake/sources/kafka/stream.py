"""Reading a topic: from the lake's own offsets up to what was there when the visit began, in batches of bounded size.

The offsets stand in the commit with the rows; the consumer group at the brokers is only told of them. Each batch has
the next number of its source: of two visits at once, both make that number, and one of them lands it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from confluent_kafka import KafkaError, Message

from lake.errors import SourceError
from lake.formats.messages import MESSAGES
from lake.sources.delivery import STREAM, Delivery, Fate
from lake.sources.kafka.client import LOST, PASSING, WAIT_SECONDS, Client, Marks, Offsets, open_client
from lake.sources.kafka.message_file import MessageFile
from lake.sources.kafka.offsets import Start, find_start, offsets_lost, position_text
from lake.sources.kafka.topic import Topic, read_topic
from lake.sources.visit import ORDINAL, Visit, numbered_batch

MOST_AT_ONCE = 10_000  # messages taken from the client in one go
BYTES_AT_ONCE = 4 << 20  # and how many bytes these should come to at most, by what came before
FIRST_AT_ONCE = 16  # brokers let messages be 1 MB, unless told otherwise


def message_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives the messages of a topic that raw does not have, in batches, each with the offsets behind it.

    Raises SourceError, without any secret in it, when the brokers fail for good, or hold no longer what was not read;
    what came before that was given.
    """
    topic = read_topic(visit.contract)
    try:
        with open_client(topic, visit.secrets) as client:
            yield from _Reading(visit, topic, client).deliveries()
    except SourceError as error:
        error.path = error.path or visit.contract.path
        raise


@dataclass
class _Reading:
    """One visit to one topic. `_offsets` is where each partition is read on, `_open` those not at their end yet."""

    visit: Visit
    topic: Topic
    client: Client
    _offsets: dict[int, int] = field(default_factory=dict)
    _open: set[int] = field(default_factory=set)
    _given: int = 0
    _read: int = 0
    _is_told: bool = False
    _weight: int = BYTES_AT_ONCE // FIRST_AT_ONCE  # bytes of a message, by those that came last

    def deliveries(self) -> Iterator[Delivery]:
        marks = self.client.marks()
        start = find_start(self.topic, self.visit.position, marks)
        if self._is_gathering(start, marks):
            return
        self._note_start(start)
        self._offsets = dict(start.offsets)
        self._open = {partition for partition, offset in self._offsets.items() if offset < marks.highest[partition]}
        if self._open:
            self.client.read_from({partition: self._offsets[partition] for partition in self._open})
            yield from self._batches(marks)
        if start.is_chosen and not self._given:
            yield self._delivery(self._file(marks), marks)  # no message, but the place is in the lake now
        if self._given:
            self._note("source-read", self._read, batches=self._given)
        if self._is_told and (failure := self.client.commit_failure()) is not None:
            self._note("group-not-told", group=self.topic.group, reason=failure)

    def _is_gathering(self, start: Start, marks: Marks) -> bool:
        """Says whether what waits is less than a batch, and the last batch is young: the next look may land more."""
        landed_at = self.visit.last_landed_at
        waiting = sum(marks.highest[partition] - offset for partition, offset in start.offsets.items())
        if not self.visit.may_wait or landed_at is None or waiting >= self.topic.messages_per_batch:
            return False
        age = self.visit.run.started_at - landed_at
        return timedelta(0) <= age < self.topic.batch_age  # a clock that was set back keeps nothing waiting

    def _batches(self, marks: Marks) -> Iterator[Delivery]:
        """Gives batch after batch; what had come when the brokers failed is given first, and counts."""
        file = self._file(marks)
        silence = 0.0
        while self._open:
            try:
                told = self._take(file, marks)
                silence = 0.0 if told else silence + WAIT_SECONDS
                if silence > self.topic.give_up_after:
                    raise self.client.silence()
            except SourceError:
                if file.message_count:
                    yield self._delivery(file, marks)
                raise
            if file.message_count >= self.topic.messages_per_batch or file.byte_count >= self.topic.bytes_per_batch:
                yield self._delivery(file, marks)
                file = self._file(marks)
        if file.message_count:
            yield self._delivery(file, marks)

    def _take(self, file: MessageFile, marks: Marks) -> int:
        """Takes some messages into a file, and gives how many things the brokers told, ends of partitions included."""
        room = self.topic.messages_per_batch - file.message_count
        weighed = (self.topic.bytes_per_batch - file.byte_count) // self._weight + 1
        found = self.client.next(min(MOST_AT_ONCE, BYTES_AT_ONCE // self._weight + 1, room, weighed))
        messages = [message for message in found if message.error() is None]
        if messages:
            before = file.byte_count, file.message_count
            self._move(file.add(messages), marks)
            if file.message_count > before[1]:
                self._weight = max(1, (file.byte_count - before[0]) // (file.message_count - before[1]))
        if len(messages) < len(found):
            for message in found:
                if (error := message.error()) is not None:
                    self._hear(error, message, marks)
        return len(found)

    def _move(self, behind: Offsets, marks: Marks) -> None:
        """Moves on in some partitions; those that are read to their end are asked no more."""
        self._offsets |= {place: max(offset, self._offsets[place]) for place, offset in behind.items()}
        done = {place for place in self._open if self._offsets[place] >= marks.highest[place]}
        if done:
            self._finish(done)

    def _finish(self, partitions: set[int]) -> None:
        self._open -= partitions
        self.client.pause(partitions)

    def _hear(self, error: KafkaError, message: Message, marks: Marks) -> None:
        """Takes what a partition tells in place of a message: its end, or that it cannot be read on."""
        partition, offset = message.partition(), message.offset()
        if partition is None or offset is None or partition not in self._open:
            return
        if error.code() == KafkaError._PARTITION_EOF:  # what lies before it are no messages: marks of transactions
            self._move({partition: min(offset, marks.highest[partition])}, marks)
            self._finish({partition} & self._open)
        elif error.code() in LOST:
            lowest = self.client.marks().lowest[partition]
            raise offsets_lost(self.topic, ((partition, self._offsets[partition], lowest),))
        elif error.code() not in PASSING and not error.retriable():
            raise self.client.error(error)

    def _file(self, marks: Marks) -> MessageFile:
        path = self.visit.scratch / f"{self.visit.contract.source}.{self._given + 1}.parquet"
        return MessageFile(path, marks.highest)

    def _delivery(self, file: MessageFile, marks: Marks) -> Delivery:
        """Gives one batch, with the offsets that are true once it is in the lake."""
        origin = file.close(self.topic.name)
        ordinal = self.visit.next_ordinal + self._given
        self._given += 1
        self._read += file.message_count
        behind = dict(self._offsets)
        return Delivery(
            origin,
            file.path,
            MESSAGES,
            kind=STREAM,
            batch_id=numbered_batch(self.visit.contract, ordinal),
            position={ORDINAL: str(ordinal), **position_text(self.topic, marks.cluster, behind)},
            settle=lambda fate, _why: self._settle(fate, file, behind),
        )

    def _settle(self, fate: Fate, file: MessageFile, behind: Offsets) -> None:
        """Tells the brokers how far the lake is, once it is; that they hear it is of no consequence to what is read."""
        file.path.unlink(missing_ok=True)
        if fate == "landed":
            self.client.commit(behind)
            self._is_told = True

    def _note_start(self, start: Start) -> None:
        for partition, offset, lowest in start.lost:
            self._note("offsets-lost", lowest - offset, partition=partition, first=offset, last=lowest - 1)
        if start.is_remade:
            self._note("topic-remade", position=self.visit.position, goes_on_from=dict(start.offsets))

    def _note(self, kind: str, count: int | None = None, **details: object) -> None:
        self.visit.run.note(kind, self.visit.contract.source, count, **details)
