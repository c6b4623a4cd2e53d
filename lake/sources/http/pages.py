"""One page as it was received: how many records it holds, and what it says of the next one."""

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from lake.contract import Contract
from lake.sources.http.faults import MalformedPage

QUOTED_CHARACTERS = 120  # of an answer, in a message
PARSED_BYTES = 16 << 20  # of a JSON answer that need not be parsed for its next page
CHUNK_BYTES, START_BYTES, LONGEST_HEADER = 1 << 18, 4096, 1 << 20
LINE_FEED, QUOTE = ord("\n"), ord('"')
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DELIMITERS = ",;\t|"


class NotThere:
    """What stands where nothing stands; None is what JSON calls null."""


NOT_THERE = NotThere()


@dataclass(frozen=True)
class Page:
    """One answer in a file. `count` is how many records it holds.

    `body` is the parsed JSON and `records` those found in it, both None for other formats; `header` is the first line
    of a CSV, line end included. `url` is where it came from, without secrets, `answer` the headers that came with it,
    `digest` the sha256 of its bytes.
    """

    path: Path
    url: httpx.URL
    answer: httpx.Headers
    digest: str
    count: int
    body: Any = None
    records: Any = None
    header: bytes = b""

    def value(self, path: str) -> Any:
        """Gives what stands at the end of some keys joined by points, NOT_THERE when nothing does."""
        return walk(self.body, path)

    def is_same(self, other: "Page") -> bool:
        """Says whether two pages hold the same records, whatever stands around them."""
        return self.digest == other.digest if self.records is None else bool(self.records == other.records)


def walk(body: Any, path: str) -> Any:
    """Follows keys, or places in a list, through parsed JSON; gives NOT_THERE where they lead nowhere."""
    found = body
    for key in path.split(".") if path else ():
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            return NOT_THERE
    return found


def read_page(contract: Contract, path: Path, url: httpx.URL, answer: httpx.Headers) -> Page:
    """Reads one received page; raises MalformedPage when it is none.

    Only JSON is taken into memory, for what it says of the next page; an answer without paging that is larger than
    that is worth is left to the landing, which reads it in pieces.
    """
    options = contract.server.options
    scan = _scan(path, is_quoted=contract.server.format == "csv")
    malformed = _malformed_of(path, url, scan.start)
    if contract.server.format == "json":
        if options.get("paging", "none") == "none" and scan.byte_count > PARSED_BYTES:
            return Page(path, url, answer, scan.digest, count=1)
        body, records = _json(path.read_bytes(), options.get("recordPath", ""), malformed)
        return Page(path, url, answer, scan.digest, len(records), body, records)
    if contract.server.format == "jsonl":
        if scan.start.strip() and not scan.start.lstrip().startswith(b"{"):
            raise malformed("does not begin with a JSON object")
        return Page(path, url, answer, scan.digest, scan.line_count if scan.start.strip() else 0)
    header = _csv_header(contract, path, malformed)
    return Page(path, url, answer, scan.digest, max(0, scan.line_count - bool(header)), header=header)


@dataclass(frozen=True)
class _Scan:
    """What one pass over a page tells: `start` its first bytes, `line_count` its lines, those inside quotes not."""

    digest: str
    byte_count: int
    line_count: int
    start: bytes


def _scan(path: Path, *, is_quoted: bool) -> _Scan:
    digest, byte_count, line_feeds, is_open, start, end = hashlib.sha256(), 0, 0, False, b"", b"\n"
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            start = start or chunk[:START_BYTES].removeprefix(BYTE_ORDER_MARK)
            text = np.frombuffer(chunk, np.uint8)
            inside = (np.cumsum(text == QUOTE) + is_open) % 2 == 1 if is_quoted else np.zeros(len(text), bool)
            line_feeds += int(np.count_nonzero((text == LINE_FEED) & ~inside))
            byte_count, is_open, end = byte_count + len(chunk), bool(inside[-1]), chunk[-1:]
    return _Scan(digest.hexdigest(), byte_count, line_feeds + (end != b"\n"), start)


Malformed = Callable[[str], MalformedPage]


def _malformed_of(path: Path, url: httpx.URL, data: bytes) -> Malformed:
    def malformed(found: str) -> MalformedPage:
        start = data[:QUOTED_CHARACTERS].decode("utf-8", errors="replace")
        return MalformedPage(
            "api-page-malformed",
            f"{url} {found}; it begins {' '.join(start.split())!r}",
            cure="Its bytes are kept as a refused batch. Ask the provider, or mend `format` or `recordPath`.",
            page=path,
        )

    return malformed


def _json(data: bytes, record_path: str, malformed: Malformed) -> tuple[Any, list[Any]]:
    try:
        body = json.loads(data.removeprefix(BYTE_ORDER_MARK), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise malformed(f"is no JSON ({type(error).__name__}: {str(error)[:QUOTED_CHARACTERS]})") from error
    found = walk(body, record_path)
    if found is None:
        return body, []
    if isinstance(found, list | dict):
        return body, found if isinstance(found, list) else [found]
    keys = f"its keys are {', '.join(list(body)[:8])}" if isinstance(body, dict) else f"it is a {type(body).__name__}"
    what = "nothing" if found is NOT_THERE else f"a {type(found).__name__}"
    raise malformed(f"has {what} where its records should be ({record_path or 'the whole body'!r}); {keys}")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _csv_header(contract: Contract, path: Path, malformed: Malformed) -> bytes:
    """Gives the header line; an answer without any column of the contract is no page but an error in words."""
    if path.stat().st_size == 0 or contract.server.options.get("header") == "false":
        return b""
    with path.open("rb") as file:
        header = file.readline(LONGEST_HEADER).removeprefix(BYTE_ORDER_MARK)
    encoding = contract.server.options.get("encoding", "utf-8")
    text = header.decode(encoding, errors="replace").strip()
    expected = {column.source_name for column in contract.columns}
    delimiters = contract.server.options.get("delimiter", DELIMITERS)
    if not any(
        expected & {name.strip() for name in next(csv.reader([text], delimiter=mark), [])} for mark in delimiters
    ):
        raise malformed("has no header with a column of the contract")
    return header
