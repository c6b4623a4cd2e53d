"""Lines of a file as Arrow: found by their line feeds, chunk by chunk, without a loop over lines."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.archive import WorkingFile
from lake.engine import Session, quote

CHUNK_BYTES = 1 << 20  # fits the cache: four times as fast as 16 MiB
LINE_FEED = 10
TEXT_BUFFER = 2  # of an Arrow string array: validity, offsets, text
LINES = pa.schema([("line", pa.int64()), ("text", pa.large_string())])


def line_batches(path: Path, ends: str = "\r\n") -> Iterator[pa.RecordBatch]:
    """Gives the lines of a UTF-8 file, numbered from 1, without their line ends; bad bytes become U+FFFD."""
    for first, lines in _chunked_lines(path):
        numbers = pa.array(np.arange(first, first + len(lines), dtype=np.int64))
        yield pa.RecordBatch.from_arrays([numbers, _texts(lines, ends)], schema=LINES)


def load_lines(session: Session, path: Path, table: str, ends: str = "\r\n") -> None:
    """Creates a table (`line`, `text`) of a file's lines, without the characters in `ends` that end them."""
    reader = pa.RecordBatchReader.from_batches(LINES, line_batches(path, ends))
    session.create_from(table, reader)


def pick_lines(file: WorkingFile, lines: pa.ChunkedArray) -> pa.Table:
    """Gives the lines with the given ascending numbers, as a table (`line`, `text`)."""
    wanted = lines.to_numpy()
    picked = []
    for first, found in _chunked_lines(file.path):
        here = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, first + len(found))]
        if len(here):
            texts = _texts(found.take(pa.array(here - first)))
            picked.append(pa.RecordBatch.from_arrays([pa.array(here), texts], schema=LINES))
    return pa.Table.from_batches(picked, LINES)


def write_texts(target: Path, header: bytes, texts: Iterator[pa.Array]) -> None:
    """Writes texts one after the other, each on a line of its own, after a header; a batch at a time."""
    with target.open("wb") as out:
        out.write(header)
        for batch in texts:
            end, nothing = pa.scalar("\n", pa.large_string()), pa.scalar("", pa.large_string())
            ended = pc.binary_join_element_wise(batch.cast(pa.large_string()), end, nothing)
            out.write(ended.buffers()[TEXT_BUFFER] or b"")


def json_of(columns: tuple[str, ...]) -> str:
    """Gives SQL for a JSON object of the given text columns, under their received names."""
    pairs = ", ".join(f"'{name.replace(chr(39), chr(39) * 2)}', {quote(name)}" for name in columns)
    return f"cast(json_object({pairs}) as varchar)"


def _chunked_lines(path: Path) -> Iterator[tuple[int, pa.LargeBinaryArray]]:
    """Gives the number of the first line and the lines, line ends included, of one chunk after the other."""
    rest, first = b"", 1
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            data = rest + chunk
            cut = data.rfind(b"\n") + 1
            rest = data[cut:]
            if cut:
                lines = _split(data[:cut])
                yield first, lines
                first += len(lines)
    if rest:
        yield first, _split(rest + b"\n")


def _split(data: bytes) -> pa.LargeBinaryArray:
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == LINE_FEED).astype(np.int64)
    offsets = np.concatenate(([0], ends + 1))
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends), buffers)


def _texts(lines: pa.LargeBinaryArray, ends: str = "\r\n") -> pa.Array:
    """Gives lines as text without their line ends."""
    try:
        texts = lines.cast(pa.large_string())
    except pa.ArrowInvalid:
        whole = pc.binary_join_element_wise(lines, pa.scalar(b"", pa.large_binary()), pa.scalar(b"", pa.large_binary()))
        data = (whole.buffers()[TEXT_BUFFER] or pa.py_buffer(b"")).to_pybytes()
        return _texts(_split(data.decode("utf-8", errors="replace").encode()), ends)
    return pc.utf8_rtrim(texts, ends)
