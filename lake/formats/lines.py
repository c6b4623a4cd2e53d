"""Lines of a file as Arrow: found by their line feeds, chunk by chunk, without a loop over lines."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.archive import WorkingFile
from lake.engine import Session, quote

CHUNK_BYTES = 16 << 20
LINE_FEED = 10
TEXT_BUFFER = 2  # of an Arrow string array: validity, offsets, text
LINES = pa.schema([("line", pa.int64()), ("text", pa.large_string())])


def line_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Gives the lines of a UTF-8 file, numbered from 1, without their line ends; bad bytes become U+FFFD."""
    rest, line = b"", 1
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            data = rest + chunk
            cut = data.rfind(b"\n") + 1
            rest = data[cut:]
            if cut:
                texts = _split(data[:cut])
                yield _numbered(texts, line)
                line += len(texts)
    if rest:
        yield _numbered(_split(rest + b"\n"), line)


def load_lines(session: Session, path: Path, table: str) -> None:
    """Creates a table (`line`, `text`) of a file's lines."""
    reader = pa.RecordBatchReader.from_batches(LINES, line_batches(path))
    session.create_from(table, reader)


def pick_lines(file: WorkingFile, lines: pa.ChunkedArray) -> pa.Table:
    """Gives the lines with the given ascending numbers, as a table (`line`, `text`)."""
    wanted = lines.to_numpy()
    picked = [
        batch.filter(pa.array(np.isin(batch["line"].to_numpy(), wanted)))
        for batch in line_batches(file.path)
        if np.searchsorted(wanted, batch["line"][0].as_py())
        < np.searchsorted(wanted, batch["line"][-1].as_py(), "right")
    ]
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


def _split(data: bytes) -> pa.Array:
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == LINE_FEED).astype(np.int64)
    offsets = np.concatenate(([0], ends + 1))
    whole = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(ends), [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)]
    )
    try:
        texts = whole.cast(pa.large_string())
    except pa.ArrowInvalid:
        return _split(data.decode("utf-8", errors="replace").encode())
    return pc.utf8_rtrim(texts, "\r\n")


def _numbered(texts: pa.Array, first: int) -> pa.RecordBatch:
    numbers = pa.array(np.arange(first, first + len(texts), dtype=np.int64))
    return pa.RecordBatch.from_arrays([numbers, texts], schema=LINES)
