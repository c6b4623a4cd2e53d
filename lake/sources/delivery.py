"""One delivery of one source: bytes in a local file, and what is known about them before they are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lake.compression import Compression
from lake.errors import SourceError

PULL = "pull"  # the kind of a delivery that is pages of an API, one after the other
POSTED = "posted"  # the kind of one that is a segment of the spool: rows of many senders, each a JSON text on a line
STREAM = "stream"  # the kind of one that is messages of a topic
ALONE = {POSTED, STREAM}  # kinds whose records have nothing to do with each other: what one lacks, no other answers for
REPLAY = "replay"  # the kind of one that is records of an earlier delivery, which were refused then
CAPTURE = "capture"  # the kind of a delivery that is changes of a table

Fate = Literal["landed", "held", "refused"]
BATCH_ID_DIGITS = 32  # of the sha256: 128 bits, beyond any accident


@dataclass(frozen=True)
class Receipt:
    """What was received: sha256 of the bytes in hex, their number, and the state of the file when it was read."""

    digest: str
    byte_count: int
    newline_count: int
    state: tuple[int, int, int]

    @property
    def batch_id(self) -> str:
        """The id of a batch that is known by its content."""
        return self.digest[:BATCH_ID_DIGITS]

    @property
    def state_text(self) -> str:
        """The state as the ledger keeps it: inode, size, and time of change in nanoseconds."""
        return state_text(self.state)


def state_text(state: tuple[int, int, int]) -> str:
    """Gives the state of a file as text."""
    return ":".join(str(part) for part in state)


def no_settling(_fate: Fate, _why: str | None) -> None:
    """Does nothing: most sources need not hear what became of a delivery."""


def no_look() -> str | None:
    """Tells nothing: most sources hand over what nobody else can replace meanwhile."""
    return None


@dataclass(frozen=True)
class Delivery:
    """Bytes to land. `origin` is what `_source` will say.

    `batch_id` None means that the content's digest is the id. `position` is where the source stands once this is in
    raw: it goes into the commit (watermark, offsets), and a source that has positions is landed strictly in order.
    `state` is the provider's mark of these bytes (None: the file's own). `settle` is told what became of the delivery,
    after that is in the ledger; after a crash it is told by the next run that sees the delivery again. `look` gives the
    provider's mark of what stands in the same place now, None where nothing can take the place of a delivery.

    `path` is what was received and what the archive keeps. For a member of an archive `inside` is the file taken out of
    it, which is what is read. `receipt` spares reading `path` for its digest once more. A delivery with a `fault` is
    archived and refused for it.
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
    look: Callable[[], str | None] = no_look
    inside: Path | None = None
    receipt: Receipt | None = None
    fault: SourceError | None = None

    @property
    def content(self) -> Path:
        """The file whose records are read."""
        return self.path if self.inside is None else self.inside
