"""Bodies of requests: a record, an array or JSON lines becomes rows, each the very text that was sent, on one line."""

import json
import re
import zlib
from collections.abc import Callable, Sequence
from json.scanner import make_scanner
from typing import Any

from lake.errors import SourceError

JSON_TYPES = ("application/json", "text/json")
LINES_TYPES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines", "application/jsonlines")
UNTOLD_TYPES = ("application/x-www-form-urlencoded", "text/plain", "application/octet-stream")  # of clients left alone
GZIP_WINDOW = 31  # zlib's way to say: with a gzip header
PIECE_BYTES = 4096
BLANKS = " \t\r\n"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
Scan = Callable[[str, int], tuple[Any, int]]  # a value and where it ends
BLANK, SEPARATOR = re.compile(rf"[{BLANKS}]*"), re.compile(rf"[{BLANKS}]*([,\]])[{BLANKS}]*")
SCAN = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]  # typeshed has it take itself
# Slower, and takes numbers of any length.
PATIENT_SCAN = make_scanner(json.JSONDecoder(parse_int=str, parse_float=str))  # type: ignore[arg-type]


def unzip_body(packed: bytes, most_bytes: int) -> bytes:
    """Gives a gzipped body unpacked; raises SourceError when it is none, or unpacks to more than is taken."""
    try:
        return _unzipped(packed, most_bytes)
    except zlib.error as error:
        raise SourceError(
            "body-not-gzip",
            f"The body says it is gzip, and cannot be unpacked: {error}.",
            cure="Send it whole, or without 'Content-Encoding: gzip'.",
        ) from error


def _unzipped(packed: bytes, most_bytes: int) -> bytes:
    """Gives what all members of a gzip hold; in small pieces, for what follows a member is copied at its end."""
    found, stream = bytearray(), zlib.decompressobj(GZIP_WINDOW)
    for start in range(0, len(packed), PIECE_BYTES):
        piece = packed[start : start + PIECE_BYTES]
        while piece:
            if stream.eof:
                stream = zlib.decompressobj(GZIP_WINDOW)
            found += stream.decompress(piece, most_bytes + 1 - len(found))
            if len(found) > most_bytes:
                raise too_large(most_bytes)
            piece = stream.unused_data or stream.unconsumed_tail
    if packed and not stream.eof:
        raise zlib.error("it ends too early")
    return bytes(found)


def split_body(body: bytes, media_type: str, most_rows: int) -> Sequence[bytes]:
    """Gives the rows of a body, each on one line; `media_type` "" means that the body itself tells what it is.

    A row of JSON lines that is no JSON is a row as well. Raises SourceError for a body that is not in UTF-8, no JSON as
    a whole, empty, of a type that is not taken, or of more rows than are.
    """
    is_untold = media_type in UNTOLD_TYPES and body.lstrip()[:1] in (b"{", b"[")
    if not is_untold and media_type not in ("", *JSON_TYPES, *LINES_TYPES):
        raise SourceError(
            "media-type-unfit",
            f"The body is of type '{media_type}', which is not taken.",
            cure="Send 'Content-Type: application/json', or 'application/x-ndjson' for a record a line.",
        )
    body = body.removeprefix(BYTE_ORDER_MARK)
    text = _text_of(body)
    rows = _split_lines(body) if media_type in LINES_TYPES else _split_json(text, body, most_rows)
    if len(rows) > most_rows:
        raise too_many_rows(most_rows)
    if not rows:
        raise SourceError(
            "body-empty", "The body holds no record.", cure="Send one record, an array, or a record a line."
        )
    return rows


def too_large(most_bytes: int) -> SourceError:
    """Gives the error of a body beyond the limit."""
    return SourceError(
        "body-too-large",
        f"The body is larger than the {most_bytes:,} bytes that are taken at once.",
        cure="Send it in parts; or raise `maxBodyBytes` of the server in the contract.",
    )


def too_many_rows(most: int) -> SourceError:
    """Gives the error of a body with more rows than the limit."""
    return SourceError(
        "rows-too-many",
        f"The body holds more than the {most:,} rows that are taken at once.",
        cure="Send them in parts; or raise `maxRows` of the server in the contract.",
    )


def _text_of(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise SourceError(
            "body-not-utf8",
            f"The body is not in UTF-8: byte {error.start + 1} is none of it.",
            cure="JSON is always in UTF-8; encode it so.",
        ) from error


def _split_lines(body: bytes) -> Sequence[bytes]:
    return [line for line in (part.strip() for part in body.split(b"\n")) if line]


def _split_json(text: str, body: bytes, most_rows: int) -> Sequence[bytes]:
    """Gives the elements of an array, or the one record; records one after the other on lines of their own, too."""
    start = _end_of_blanks(text, 0)
    is_array = text.startswith("[", start)
    if not text[start:]:
        return []
    try:
        try:
            elements = _values(text, start, is_array, SCAN, most_rows)
        except json.JSONDecodeError:
            raise
        except ValueError:  # a number longer than Python reads
            elements = _values(text, start, is_array, PATIENT_SCAN, most_rows)
    except (ValueError, RecursionError) as error:
        if is_array or not _begins_with_a_line(text[start:]):
            raise _not_json(error) from error
        return _split_lines(body)
    return _on_lines(elements) if "\n" in text or "\r" in text else [element.encode() for element in elements]


def _begins_with_a_line(text: str) -> bool:
    """Says whether the first of several lines is a whole value, so that a broken one spoils its own line alone."""
    first, _, more = text.rstrip(BLANKS).partition("\n")
    try:
        return bool(more) and PATIENT_SCAN(first, 0)[1] == len(first.rstrip(BLANKS))
    except (ValueError, StopIteration, RecursionError):
        return False


def _values(text: str, start: int, is_array: bool, scan: Scan, most_rows: int) -> list[str]:
    """Gives the text of the one value, or of each of an array, as it was written: only its end is looked for."""
    try:
        if is_array:
            elements, end = _elements(text, start, scan, most_rows)
        else:
            _, end = scan(text, start)
            elements = [text[start:end]]
    except StopIteration as stopped:
        raise json.JSONDecodeError("Expecting value", text, stopped.value) from stopped
    if text[end:].strip(BLANKS):
        raise json.JSONDecodeError("Extra data", text, end)
    return elements


def _elements(text: str, start: int, scan: Scan, most_rows: int) -> tuple[list[str], int]:
    at, elements, find = _end_of_blanks(text, start + 1), list[str](), SEPARATOR.match
    if text.startswith("]", at):
        return elements, at + 1
    while True:
        _, end = scan(text, at)
        elements.append(text[at:end])
        if len(elements) > most_rows:
            raise too_many_rows(most_rows)
        found = find(text, end)
        if found is None:
            raise json.JSONDecodeError("Expecting ',' or ']'", text, end)
        at = found.end()
        if found[1] == "]":
            return elements, at


def _end_of_blanks(text: str, at: int) -> int:
    found = BLANK.match(text, at)
    return at if found is None else found.end()


def _on_lines(elements: Sequence[str]) -> Sequence[bytes]:
    """Gives each JSON text on one line; line feeds stand between its parts only, never inside a text."""
    return [element.replace("\n", " ").replace("\r", " ").encode() for element in elements]


def _not_json(error: Exception) -> SourceError:
    place = f"line {error.lineno}, column {error.colno}: " if isinstance(error, json.JSONDecodeError) else ""
    what = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
    return SourceError(
        "body-not-json",
        f"The body is no JSON as a whole: {place}{what}. Nothing of it was kept.",
        cure="Mend it; or send a record a line as 'application/x-ndjson', where one bad record spoils no other.",
    )
