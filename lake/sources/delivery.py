"""One delivery of one source: bytes in a local file, and what is known about them before they are read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from lake.contract import Contract

Compression = Literal["none", "gzip", "zstd"]
COMPRESSIONS: Mapping[str, Compression] = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}


@dataclass(frozen=True)
class Delivery:
    """Bytes to land. `origin` is what `_source` will say; `position` goes into the commit (watermark, offsets).

    `batch_id` None means that the content's digest is the id.
    """

    origin: str
    path: Path
    format: str
    compression: Compression = "none"
    kind: str = "file"
    batch_id: str | None = None
    position: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """Gives the deliveries of one contract, oldest first."""

    def __call__(self, contract: Contract, project: Path) -> Iterator[Delivery]: ...


def compression_of(path: Path) -> Compression:
    """Gives how a file is compressed, by its name."""
    return COMPRESSIONS.get(path.suffix.lower(), "none")
