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
    """Reads one received page; raises MalformedPage when it is none."""
    data = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    digest = hashlib.sha256(data).hexdigest()
    fault = _fault_of(path, url, data)
    if contract.server.format == "json":
        body, records = _json(data, contract.server.options.get("recordPath", ""), fault)
        return Page(path, url, answer, digest, len(records), body, records)
    if contract.server.format == "jsonl":
        return Page(path, url, answer, digest, _count_json_lines(data, fault))
    header = _csv_header(contract, data, fault)
    return Page(path, url, answer, digest, max(0, _count_lines(data) - bool(header)), header=header)


Fault = Callable[[str], MalformedPage]


def _fault_of(path: Path, url: httpx.URL, data: bytes) -> Fault:
    def fault(found: str) -> MalformedPage:
        start = data[:QUOTED_CHARACTERS].decode("utf-8", errors="replace")
        return MalformedPage(
            "api-page-malformed",
            f"{url} {found}; it begins {' '.join(start.split())!r}",
            cure="Its bytes are kept as a refused batch. Ask the provider, or mend `format` or `recordPath`.",
            page=path,
        )

    return fault


def _json(data: bytes, record_path: str, fault: Fault) -> tuple[Any, list[Any]]:
    try:
        body = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise fault(f"is no JSON ({type(error).__name__}: {str(error)[:QUOTED_CHARACTERS]})") from error
    found = walk(body, record_path)
    if found is None:
        return body, []
    if isinstance(found, list | dict):
        return body, found if isinstance(found, list) else [found]
    keys = f"its keys are {', '.join(list(body)[:8])}" if isinstance(body, dict) else f"it is a {type(body).__name__}"
    what = "nothing" if found is NOT_THERE else f"a {type(found).__name__}"
    raise fault(f"has {what} where its records should be ({record_path or 'the whole body'!r}); {keys}")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _count_json_lines(data: bytes, fault: Fault) -> int:
    text = data.strip()
    if text and not text.startswith(b"{"):
        raise fault("does not begin with a JSON object")
    return text.count(b"\n") + 1 if text else 0


def _csv_header(contract: Contract, data: bytes, fault: Fault) -> bytes:
    """Gives the header line; an answer without any column of the contract is no page but an error in words."""
    if not data or contract.server.options.get("header") == "false":
        return b""
    header = data[: data.find(b"\n") + 1] or data
    encoding = contract.server.options.get("encoding", "utf-8")
    text = header.decode(encoding, errors="replace").strip()
    expected = {column.source_name for column in contract.columns}
    delimiters = contract.server.options.get("delimiter", DELIMITERS)
    if not any(
        expected & {name.strip() for name in next(csv.reader([text], delimiter=mark), [])} for mark in delimiters
    ):
        raise fault("has no header with a column of the contract")
    return header


def _count_lines(data: bytes) -> int:
    """Counts lines as CSV does: a line feed inside quotes ends none."""
    text = np.frombuffer(data.rstrip(b"\r\n"), np.uint8)
    if not len(text):
        return 0
    outside = np.cumsum(text == QUOTE) % 2 == 0
    return int(np.count_nonzero((text == LINE_FEED) & outside)) + 1
