"""What the door tells of records is what the landing pass says of them."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.archive import WorkingFile
from lake.contract import Column, Contract, RowRule
from lake.engine import EngineLimits, Session
from lake.formats.json_records import read_json_lines
from lake.landing.drift import Drift
from lake.landing.validation import contract_reasons, typed_select
from lake.receiving.record_model import record_model
from lake.receiving.records import record_judge
from lake.receiving.verdicts import Verdicts
from lake.table_versions import Store
from tests.landing_parts import SHOP, contract_with, land, quarantine_rows

FEW = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
TYPES = (
    "varchar", "bigint", "integer", "smallint", "tinyint", "decimal(12,2)", "decimal(4,4)", "decimal(38,6)",
    "decimal(3,0)", "double", "float", "boolean", "date", "timestamp", "timestamptz", "json",
    "varchar[]", 'struct("a" bigint)',
)  # fmt: skip
PATTERNS = (
    r"[A-Z]{2}\d+",
    r"a|b",
    r".+",
    r"\w+@\w+\.in",
    r"[^@\s]+",
    r"(?i)x",
    r"[[:alpha:]]+",
    r"\pL+",
    r"[a-c&&b]",
    r"a{,2}",
)
MOMENTS = (
    "2026-01-31", "2026-02-30", "0001-01-01", "9999-12-31", "2026-01-31T10:00:00", "2026-01-31 10:00:00Z",
    "2026-01-31T23:59:59.123456+05:30", "2026-01-31T00:00:00", "2026-01-31T10:00:00-13:59", "2026-01-31T10:00:00+14:00",
    "2026-01-31T10:00", "31/01/2026", "epoch", "infinity", "2026-1-3", " 2026-01-31", "2026-01-31T24:00:00",
    "0000-01-01",
)  # fmt: skip
TEXTS = (
    "", " ", "0", "-0", "5", " 5 ", "5.0", "5.5", "1e3", "1E-7", "007", "+5", "1_000", "99999999999999999999", "12.345",
    "12.340", ".5", "5.", "0.0001", "true", "t", "TRUE", "yes", "NaN", "inf", "null", "North", "AB12", "ab", "a@b.in",
    "é", "x\u0000y", "{}", "[1]", '{"a":1}', '{"a":"x"}', "a\nb", "\u212a",
)  # fmt: skip
TEXT = st.sampled_from(TEXTS + MOMENTS) | st.text(max_size=4)
NUMBER = (
    st.integers(-300, 300) | st.integers() | st.floats() | st.decimals(-1000, 1000, places=2).map(float)
    | st.sampled_from([0.1 + 0.2, 1e15, 1e22, 1e-7, 5e-324, 1.5e300, -0.0, 2**63, 2**31, 10**40, 12.5, 0.00005])
)  # fmt: skip
ODD_VALUES = (
    b"NaN",
    b"-Infinity",
    b'"\xff"',
    b"1e400",
    b"0123",
    b"1}, {",
    b'"\\ud800"',
    b'"\\u0041"',
    b"5 ",
    b"12.50",
    b"[[[]]]",
)
SCALAR = st.none() | st.booleans() | NUMBER | TEXT
VALUE = SCALAR | st.lists(SCALAR, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), SCALAR, max_size=2)


@st.composite
def any_column(draw, name: str) -> Column:
    """Gives a column as a contract could have it."""
    kind = draw(st.sampled_from(TYPES))
    column = Column(name, draw(st.sampled_from([name, name.upper(), f"{name} x", f'{name}"'])), kind)
    column = replace(column, required=draw(st.booleans()))
    if kind == "varchar" and draw(st.booleans()):
        column = draw(
            st.sampled_from([replace(column, enum=("North", "5", "true")), replace(column, min_length=2, max_length=4)])
            | st.sampled_from(PATTERNS).map(lambda pattern: replace(column, pattern=pattern))
        )
    elif kind in ("bigint", "integer", "decimal(12,2)", "double") and draw(st.booleans()):
        column = replace(
            column, minimum=draw(st.sampled_from(["0", "-5"])), maximum=draw(st.sampled_from(["5", "1000"]))
        )
    elif kind == "integer" and draw(st.booleans()):
        column = replace(column, enum=("1", "5"))
    elif kind in ("date", "timestamp", "timestamptz") and draw(st.booleans()):
        column = replace(
            column, **draw(st.sampled_from([{"minimum": "2000-01-01"}, {"formats": ("%d/%m/%Y", "%Y-%m-%d")}]))
        )
    if kind == "timestamptz" and draw(st.booleans()):
        column = replace(column, time_zone=draw(st.sampled_from(["Asia/Kolkata", "America/New_York", "Etc/UTC"])))
    if kind == "varchar" and draw(st.booleans()):
        column = replace(column, default=draw(st.sampled_from(["'North'", "'AB12'", "'it''s'"])))
    if kind == "integer" and draw(st.booleans()):
        column = replace(column, default=draw(st.sampled_from(["5", "-100"])))
    return column


@st.composite
def any_contract(draw) -> Contract:
    """Gives a contract of a few columns, at times with rules over a row."""
    columns = tuple(draw(any_column(name)) for name in "abcd"[: draw(st.integers(1, 4))])
    number = next(
        (column.name for column in columns if column.sql_type in ("integer", "bigint", "double", "decimal(12,2)")), None
    )
    bounds = ('"{}" > 0', "{} <= 2.5", "{} % 2 = 0", "{} > 1 or coalesce(a::varchar, '') <> ''", '"text of {}" <> 0')
    texts = st.sampled_from([(), *((bound.format(number),) for bound in bounds)])
    rules = () if number is None else tuple(RowRule("rule", text) for text in draw(texts))
    return contract_with(columns=columns, rules=rules, key=(), drift=draw(st.sampled_from(["evolve", "quarantine"])))


@st.composite
def any_records(draw, contract: Contract) -> list[bytes]:
    """Gives lines, most of them records with the contract's fields, a few with others or none at all."""
    names = [column.source_name for column in contract.columns]
    keys = st.sampled_from([*names, *names, *names, "other"] if contract.drift == "evolve" else names)
    record = st.lists(st.tuples(keys, VALUE), max_size=len(names) + 1).map(_written)
    first = json.dumps(names[0]).encode()
    odd = [
        b"",
        b"  ",
        b"[]",
        b"5",
        b"{",
        b"\x00",
        b" {} ",
        b"\t",
        b"{}{}",
        *(b"{%s: %s}" % (first, odd) for odd in ODD_VALUES),
    ]
    line = st.tuples(record, st.booleans()).map(lambda drawn: drawn[0]) | st.sampled_from(odd)
    return draw(st.lists(line, min_size=1, max_size=8))


