"""A batch in the making: page bodies one after the other in a file."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from lake.disk import room_to_write
from lake.errors import SourceError
from lake.sources.http.endpoint import Endpoint
from lake.sources.http.pages import BYTE_ORDER_MARK, Page
from lake.sources.visit import Visit

CHUNK_BYTES = 1 << 20


@dataclass
class Spool:
    """Bodies as received, joined by line feeds; of a CSV the header stands once. `origin` is the first page's URL."""

    path: Path
    origin: str
    endpoint: Endpoint
    _file: BinaryIO
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _pages: int = 0
    _bytes: int = 0
    _header: bytes = b""
    _end: bytes = b"\n"

    @classmethod
    def begin(cls, visit: Visit, endpoint: Endpoint, name: str, origin: str) -> Self:
        """Opens an empty file in the visit's scratch folder."""
        path = visit.scratch / f"{visit.contract.source}.{name}.{endpoint.format}"
        return cls(path, origin, endpoint, path.open("wb"))

    def takes(self, page: Page, *, is_whole: bool) -> bool:
        """Says whether a page still belongs to this batch: it is not full yet, and a CSV has the same header.

        Raises SourceError for another header in a set that must be one batch (`is_whole`), and is never full.
        """
        is_same = page.header.rstrip(b"\r\n") == self._header
        if is_whole and not is_same:
            raise SourceError(
                "page-header-changed",
                f"{page.url} has another header than the pages before it, and together they are to be one table.",
                cure="Ask the provider for one header, or set `loadMode: append` in the contract.",
            )
        is_full = self._pages >= self.endpoint.pages_per_batch or self._bytes >= self.endpoint.bytes_per_batch
        return is_whole or (is_same and not is_full)

    def add(self, page: Page) -> None:
        """Moves a page to the end, without what a file may say only once: a byte order mark, a header."""
        if self._pages and self._end != b"\n":
            self._write(b"\n")
        with page.path.open("rb") as body:
            start = body.read(len(BYTE_ORDER_MARK))
            body.seek(len(start) if start == BYTE_ORDER_MARK and self._pages else 0)
            if self._pages and page.header:
                body.seek(len(page.header), 1)
            while chunk := body.read(CHUNK_BYTES):
                self._write(chunk)
        page.path.unlink()
        self._header = page.header.rstrip(b"\r\n")
        self._pages += 1

    def close(self) -> tuple[Path, str]:
        """Gives the file and the sha256 of its bytes."""
        with room_to_write(self.path.parent):
            self._file.close()
        return self.path, self._digest.hexdigest()

    def _write(self, data: bytes) -> None:
        with room_to_write(self.path.parent):
            self._file.write(data)
        self._digest.update(data)
        self._bytes += len(data)
        self._end = data[-1:]
