"""A batch in the making: rows as they come, in a Parquet file, and digests of the pieces they came in."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lake.disk import room_to_write

DIGEST_DIGITS = 16  # of the sha256 of a piece's rows: enough to see that they are those of before
COMPRESSION, LEVEL = "zstd", 1


@dataclass(frozen=True)
class Piece:
    """Rows that were read one after the other: the `index`-th piece of the range `label`."""

    label: str
    index: int
    digest: str


@dataclass
class Spool:
    """A Parquet file that grows; `pieces` are those that are in it whole.

    Each begins under a name of `paths` that was not there before: the engine remembers what stood under a name.
    """

    paths: Iterator[Path]
    path: Path = field(init=False)
    pieces: list[Piece] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    _writer: pq.ParquetWriter | None = None

    def __post_init__(self) -> None:
        self.path = next(self.paths)

    def add(self, batch: pa.RecordBatch) -> None:
        """Writes rows; raises SettingsError when the disk is full."""
        with room_to_write(self.path.parent):
            if self._writer is None:
                self._writer = pq.ParquetWriter(
                    self.path, batch.schema, compression=COMPRESSION, compression_level=LEVEL
                )
            if batch.num_rows:
                self._writer.write_batch(batch)
        self.rows += batch.num_rows
        self.bytes += batch.nbytes

    def close(self) -> Path:
        """Gives the file, complete."""
        if self._writer is not None and self._writer.is_open:
            with room_to_write(self.path.parent):
                self._writer.close()
        return self.path

    def discard(self) -> None:
        """Removes the file and begins anew; one that cannot be completed, as the disk is full, goes as well."""
        self.pieces, self.rows, self.bytes = [], 0, 0
        writer, self._writer = self._writer, None
        with suppress(OSError):
            if writer is not None and writer.is_open:
                writer.close()
        self.path.unlink(missing_ok=True)
        self.path = next(self.paths)


class PieceDigest:
    """The digest of the rows of a piece, whatever file they are written to."""

    def __init__(self) -> None:
        self.rows = 0
        self._digest = hashlib.sha256()

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes rows in."""
        if not self.rows:
            self._digest.update(batch.schema.serialize())
        self._digest.update(batch.serialize())
        self.rows += batch.num_rows

    def __str__(self) -> str:
        return self._digest.hexdigest()[:DIGEST_DIGITS]


def cut(batches: Iterable[pa.RecordBatch], most_rows: int, most_bytes: int) -> Iterator[tuple[pa.RecordBatch, bool]]:
    """Gives batches, smaller ones where a piece is full, each with whether a piece ends with it."""
    rows = size = 0
    for received in batches:
        rest = received
        while rest is not None:
            batch = rest.slice(0, most_rows - rows)
            rest = rest.slice(batch.num_rows) if batch.num_rows < rest.num_rows else None
            rows, size = rows + batch.num_rows, size + batch.nbytes
            is_full = rows >= most_rows or size >= most_bytes
            rows, size = (0, 0) if is_full else (rows, size)
            yield batch, is_full
