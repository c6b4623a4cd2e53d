"""The ledger balances for any file: each record is accepted, quarantined or a duplicate, or the file is refused."""

import csv
import io
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lake.contract import Column, Contract, Server
from lake.engine import EngineLimits, Session
from lake.errors import SourceError
from lake.table_versions import Store
from lake.tables import read_version
from tests.landing_parts import SHOP, land, quarantine_rows, raw_rows

LIMITS = EngineLimits(memory="300MB", threads=2)
NAMES = ("a", "b", "c")
TEXTS = Contract(
    source="texts",
    version="1.0.0",
    path=Path("texts.yaml"),
    digest="d",
    description="Any text.",
    owner="nobody@example.com",
    columns=tuple(Column(name, name, "varchar") for name in NAMES),
    key=(),
    server=Server("local", "inbox/*", "csv", {}),
)
CHARACTERS = st.sampled_from("ab1 ,;\"\n\r\t\0\\'{}[]:.-éß世\u2028\ufeff\U0001f600\x1f\x85")
FIELD = st.one_of(st.text(CHARACTERS, max_size=6), st.sampled_from(["", "null", '"', '""', "\\N", "NaN", "1e5", " x "]))
BYTES = st.sampled_from([b"\xff", b"\xc3", b"\x80\x81", b"\x00", b'"', b'""', b",", b"\n", b"\r", b"\r\n", b"\n\n"])


def record_of(fields: list[str], delimiter: str) -> bytes:
    """Gives a record as Python's own writer writes it."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerow(fields)
    return out.getvalue().removesuffix("\r\n").encode()


def loose_record_of(fields: list[str], delimiter: str) -> bytes:
    """Gives the same record with quotes only where a field needs them: `5" disk` needs none."""

    def written(field: str) -> str:
        needs = field.lstrip(" ").startswith('"') or any(mark in field for mark in (delimiter, "\n", "\r"))
        return '"' + field.replace('"', '""') + '"' if needs else field

    return delimiter.join(map(written, fields)).encode()


@st.composite
def sound_csv(draw) -> tuple[bytes, list[list[str]], str]:
    """Gives a well-formed file, its records and its delimiter."""
    delimiter = draw(st.sampled_from(",;\t|"))
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    rows = draw(st.lists(st.lists(FIELD, min_size=3, max_size=3), max_size=8))
    write = draw(st.sampled_from([record_of, loose_record_of]))
    lines = [record_of(list(NAMES), delimiter), *(write(row, delimiter) for row in rows)]
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return mark + end.join(lines) + draw(st.sampled_from([b"", end])), rows, delimiter


@st.composite
def any_csv(draw) -> bytes:
    """Gives a file that starts with a header and goes on as it likes."""
    delimiter = draw(st.sampled_from(",;\t|"))
    records = st.lists(FIELD, max_size=5).map(lambda fields: record_of(fields, delimiter))
    loose = st.lists(FIELD, max_size=5).map(lambda fields: delimiter.join(fields).encode())
    parts = draw(st.lists(st.one_of(records, records, loose, BYTES), max_size=8))
    ends = draw(st.lists(st.sampled_from([b"\n", b"\n", b"\r\n", b"\r", b"\n\n"]), min_size=len(parts) + 1))
    body = b"".join(part + end for part, end in zip(parts, ends, strict=False))
    header = draw(st.sampled_from([record_of(list(NAMES), delimiter), b"a,b,c", b'"a","b"', b"a", b""]))
    return header + draw(st.sampled_from([b"\n", b"\r\n", b""])) + body


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | FIELD,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from([*NAMES, "x.y", '"', ""]), inner, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def any_json_lines(draw) -> bytes:
    """Gives lines of which some are JSON objects."""
    objects = st.dictionaries(st.sampled_from([*NAMES, "x", "a.b", 'q"', "", "A"]), VALUE, max_size=4).map(
        lambda value: json.dumps(value, ensure_ascii=len(value) % 2 == 0).encode()
    )
    anything = VALUE.map(lambda value: json.dumps(value).encode())
    lines = draw(st.lists(st.one_of(objects, objects, anything, FIELD.map(str.encode), BYTES), max_size=8))
    return draw(st.sampled_from([b"\n", b"\r\n"])).join(lines) + draw(st.sampled_from([b"", b"\n"]))


def check_ledger(content: bytes, name: str, contract: Contract = TEXTS) -> tuple[int, int, int, int] | None:
    """Lands a file twice: it balances and the second time changes nothing, or it is refused. Gives the counts."""
    with tempfile.TemporaryDirectory() as folder, Session(LIMITS) as session:
        store = Store(f"{folder}/lake", {})
        path = Path(folder, name)
        path.write_bytes(content)
        try:
            prepared = land(store, path, contract, session=session)
        except SourceError:
            assert read_version(store, f"raw.{contract.source}") is None
            return None
        assert prepared is not None
        read, accepted, quarantined, duplicate = prepared.counts.values()
        assert read == accepted + quarantined + duplicate
        lines = [row[0] for row in raw_rows(store, "_line", contract.source, session=session)]
        refused = quarantine_rows(
            store, "line, category, rule, raw_data is not null, len(reasons) > 0", session=session
        )
        assert (len(lines), len(refused)) == (accepted, quarantined + duplicate)
        assert len({*lines, *(row[0] for row in refused)}) == read, "each record has a line of its own"
        assert all(None not in row and row[3] and row[4] for row in refused)
        assert land(store, path, contract, session=session) is None
        assert len(raw_rows(store, "_line", contract.source, session=session)) == accepted
        return read, accepted, quarantined, duplicate


def check_fields(content: bytes, rows: list[list[str]], delimiter: str) -> None:
    """Lands a well-formed file: what Python's csv module reads is in raw or in quarantine, field by field."""
    with tempfile.TemporaryDirectory() as folder, Session(LIMITS) as session:
        store = Store(f"{folder}/lake", {})
        path = Path(folder, "in.csv")
        path.write_bytes(content)
        contract = replace(TEXTS, server=replace(TEXTS.server, options={"delimiter": delimiter}))
        prepared = land(store, path, contract, session=session)
        assert prepared is not None
        found = {row[0]: row[1:] for row in raw_rows(store, "_line, a, b, c", "texts", session=session)}
        expected: dict[tuple, int] = {}
        for fields in rows:
            row = tuple(value or None for value in fields)
            expected[row] = expected.get(row, 0) + 1
        assert sorted(found.values(), key=repr) == sorted(expected, key=repr)
        assert prepared.counts == {
            "read_count": len(rows),
            "accepted_count": len(expected),
            "quarantined_count": 0,
            "duplicate_count": len(rows) - len(expected),
        }


FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


@FEW
@given(any_csv())
@example(b"a,b,c\n")
@example(b"a,b,c")
@example(b'"a","b"\n\n;",\n"\n')
def test_ledger_balances_for_any_delimited_file(content: bytes) -> None:
    """Whatever follows a header, no record is lost, and no error but a clear refusal comes of it."""
    check_ledger(content, "in.csv")


@FEW
@given(sound_csv())
def test_ledger_of_a_well_formed_file_is_what_python_reads(sound: tuple[bytes, list[list[str]], str]) -> None:
    """Every field of a well-formed file is read as Python's csv module reads it."""
    check_fields(*sound)


def test_ledger_of_a_file_with_inches_and_line_breaks() -> None:
    """A quote amid a field opens nothing, also where blank lines and breaks inside quotes ask for careful reading."""
    content = b'a,b,c\n\n5" disk,x,1\nok,y,2\n"two\nlines, 6""",z,3\n7" disk,"said ""so""",4\nlast,u,5\n'
    rows = [['5" disk', "x", "1"], ["ok", "y", "2"], ['two\nlines, 6"', "z", "3"], ['7" disk', 'said "so"', "4"]]
    check_fields(content, [*rows, ["last", "u", "5"]], ",")


@FEW
@given(any_json_lines())
def test_ledger_balances_for_any_json_lines(content: bytes) -> None:
    """Every line that is not blank is a record, JSON or not."""
    check_ledger(content, "in.jsonl")


@FEW
@given(st.one_of(any_csv(), any_json_lines(), st.binary(max_size=60)), st.sampled_from(["in.csv", "in.json", "in.tsv"]))
def test_ledger_balances_for_anything_under_any_name(content: bytes, name: str) -> None:
    """Bytes that are not what their name says are refused or accounted for, under a contract with types and rules."""
    check_ledger(content, name, SHOP)
    check_ledger(content, name)


@pytest.mark.soak
@MANY
@given(any_csv())
def test_ledger_balances_for_delimited_files_for_long(content: bytes) -> None:
    """The same, for many files, other ones each time."""
    check_ledger(content, "in.csv")


@pytest.mark.soak
@MANY
@given(sound_csv())
def test_ledger_of_well_formed_files_for_long(sound: tuple[bytes, list[list[str]], str]) -> None:
    """The same, for many files, other ones each time."""
    check_fields(*sound)


@pytest.mark.soak
@MANY
@given(any_json_lines())
def test_ledger_balances_for_json_lines_for_long(content: bytes) -> None:
    """The same, for many files, other ones each time."""
    check_ledger(content, "in.jsonl")
