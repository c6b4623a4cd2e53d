"""A batch in the making: messages as received, in a Parquet file, with the partition and offset of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from confluent_kafka import Message

from lake.disk import room_to_write
from lake.sources.kafka.client import Offsets

SCHEMA = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp", pa.timestamp("ms", "UTC")),
        ("key", pa.binary()),
        ("headers", pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))),
        ("value", pa.binary()),
    ]
)
LAST_INSTANT = 9_223_372_036_854_775  # milliseconds: in microseconds, a greater one is no number of 64 bits
# The client leaves its error lying where a header's name is no UTF-8: called this way, it is raised there and then.
READ_HEADERS = methodcaller("headers")
GROUP_MESSAGES, GROUP_BYTES = 50_000, 8 << 20  # of one row group: fewer are cheaper to write and to read


@dataclass
class MessageFile:
    """Messages in the order in which they came. `first` and `last` are the offsets there are of each partition."""

    path: Path
    highest: Offsets
    first: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)
    message_count: int = 0
    byte_count: int = 0
    _pending: list[pa.Table] = field(default_factory=list)
    _writer: pq.ParquetWriter | None = None

    def add(self, messages: Sequence[Message]) -> Offsets:
        """Takes messages, but for those that came after the visit had begun; gives what follows them."""
        table = _table(messages)
        partitions, offsets = table["partition"].to_numpy(), table["offset"].to_numpy()
        behind = {place: int(offsets[partitions == place].max()) + 1 for place in np.unique(partitions).tolist()}
        ends = np.array([self.highest.get(partition, 0) for partition in range(max(self.highest) + 1)])
        wanted = offsets < ends[partitions]
        if not wanted.all():
            table = table.filter(pa.array(wanted))
            partitions, offsets = partitions[wanted], offsets[wanted]
        for partition in np.unique(partitions).tolist():
            mine = offsets[partitions == partition]
            self.first.setdefault(partition, int(mine[0]))
            self.last[partition] = int(mine[-1])
        self.message_count += len(table)
        self.byte_count += table.nbytes
        self._pending.append(table)
        if (
            sum(len(part) for part in self._pending) >= GROUP_MESSAGES
            or sum(part.nbytes for part in self._pending) >= GROUP_BYTES
        ):
            self._write()
        return {partition: min(offset, self.highest[partition]) for partition, offset in behind.items()}

    def close(self, topic: str) -> str:
        """Completes the file, and gives what it holds: `orders[0]@1200-1699,[2]@77-90`."""
        self._write()
        if self._writer is not None:
            with room_to_write(self.path.parent):
                self._writer.close()
        ranges = [f"[{partition}]@{self.first[partition]}-{self.last[partition]}" for partition in sorted(self.first)]
        return topic + ",".join(ranges)

    def _write(self) -> None:
        table = pa.concat_tables(self._pending) if self._pending else SCHEMA.empty_table()
        self._pending.clear()
        with room_to_write(self.path.parent):
            if self._writer is None:
                self._writer = pq.ParquetWriter(
                    self.path, SCHEMA, compression="none", use_dictionary=False, write_statistics=False
                )  # the archive compresses it
            self._writer.write_table(table)


def _table(messages: Sequence[Message]) -> pa.Table:
    headers = [_headers_of(message) for message in messages]
    columns = [
        pa.array([message.partition() for message in messages], pa.int32()),
        pa.array([message.offset() for message in messages], pa.int64()),
        _instants(messages),
        pa.array([message.key() for message in messages], pa.binary()),
        _headers(headers),
        pa.array([message.value() for message in messages], pa.binary()),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _instants(messages: Sequence[Message]) -> pa.Array:
    """Gives when messages were sent, as their senders say; null for one without a time, or beyond what any has."""
    told = pa.array([at if kind else None for kind, at in (message.timestamp() for message in messages)], pa.int64())
    is_moment = pc.and_(pc.less_equal(told, LAST_INSTANT), pc.greater_equal(told, -LAST_INSTANT))
    return pc.cast(pc.if_else(is_moment, told, None), SCHEMA.field("timestamp").type)


def _headers_of(message: Message) -> Any:
    """Gives a message's headers; None where the client cannot, as the name of one is no UTF-8."""
    try:
        return READ_HEADERS(message)
    except SystemError:
        return None


def _headers(headers: Sequence[Any]) -> pa.Array:
    kind = SCHEMA.field("headers").type
    if not any(headers):
        return pa.nulls(len(headers), kind)
    named = [[{"key": key, "value": value} for key, value in found] if found else None for found in headers]
    return pa.array(named, kind)
