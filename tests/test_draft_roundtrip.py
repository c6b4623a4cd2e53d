"""Whatever an operational schema allows lands under the contract drafted from it: any schema, any rows."""

import json
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.contract import Contract
from lake.engine import EngineLimits, Session
from lake.schemas.drift import schema_drift
from tests.schema_parts import drafted, land_csv, land_json

Values = st.SearchStrategy[Any]
FEW, MANY = 8, 80

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r", exclude_categories=("Cs", "Cc")), min_size=1)
NAMES = ["id", "orderNo", "unit_price", "Region", "note", "select", "E-mail", "größe", "x1", "createdAt"]


def digits(whole: int, places: int) -> Values:
    bound = 10 ** (whole + places) - 1
    return st.integers(-bound, bound).map(lambda number: f"{number / 10**places:.{places}f}")


def whole(bits: int) -> Values:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


INSTANTS = st.datetimes(min_value=datetime(1900, 1, 1)).map(lambda moment: moment.isoformat(sep=" "))
SQL_TYPES: dict[str, Values] = {
    "smallint": whole(16),
    "integer": whole(32),
    "bigint": whole(64),
    "numeric(12,2)": digits(8, 2),
    "numeric(20)": st.integers(-(10**20) + 1, 10**20 - 1),
    "double precision": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.sampled_from(["true", "false", "t", "f"]),
    "text": TEXT,
    "varchar(5)": TEXT.map(lambda text: text[:5]),
    "char(1)": st.sampled_from("abcä"),
    "date": st.dates().map(str),
    "timestamp": INSTANTS,
    "timestamp with time zone": INSTANTS.map(lambda text: f"{text}+05:30"),
    "uuid": st.uuids().map(str),
    "jsonb": st.dictionaries(st.sampled_from("ab"), st.integers(), max_size=2).map(json.dumps),
    "mood": st.sampled_from(["sad", "ok, really"]),
    "time": st.times().map(str),
    "integer check ({0} between -3 and 7)": st.integers(-3, 7),
    "integer check ({0} > 0 and {0} <= 9)": st.integers(1, 9),
    "text check ({0} in ('N', 'it''s'))": st.sampled_from(["N", "it's"]),
    "numeric(6,2) check ({0} >= 0.5 or {0} = 0)": st.sampled_from(["0.50", "0", "3.25"]),
    "text default 'none'": TEXT,
    "integer default 7": whole(32),
}


