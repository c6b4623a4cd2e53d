"""Bodies of requests: a record, an array or JSON lines becomes rows, each the very text that was sent, on one line."""

import json
import zlib
from collections.abc import Iterator, Sequence

from lake.errors import SourceError

JSON_TYPES = ("application/json", "text/json")
LINES_TYPES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines", "application/jsonlines")
UNTOLD_TYPES = ("application/x-www-form-urlencoded", "text/plain", "application/octet-stream")  # of clients left alone
GZIP_WINDOW = 31  # zlib's way to say: with a gzip header
BLANKS = " \t\r\n"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DECODER = json.JSONDecoder()


def unzip_body(packed: bytes, most_bytes: int) -> bytes:
    """Gives a gzipped body unpacked; raises SourceError when it is none, or unpacks to more than is taken."""
    found, rest = b"", packed
    try:
        while rest:
            stream = zlib.decompressobj(GZIP_WINDOW)
            found += stream.decompress(rest, most_bytes + 1 - len(found))
            if len(found) > most_bytes:
                raise too_large(most_bytes)
            if not stream.eof:
                raise zlib.error("it ends too early")
            rest = stream.unused_data
    except zlib.error as error:
        raise SourceError(
            "body-not-gzip",
            f"The body says it is gzip, and cannot be unpacked: {error}.",
            cure="Send it whole, or without 'Content-Encoding: gzip'.",
        ) from error
    return found


def split_body(body: bytes, media_type: str) -> Sequence[bytes]:
    """Gives the rows of a body, each on one line; `media_type` "" means that the body itself tells what it is.

    A row of JSON lines that is no JSON is a row as well. Raises SourceError for a body that is not in UTF-8, no JSON as
    a whole, empty, or of a type that is not taken.
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
    rows = _split_lines(body) if media_type in LINES_TYPES else _split_json(text, body)
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


def too_many_rows(count: int, most: int) -> SourceError:
    """Gives the error of a body with more rows than the limit."""
    return SourceError(
        "rows-too-many",
        f"The body holds {count:,} rows, and {most:,} are taken at once.",
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


def _split_json(text: str, body: bytes) -> Sequence[bytes]:
    """Gives the elements of an array, or the one record; records one after the other on lines of their own, too."""
    start = _skip(text, 0)
    if text[start : start + 1] == "[":
        return [_on_one_line(element) for element in _elements(text, start)]
    if not text[start:]:
        return []
    try:
        _, end = DECODER.raw_decode(text, start)
        if not text[end:].strip(BLANKS):
            return [_on_one_line(text[start:end])]
    except (ValueError, RecursionError) as error:
        if "\n" not in text.strip(BLANKS):
            raise _not_json(error) from error
    return _split_lines(body)


def _elements(text: str, start: int) -> Iterator[str]:
    """Gives the text of each element of an array, as it was written: no number is read and written anew."""
    at = _skip(text, start + 1)
    try:
        if text[at : at + 1] == "]":
            at += 1
        else:
            while True:
                _, end = DECODER.raw_decode(text, at)
                yield text[at:end]
                end = _skip(text, end)
                at = _skip(text, end + 1)
                if text[end : end + 1] == "]":
                    break
                if text[end : end + 1] != ",":
                    raise json.JSONDecodeError("Expecting ',' or ']'", text, end)
        if text[at:].strip(BLANKS):
            raise json.JSONDecodeError("Extra data", text, at)
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from error


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in ("\n", " ", "\t", "\r"):
        at += 1
    return at


def _on_one_line(text: str) -> bytes:
    """Gives JSON on one line; line feeds stand between its parts only, never inside a text."""
    return (text.replace("\n", " ").replace("\r", " ") if "\n" in text or "\r" in text else text).encode()


def _not_json(error: Exception) -> SourceError:
    place = f"line {error.lineno}, column {error.colno}: " if isinstance(error, json.JSONDecodeError) else ""
    what = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
    return SourceError(
        "body-not-json",
        f"The body is no JSON as a whole: {place}{what}. Nothing of it was kept.",
        cure="Mend it; or send a record a line as 'application/x-ndjson', where one bad record spoils no other.",
    )
