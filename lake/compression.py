"""Compressed files as streams of plain bytes; one that was cut short or damaged is an error, never a shorter file."""

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Literal, cast

import zstandard

Compression = Literal["none", "gzip", "zstd", "bzip2", "xz"]
COMPRESSIONS: Mapping[str, Compression] = {
    ".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bzip2", ".xz": "xz",
}  # fmt: skip
UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)  # what reading a broken file raises

# Of the Zstandard format (RFC 8878): how frames and blocks begin.
ZSTD_MAGIC, SKIPPABLE_MAGIC, MAGIC_BYTES, BLOCK_HEADER_BYTES, CHECKSUM_BYTES = 0xFD2FB528, 0x184D2A5, 4, 3, 4
LONGEST_FRAME_HEADER = 18
RUN_LENGTH_BLOCK = 1


def compression_of(path: Path) -> Compression:
    """Gives how a file is compressed, by its name."""
    return COMPRESSIONS.get(path.suffix.lower(), "none")


def open_plain(path: Path, compression: Compression) -> BinaryIO:
    """Opens a file for its plain bytes; reading raises one of UNREADABLE when it is cut short or damaged."""
    if compression == "gzip":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if compression == "bzip2":
        return cast(BinaryIO, bz2.open(path, "rb"))
    if compression == "xz":
        return cast(BinaryIO, lzma.open(path, "rb"))
    if compression == "zstd":
        _expect_whole_frames(path)  # the library reads a file that was cut short as a shorter one, without a word
        return cast(BinaryIO, zstandard.open(path, "rb"))
    return path.open("rb")


def _expect_whole_frames(path: Path) -> None:
    """Goes from block to block of a Zstandard file, without unpacking; raises EOFError when one is not all there."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        while file.tell() < size:
            _skip_frame(file)
        if file.tell() != size:
            raise EOFError("the file was cut short")


def _skip_frame(file: BinaryIO) -> None:
    start = file.tell()
    head = file.read(LONGEST_FRAME_HEADER)
    if len(head) < MAGIC_BYTES * 2 - BLOCK_HEADER_BYTES:
        raise EOFError("the file was cut short")
    magic = int.from_bytes(head[:MAGIC_BYTES], "little")
    if magic >> 4 == SKIPPABLE_MAGIC:
        file.seek(start + MAGIC_BYTES * 2 + int.from_bytes(head[MAGIC_BYTES : MAGIC_BYTES * 2], "little"))
        return
    if magic != ZSTD_MAGIC:
        raise zstandard.ZstdError("no Zstandard frame where one must begin")
    file.seek(start + zstandard.frame_header_size(head))
    is_last = False
    while not is_last:
        block = file.read(BLOCK_HEADER_BYTES)
        if len(block) < BLOCK_HEADER_BYTES:
            raise EOFError("the file was cut short")
        header = int.from_bytes(block, "little")
        is_last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
        file.seek(1 if kind == RUN_LENGTH_BLOCK else length, os.SEEK_CUR)
    if zstandard.get_frame_parameters(head).has_checksum:
        file.seek(CHECKSUM_BYTES, os.SEEK_CUR)