def _written(pairs: list[tuple[str, object]]) -> bytes:
    """Gives an object as JSON, a key that was drawn twice twice, in one of two ways of spacing."""
    colon = ":" if len(pairs) % 3 else " : "
    return ("{" + ", ".join(json.dumps(key) + colon + json.dumps(value) for key, value in pairs) + "}").encode()


def landed_faults(session: Session, contract: Contract, lines: list[bytes], folder: str) -> tuple[int, list[tuple]]:
    """Gives how many records the landing reads in a file of these lines, and all it has against them."""
    path = Path(folder, "in.jsonl")
    path.write_bytes(b"\n".join(lines) + b"\n")
    names = tuple(column.source_name for column in contract.columns)
    file = WorkingFile(path, path.stat().st_size, len(lines), ends_with_newline=True)
    reading = read_json_lines(session, file, expected=names, prefix="landing.in")
    drift = Drift(added=tuple((name, f"{name}_") for name in reading.columns if name not in names))
    select = typed_select(contract, reading.columns, reading.select(), drift)
    session.execute(f"create or replace table landing.rows as {select}")
    located = reading.locate(session, "landing.rows")
    rows = session.rows(f"select _line, _reasons from ({located.numbered}) order by _line")
    known = {reason.code: (reason.column, reason.category) for reason in contract_reasons(contract)}
    broken = session.rows(f"select _line, null, category from {located.broken}")
    faults = [(line, *known[code]) for line, codes in rows for code in codes or ()]
    return len(rows) + len(broken), sorted([*faults, *broken], key=repr)


def told_faults(contract: Contract, verdicts: Verdicts) -> list[tuple]:
    """Gives what the door tells, in the landing's words."""
    ours = {column.source_name: column.name for column in contract.columns} | {None: None}
    told = [(bad.row, ours[fault.field], fault.code) for bad in verdicts.bad for fault in bad.faults]
    return sorted(told, key=repr)


def check_agreement(session: Session, contract: Contract, lines: list[bytes]) -> None:
    """The door and the landing read as many records, and have the same against the same ones."""
    judge = record_judge(contract)
    try:
        with tempfile.TemporaryDirectory() as folder:
            read, faults = landed_faults(session, contract, lines, folder)
        verdicts = judge(lines)
    finally:
        judge.close()
    assert told_faults(contract, verdicts) == faults
    assert verdicts.good_count + len(verdicts.bad) == read


@pytest.fixture(scope="module")
def session():
    with Session(EngineLimits(memory="300MB", threads=1)) as opened:
        yield opened


@FEW
@given(st.data())
def test_records_door_and_landing_give_the_same_verdicts(session: Session, data) -> None:
    """For any contract and any lines, the door tells the field and the category that the landing pass will tell."""
    contract = data.draw(any_contract())
    check_agreement(session, contract, data.draw(any_records(contract)))


@pytest.mark.soak
@MANY
@given(st.data())
def test_records_door_and_landing_agree_for_long(session: Session, data) -> None:
    """The same, for many contracts."""
    contract = data.draw(any_contract())
    check_agreement(session, contract, data.draw(any_records(contract)))


