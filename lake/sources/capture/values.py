"""Values that PostgreSQL writes in a way of its own, as contracts read them; all others land as they are written."""

import json
import re
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

BOOLEAN, MONEY, BLANK_PADDED = 16, 790, 1042  # the oids of types
NUMBERS = frozenset({1005, 1007, 1016, 1021, 1022, 1231, 1028})  # the type oids of arrays of numbers
BOOLEANS = 1000
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([{},])|((?:[^{},"\\]|\\.)+)', re.DOTALL)
BOUNDS = re.compile(r"(\[-?\d+:-?\d+\])+=")  # an array that does not begin at 1 says so first
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def convert(texts: pa.Array, kind: int) -> pa.Array:
    """Gives values of a type as they land: true and false in full, money bare, char(n) without blanks, arrays JSON."""
    if kind == BOOLEAN:
        no = pc.if_else(pc.equal(texts, "f"), "false", texts)
        return pc.if_else(pc.equal(texts, "t"), "true", no)
    if kind == MONEY:
        return pc.replace_substring_regex(texts, "[$,]", "")
    if kind == BLANK_PADDED:
        return pc.utf8_rtrim(texts, " ")
    return pa.array((_array(text, kind) for text in _values(texts)), pa.large_string())


def _values(texts: pa.Array) -> Iterable[str | None]:
    found: list[str | None] = texts.to_pylist()
    return found


def _array(text: str | None, kind: int) -> str | None:
    if text is None:
        return None
    bare = BOUNDS.sub("", text, count=1) if text.startswith("[") else text
    return "".join(_token(found, kind) for found in TOKEN.finditer(bare))


def _token(found: re.Match[str], kind: int) -> str:
    quoted, mark, plain = found.groups()
    if mark is not None:
        return {"{": "[", "}": "]", ",": ","}[mark]
    if quoted is not None:
        return json.dumps(ESCAPED.sub(r"\1", quoted), ensure_ascii=False)
    word = ESCAPED.sub(r"\1", plain.strip())
    if word.upper() == "NULL":
        return "null"
    if kind == BOOLEANS:
        return "true" if word == "t" else "false"
    return word if kind in NUMBERS and NUMBER.fullmatch(word) else json.dumps(word, ensure_ascii=False)
