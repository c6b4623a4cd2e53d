"""How far a source is ahead of the lake: what waits at its provider and has not been read."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Lag:
    """What waits in one part of a source, such as a partition (`orders[0]`) or a replication slot."""

    part: str
    behind: int
    unit: Literal["messages", "bytes"]
