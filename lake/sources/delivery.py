"""One delivery of one source: bytes in a local file, and what is known about them before they are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Compression = Literal["none", "gzip", "zstd"]
COMPRESSIONS: Mapping[str, Compression] = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}

PULL = "pull"  # the kind of a delivery that is pages of an API, one after the other

Fate = Literal["landed", "held", "refused"]


def no_settling(_fate: Fate, _why: str | None) -> None:
    """Does nothing: most sources need not hear what became of a delivery."""


@dataclass(frozen=True)
class Delivery:
    """Bytes to land. `origin` is what `_source` will say.

    `batch_id` None means that the content's digest is the id. `position` is where the source stands once this is in
    raw: it goes into the commit (watermark, offsets), and a source that has positions is landed strictly in order.
    `state` is the provider's mark of these bytes (None: the file's own). `settle` is told what became of the delivery,
    after that is in the ledger; after a crash it is told by the next run that sees the delivery again.
    """

    origin: str
    path: Path
    format: str
    compression: Compression = "none"
    kind: str = "file"
    batch_id: str | None = None
    position: Mapping[str, str] = field(default_factory=dict)
    state: str | None = None
    settle: Callable[[Fate, str | None], None] = no_settling


def compression_of(path: Path) -> Compression:
    """Gives how a file is compressed, by its name."""
    return COMPRESSIONS.get(path.suffix.lower(), "none")
