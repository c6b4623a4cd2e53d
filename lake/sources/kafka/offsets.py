"""Where a visit reads on: what the lake holds against what the topic holds. Nothing is jumped over in silence."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lake.errors import SourceError
from lake.sources.kafka.client import Marks, Offsets
from lake.sources.kafka.topic import Topic

CURE = "Write the custom property 'whenOffsetsLost: earliest' to go on with what is there; the audit log keeps the gap."


@dataclass(frozen=True)
class Start:
    """Where reading begins. `lost` are the messages that cannot be read any more, as (partition, from, to before).

    `is_chosen` says that the place was not simply the lake's: it has to be written down though no message may come.
    """

    offsets: Offsets
    is_chosen: bool
    lost: tuple[tuple[int, int, int], ...] = ()
    is_remade: bool = False


def position_text(topic: Topic, cluster: str, offsets: Offsets) -> dict[str, str]:
    """Gives the place behind a delivery as the ledger keeps it."""
    return {
        "topic": topic.name,
        "cluster": cluster,
        "offsets": json.dumps({str(partition): offset for partition, offset in sorted(offsets.items())}),
    }


def read_offsets(position: Mapping[str, str]) -> dict[int, int]:
    """Gives the offsets of a position, by partition."""
    return {int(partition): offset for partition, offset in json.loads(position.get("offsets", "{}")).items()}


def find_start(topic: Topic, position: Mapping[str, str], marks: Marks) -> Start:
    """Gives where a visit begins.

    Raises SourceError when messages that were not read are gone, or the topic is not the one that was read, unless the
    contract says to go on from the earliest there is.
    """
    if position.get("topic") != topic.name:
        return Start(marks.highest if topic.starts_at_end else marks.lowest, is_chosen=topic.starts_at_end)
    known = read_offsets(position)
    remade = _remade(known, position, marks)
    if remade is not None:
        if topic.goes_on_when_lost:
            return Start(marks.lowest, is_chosen=True, is_remade=True)
        message = f"The topic {topic.name!r} is not the one that was read: {remade}."
        raise SourceError("topic-remade", message, cure=CURE)
    wanted = {partition: known.get(partition, 0) for partition in marks.lowest}  # a new partition: from its beginning
    lost = tuple(
        (partition, offset, marks.lowest[partition])
        for partition, offset in wanted.items()
        if offset < marks.lowest[partition]
    )
    if lost and not topic.goes_on_when_lost:
        raise offsets_lost(topic, lost)
    offsets = {partition: max(offset, marks.lowest[partition]) for partition, offset in wanted.items()}
    return Start(offsets, is_chosen=bool(lost), lost=lost)


def offsets_lost(topic: Topic, lost: tuple[tuple[int, int, int], ...]) -> SourceError:
    """Gives the error of messages that the topic no longer holds and the lake never read."""
    told = ", ".join(f"{topic.name}[{partition}]@{start}-{end - 1}" for partition, start, end in lost)
    return SourceError("offsets-lost", f"The topic has deleted messages that were not read: {told}.", cure=CURE)


def _remade(known: Offsets, position: Mapping[str, str], marks: Marks) -> str | None:
    """Says by what one sees that a topic was deleted and made anew, or is another cluster's; None for the same one."""
    if position["cluster"] and marks.cluster and position["cluster"] != marks.cluster:
        return f"the cluster was {position['cluster']} and is {marks.cluster}"
    for partition, offset in known.items():
        if partition not in marks.highest:
            return f"partition {partition} is gone"
        if marks.highest[partition] < offset:
            return f"partition {partition} ends at {marks.highest[partition]}, and was read up to {offset}"
    return None