ROW = {"id": "1", "day": "2026-01-31", "region": "North", "units": 2, "price": "3.50", "note": "fine"}
BAD = [
    (ROW | {"id": None}, "id", "MISSING_REQUIRED_FIELD"),
    ({key: value for key, value in ROW.items() if key != "day"}, "day", "MISSING_REQUIRED_FIELD"),
    (ROW | {"day": "31/01/2026"}, "day", "DATA_FORMAT_ERROR"),
    (ROW | {"region": "Westeros"}, "region", "DATA_QUALITY_ISSUE"),
    (ROW | {"units": -1}, "units", "DATA_QUALITY_ISSUE"),
    (ROW | {"units": 4000, "price": 3}, None, "BUSINESS_RULE_VIOLATION"),
    (ROW | {"colour": "red"}, "colour", "SCHEMA_MISMATCH"),
    (["no", "record"], None, "DATA_FORMAT_ERROR"),
]


@pytest.fixture(scope="module")
def judge():
    found = record_judge(SHOP)
    yield found
    found.close()


def line_of(record: object) -> bytes:
    return json.dumps(record).encode()


@pytest.mark.parametrize(("record", "field", "code"), BAD)
def test_records_bad_ones_are_told_by_field_and_category(judge, record, field, code) -> None:
    """Each way to break a contract is told as row, field of the provider and category."""
    verdicts = judge([line_of(ROW), line_of(record), line_of(ROW)])
    assert verdicts.good_count == 2
    assert [(bad.row, fault.field, fault.code) for bad in verdicts.bad for fault in bad.faults] == [(2, field, code)]


def test_records_faults_tell_no_value(judge) -> None:
    """No message holds anything that was sent, so that none can leak what is restricted."""
    record = {"id": "planted-1", "day": "planted-2", "region": "planted-3", "units": "planted-4", "price": "planted-5"}
    assert "planted" not in repr(judge([line_of(record), b"planted-6"]))


def test_records_whole_request_is_judged_as_the_landing_lands_it(tmp_path) -> None:
    """Rows land or are quarantined as the door told, category by category, in a real lake."""
    contract = contract_with(drift="evolve", server=replace(SHOP.server, format="jsonl"))
    lines = [line_of(ROW | {"id": f"good-{place}"}) for place in range(3)] + [line_of(record) for record, _, _ in BAD]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    prepared = land(Store(str(tmp_path / "lake"), {}), tmp_path / "in.jsonl", contract)
    judge = record_judge(contract)
    verdicts = judge(lines)
    judge.close()
    told = sorted((bad.row, bad.faults[0].code) for bad in verdicts.bad)
    assert quarantine_rows(Store(str(tmp_path / "lake"), {}), "line, category") == told
    assert prepared is not None and prepared.accepted_count == verdicts.good_count


@pytest.mark.parametrize(
    "record",
    [
        {"a": 5, "b": "12.50", "c": "2026-01-31", "d": True, "e": "2026-01-31T10:00:00+05:30", "f": 1.5},
        {"a": "5", "b": 12.5, "c": "2024-02-29", "d": "false", "e": "2026-01-31 10:00:00.5Z", "f": 2},
        {"a": 0, "b": 3, "c": None, "d": None, "e": "2026-01-31T10:00:00"},
    ],
)
def test_records_plain_ones_need_no_engine(record) -> None:
    """Records written in the usual ways are accepted by the model, which is the quick way."""
    kinds = ("integer", "decimal(12,2)", "date", "boolean", "timestamptz", "double")
    columns = tuple(Column(name, name, kind) for name, kind in zip("abcdef", kinds, strict=True))
    model = record_model(contract_with(columns=columns, rules=(RowRule("bound", '"a" >= 0'),), key=()))
    assert model.model_validate_json(line_of(record)).model_fields_set


@pytest.mark.parametrize(
    "expression",
    [
        "b % 2 = 0",
        "c = 'North' or b < 4",
        "len(list_filter([b], lambda each: each > 2)) = 0",
        "\"text of b\" <> '3'",
    ],
)
def test_records_that_the_model_accepts_are_held_to_the_rules(session: Session, expression: str) -> None:
    """A rule over a row is told of records that the model accepts and of others alike, whatever of the row it names."""
    columns = (Column("a", "A", "varchar"), Column("b", "B", "bigint"), Column("c", "C", "varchar", default="'North'"))
    contract = contract_with(columns=columns, rules=(RowRule("rule", expression),), key=())
    lines = [
        b'{"B": 0}',
        b'{"B": 1}',
        b'{"B": 3, "C": "South"}',
        b'{"B": "+4", "C": "South"}',
        b'{"B": true}',
        b"5",
        b" ",
    ]
    check_agreement(session, contract, lines)


def test_records_model_shows_the_contract(judge) -> None:
    """The JSON schema of the model names the provider's fields, what is required, and what values may be."""
    shown = judge.model.model_json_schema(by_alias=True)
    assert set(shown["properties"]) == set(ROW)
    assert set(shown["required"]) == {"id", "day"}
    assert shown["properties"]["region"]["enum"] == ["North", "South"]
    assert shown["properties"]["units"] == {
        "title": "units",
        "description": "",
        "type": "integer",
        "minimum": 0,
        "default": None,
    }
    assert shown["additionalProperties"] is False
