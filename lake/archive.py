"""Everything received, as received: compressed, named by its digest, never changed.

The working file is what is read: the received file itself, or a decompressed copy in UTF-8 in the session's scratch
folder.
"""

import codecs
import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from lake.archive_places import open_archive
from lake.compression import UNREADABLE, Compression, open_plain
from lake.disk import is_no_room, room_to_write
from lake.errors import SourceError, TableError
from lake.sources.delivery import Delivery, Receipt, state_text
from lake.table_versions import Store

CHUNK_BYTES = 1 << 20
ZSTD_LEVEL = 1  # of zstd's levels the fastest: the archive is written on the landing path, and read hardly ever
UTF8_NAMES = {"utf-8", "utf8", "utf-8-sig", "ascii", "us-ascii"}
BINARY_FORMATS = {
    "messages",
    "parquet",
    "xlsx",
    "xlsb",
    "xls",
    "ods",
}  # these have no encoding, whatever the contract says of texts


@dataclass(frozen=True)
class WorkingFile:
    """Plain bytes to read: `newline_count` line feeds, and whether the last line has one."""

    path: Path
    byte_count: int
    newline_count: int
    ends_with_newline: bool

    @property
    def line_count(self) -> int:
        """How many lines there are, a last one without line feed included."""
        return self.newline_count + (0 if self.ends_with_newline or self.byte_count == 0 else 1)


def receive(delivery: Delivery) -> Receipt:
    """Reads a delivery once, for its digest; one that brings its receipt is not read."""
    if delivery.receipt is not None:
        return delivery.receipt
    digest, byte_count, newline_count = hashlib.sha256(), 0, 0
    with _opened(delivery.path) as file, ThreadPoolExecutor(1) as hasher:
        state = _state(file)
        hashed = hasher.submit(digest.update, b"")
        for chunk in _chunks(file):  # the next chunk is read and counted while this one is hashed
            byte_count += len(chunk)
            newline_count += chunk.count(b"\n")
            hashed.result()
            hashed = hasher.submit(digest.update, chunk)
        hashed.result()
    return Receipt(digest.hexdigest(), byte_count, newline_count, state)


def file_state(path: Path) -> str:
    """Gives the state of a file as `Receipt.state_text` does, without reading it."""
    with _opened(path) as file:
        return state_text(_state(file))


def keep(delivery: Delivery, receipt: Receipt, store: Store) -> None:
    """Puts a delivery's bytes into the archive, durably; what is there already stays.

    Raises SourceError when the file is not the one that was received any more; then nothing is kept.
    """
    place = open_archive(store)
    if not place.has(receipt.digest):
        with room_to_write(Path(store.uri)):
            place.put(receipt.digest, _packed(delivery, receipt))


def is_kept(receipt: Receipt, store: Store) -> bool:
    """Says whether the archive has what was received."""
    return open_archive(store).has(receipt.digest)


def fetch(store: Store, digest: str, target: Path) -> Path:
    """Brings archived bytes back, as received, into a file; raises TableError when the archive lacks them."""
    try:
        source = open_archive(store).packed(digest, target.parent)
    except FileNotFoundError as error:
        message = f"The archive holds no bytes of {digest}."
        raise TableError("archive-missing", message, cure="Was the lake moved?") from error
    with room_to_write(target.parent), source.open("rb") as packed, target.open("wb") as out:
        zstandard.ZstdDecompressor().copy_stream(packed, out)
    return target


def make_working_file(delivery: Delivery, receipt: Receipt, scratch: Path, encoding: str) -> WorkingFile:
    """Gives plain UTF-8 bytes to read: the received file itself where it is that already, else a copy."""
    with _opened(delivery.content) as file:
        start = file.read(4)
    is_text = delivery.format not in BINARY_FORMATS
    wide = is_text and start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    recoded = wide or (is_text and encoding.lower() not in UTF8_NAMES)
    if delivery.compression == "none" and not recoded:
        if delivery.inside is not None:
            return measure_file(delivery.inside)
        return WorkingFile(delivery.path, receipt.byte_count, receipt.newline_count, _ends_with_newline(delivery.path))
    target = scratch / f"{receipt.digest[:16]}.plain"
    with room_to_write(scratch), closing(_plain_stream(delivery)) as stream, target.open("wb") as out:
        if recoded:
            _recode(stream, out, "utf-16" if wide else encoding, delivery)
        else:
            _copy(stream, out, delivery)
    return measure_file(target)


def measure_file(path: Path) -> WorkingFile:
    """Gives a plain file with its lines counted."""
    with path.open("rb") as file:
        newline_count = sum(chunk.count(b"\n") for chunk in _chunks(file))
    return WorkingFile(path, path.stat().st_size, newline_count, _ends_with_newline(path))


def check_unchanged(delivery: Delivery, receipt: Receipt) -> None:
    """Raises SourceError when the received file was written to since its digest was taken."""
    with _opened(delivery.path) as file:
        if _state(file) != receipt.state:
            raise _changed(delivery)


def _packed(delivery: Delivery, receipt: Receipt) -> Iterator[bytes]:
    """Gives a delivery's bytes compressed, piece by piece; raises at the end when the file was changed."""
    with _opened(delivery.path) as file:
        yield from zstandard.ZstdCompressor(level=ZSTD_LEVEL).read_to_iter(
            file, read_size=CHUNK_BYTES, write_size=CHUNK_BYTES
        )
        if _state(file) != receipt.state:
            raise _changed(delivery)


def _plain_stream(delivery: Delivery) -> BinaryIO:
    try:
        return open_plain(delivery.content, delivery.compression)
    except UNREADABLE as error:
        raise _unreadable(delivery, delivery.compression, error) from error


def _copy(stream: BinaryIO, out: BinaryIO, delivery: Delivery) -> None:
    try:
        shutil.copyfileobj(stream, out, CHUNK_BYTES)
    except UNREADABLE as error:
        if is_no_room(error):
            raise
        raise _unreadable(delivery, delivery.compression, error) from error


def _recode(stream: BinaryIO, out: BinaryIO, encoding: str, delivery: Delivery) -> None:
    try:
        decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        for chunk in _chunks(stream):
            out.write(decoder.decode(chunk).encode())
        out.write(decoder.decode(b"", final=True).encode())
    except (*UNREADABLE, LookupError) as error:
        if is_no_room(error):
            raise
        raise _unreadable(delivery, encoding, error) from error


def _unreadable(delivery: Delivery, how: Compression | str, error: Exception) -> SourceError:
    return SourceError(
        "file-unreadable",
        f"{delivery.origin} cannot be read as {how}: {error}.",
        cure="Deliver it whole again, or mend its name's ending or the contract's encoding.",
    )


def _changed(delivery: Delivery) -> SourceError:
    return SourceError(
        "file-changed",
        f"{delivery.origin} was written to while it was being read.",
        cure="Deliver files under another name and rename them when they are complete; then run again.",
    )


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise SourceError(
            "file-unreadable",
            f"{path} cannot be opened: {error.strerror}.",
            cure="Check that it exists and is readable.",
        ) from error


def _state(file: BinaryIO) -> tuple[int, int, int]:
    found = os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
