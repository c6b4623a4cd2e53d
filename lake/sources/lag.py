"""How far a source is ahead of the lake: what waits at its provider and has not been read."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Lag:
    """What waits in one part of a source, such as a partition (`orders[0]`) or a replication slot.

    `oldest_seconds` is how long it has waited, by the provider's clock; None where that is not known.
    """

    part: str
    behind: int
    unit: Literal["messages", "bytes"]
    oldest_seconds: float | None = None
