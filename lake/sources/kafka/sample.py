"""The newest messages of a topic, to draft a contract from; nothing is noted anywhere."""

from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import KafkaError

from lake.contract import Server
from lake.errors import SourceError
from lake.secrets import Secrets
from lake.sources.kafka.client import WAIT_SECONDS, Client, Marks, open_client
from lake.sources.kafka.message_file import MessageFile
from lake.sources.kafka.topic import topic_of

SAMPLED_MESSAGES = 10_000
AT_ONCE = 500


def sample_messages(server: Server, secrets: Secrets, path: Path) -> Path:
    """Writes the newest messages of a server's topic into a file, as a delivery has them, from every partition alike.

    Raises SourceError when there are none, or the brokers do not give them.
    """
    topic = topic_of(server, "draft")
    with open_client(topic, secrets) as client:
        marks = client.marks()
        share = max(1, SAMPLED_MESSAGES // max(1, len(marks.lowest)))
        starts = {place: max(marks.lowest[place], end - share) for place, end in marks.highest.items()}
        file = MessageFile(path, marks.highest)
        client.read_from({place: start for place, start in starts.items() if start < marks.highest[place]})
        for _ in _until_end(client, file, starts, marks):
            if file.message_count >= SAMPLED_MESSAGES:
                break
        file.close(topic.name)
    if not file.message_count:
        message = f"The topic {topic.name!r} holds no messages."
        raise SourceError("topic-empty", message, cure="Draft when there are some, or from a file of records.")
    return path


def _until_end(client: Client, file: MessageFile, starts: dict[int, int], marks: Marks) -> Iterator[None]:
    """Reads on, turn by turn, until every partition is at its end."""
    open_ = {place for place, start in starts.items() if start < marks.highest[place]}
    silence = 0.0
    while open_:
        found = client.next(AT_ONCE)
        messages = [message for message in found if message.error() is None]
        if messages:
            behind = file.add(messages)
            open_ -= {place for place, offset in behind.items() if offset >= marks.highest[place]}
        for message in found:
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                open_.discard(message.partition() or 0)
        silence = 0.0 if found else silence + WAIT_SECONDS
        if silence > client.topic.give_up_after:
            raise client.silence()
        yield