@st.composite
def sql_tables(draw: st.DrawFn) -> tuple[str, list[dict[str, Any]]]:
    """A `create table` and rows that its database would take."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique_by=str.lower))
    kinds = {name: draw(st.sampled_from(sorted(SQL_TYPES))) for name in names}
    needed = {name: draw(st.booleans()) for name in names}
    lines = [f'"{name}" {kind}' + " not null" * needed[name] for name, kind in kinds.items()]
    lines = [line.replace("{0}", f'"{name}"') for name, line in zip(names, lines, strict=True)]
    numbered = draw(st.booleans())
    lines += ['"row_no" bigint', 'primary key ("row_no")'] if numbered else []
    columns = {name: SQL_TYPES[kind] if needed[name] else st.none() | SQL_TYPES[kind] for name, kind in kinds.items()}
    rows = draw(st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=6))
    if numbered:
        rows = [{**row, "row_no": place} for place, row in enumerate(rows)]
    return "create type mood as enum ('sad', 'ok, really');\ncreate table t (\n" + ",\n".join(lines) + "\n);", rows


def agrees(contract: Contract, folder: Path) -> None:
    """A fresh draft does not differ from the schema it was drawn from."""
    assert [finding.message for finding in schema_drift(contract, folder)] == []


def sql_case(case: tuple[str, list[dict[str, Any]]]) -> None:
    ddl, rows = case
    with tempfile.TemporaryDirectory() as name, Session(EngineLimits(memory="256MB", threads=1)) as session:
        contract = drafted(Path(name), "schema.sql", ddl)
        agrees(contract, Path(name))
        _, quarantined = land_csv(session, Path(name), contract, rows)
        assert quarantined == 0, ddl


JSON_TYPES: list[tuple[dict[str, Any], Values]] = [
    ({"type": "string"}, TEXT),
    ({"type": "string", "minLength": 2, "maxLength": 4}, TEXT.map(lambda text: (text + "ab")[:4])),
    ({"type": "string", "pattern": "^[A-Z]{2}[0-9]$"}, st.sampled_from(["AB1", "ZZ9"])),
    ({"type": "string", "pattern": "b+|c"}, st.sampled_from(["abba", "c", "xcx"])),
    ({"type": "string", "format": "date"}, st.dates().map(str)),
    ({"type": "string", "format": "date-time"}, INSTANTS.map(lambda text: text.replace(" ", "T") + "Z")),
    ({"type": "string", "format": "uuid"}, st.uuids().map(str)),
    ({"type": "string", "format": "email"}, st.sampled_from(["a@b.co", "x.y@example.org"])),
    ({"type": "integer"}, whole(64)),
    ({"type": "integer", "minimum": -2, "exclusiveMaximum": 5}, st.integers(-2, 4)),
    ({"type": "integer", "multipleOf": 3}, st.integers(-9, 9).map(lambda number: number * 3)),
    ({"type": "number"}, st.floats(allow_nan=False, allow_infinity=False)),
    ({"type": "number", "multipleOf": 0.01, "minimum": 0}, st.integers(0, 10**9).map(lambda cents: cents / 100)),
    ({"type": "boolean"}, st.booleans()),
    ({"enum": ["a", "b c"]}, st.sampled_from(["a", "b c"])),
    ({"enum": [1, 20]}, st.sampled_from([1, 20])),
    ({"const": "only"}, st.just("only")),
    ({"type": ["string", "integer"]}, TEXT | whole(32)),
    ({}, TEXT | whole(32) | st.lists(whole(8), max_size=2)),
    ({"type": "array", "items": {"type": "integer"}}, st.lists(whole(16), max_size=3)),
    ({"type": "object"}, st.dictionaries(st.sampled_from("ab"), whole(16), max_size=2)),
]


@st.composite
def json_objects(draw: st.DrawFn, depth: int = 2) -> tuple[dict[str, Any], Values]:
    """A JSON schema of an object, and a strategy for objects it allows."""
    names = draw(st.lists(st.sampled_from([*NAMES, "tags"]), min_size=1, max_size=4, unique_by=str.lower))
    properties: dict[str, Any] = {}
    present: dict[str, Values] = {}
    absent: dict[str, Values] = {}
    for name in names:
        nested = depth > 0 and draw(st.integers(0, 3)) == 0
        schema, values = draw(json_objects(depth=depth - 1) if nested else st.sampled_from(JSON_TYPES))
        if isinstance(schema.get("type"), str) and draw(st.booleans()):
            schema, values = {**schema, "type": [schema["type"], "null"]}, values | st.none()
        properties[name] = schema
        (present if draw(st.booleans()) else absent)[name] = values
    schema = {"type": "object", "properties": properties, "required": sorted(present)}
    return schema, st.fixed_dictionaries(present, optional=absent)


def json_case(data: st.DataObject) -> None:
    schema, records = data.draw(json_objects())
    rows = data.draw(st.lists(records, min_size=1, max_size=5))
    with tempfile.TemporaryDirectory() as name, Session(EngineLimits(memory="256MB", threads=1)) as session:
        contract = drafted(Path(name), "order.schema.json", json.dumps(schema, indent=1))
        agrees(contract, Path(name))
        _, quarantined = land_json(session, Path(name), contract, rows)
        assert quarantined == 0, schema


PRISMA_TYPES: dict[str, Values] = {
    "Int": whole(32),
    "BigInt": whole(64),
    "Float": st.floats(allow_nan=False, allow_infinity=False),
    "Decimal @db.Decimal(10, 3)": digits(6, 3),
    "Boolean": st.sampled_from(["true", "false"]),
    "String": TEXT,
    "String @db.VarChar(4)": TEXT.map(lambda text: text[:4]),
    "DateTime": INSTANTS.map(lambda text: text.replace(" ", "T") + "Z"),
    "DateTime @db.Date": st.dates().map(str),
    "Json": st.lists(whole(8), max_size=2).map(json.dumps),
    "Mood": st.sampled_from(["SAD", "all right"]),
    "Int[]": st.lists(whole(8), max_size=2).map(json.dumps),
}


def prisma_case(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(PRISMA_TYPES)), min_size=1, max_size=5))
    optional = [data.draw(st.booleans()) and "[]" not in kind for kind in kinds]
    lines = ["rowNo Int @id @default(autoincrement())"]
    for place, (kind, may_lack) in enumerate(zip(kinds, optional, strict=True)):
        name, _, rest = kind.partition(" ")
        lines.append(f'field{place} {name}{"?" * may_lack} {rest} @map("Field {place}") /// number {place}')
    text = 'enum Mood {\n  SAD\n  GOOD @map("all right")\n}\nmodel Thing {\n  ' + "\n  ".join(lines) + "\n}\n"
    columns = {
        f"Field {place}": PRISMA_TYPES[kind] if not may_lack else st.none() | PRISMA_TYPES[kind]
        for place, (kind, may_lack) in enumerate(zip(kinds, optional, strict=True))
    }
    rows = data.draw(st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=5))
    rows = [{"rowNo": place, **row} for place, row in enumerate(rows)]
    with tempfile.TemporaryDirectory() as name, Session(EngineLimits(memory="256MB", threads=1)) as session:
        contract = drafted(Path(name), "schema.prisma", text)
        agrees(contract, Path(name))
        accepted, quarantined = land_csv(session, Path(name), contract, rows)
        assert (accepted, quarantined) == (len(rows), 0), text


CASES = [(sql_case, sql_tables()), (json_case, st.data()), (prisma_case, st.data())]
KINDS = pytest.mark.parametrize(("case", "given_what"), CASES, ids=["sql", "json", "prisma"])


def tried(case: Callable[..., None], given_what: Values, examples: int) -> None:
    modest = settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    modest(given(given_what)(case))()


@KINDS
def test_draft_of_a_schema_takes_what_it_allows(case: Callable[..., None], given_what: Values) -> None:
    """Rows that any schema allows are accepted, every one, under the contract drafted from it, which agrees with it."""
    tried(case, given_what, FEW)


@pytest.mark.soak
@KINDS
def test_draft_of_a_schema_takes_what_it_allows_for_long(case: Callable[..., None], given_what: Values) -> None:
    """The same for many schemas."""
    tried(case, given_what, MANY)
