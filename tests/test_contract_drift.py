"""Contracts are held against the schemas of their systems: by hand, at every landing, and people hear of it once."""

import json
import re
from pathlib import Path

import pytest

from flows.cli import main
from lake.odcs.reader import read_contract
from lake.schemas.drift import Finding, schema_drift
from tests.schema_parts import draft_text, drafted, write

ALERT = Path(__file__).resolve().parent.parent / "sql" / "alerts" / "contract_drift.sql"
SQL = """\
create table orders (
  id integer primary key,
  region text not null check (region in ('North', 'South')),
  price numeric(10,2),
  name varchar(20),
  placed_on date,
  units integer check (units >= 0)
);
"""
PRISMA = """\
enum Region {
  NORTH
  SOUTH
}
model Order {
  id     Int     @id
  region Region
  price  Decimal @db.Decimal(10, 2)
  name   String? @db.VarChar(20)
}
"""
ORDERS = "id,region,price,name,placed_on,units\n1,North,1.50,a,2026-01-31,1\n"


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Prefect server is at hand, whatever runs on this machine."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")


def drift_after(folder: Path, name: str, text: str, old: str, new: str, table: str = "") -> list[Finding]:
    """What is found when a schema changes after its contract was drafted."""
    contract = drafted(folder, name, text, table)
    assert old in text
    write(folder, name, text.replace(old, new))
    return list(schema_drift(contract, folder))


@pytest.mark.parametrize(
    ("old", "new", "kind", "column"),
    [
        ("price numeric(10,2)", "price numeric(10,2), note text", "missing", "note"),
        ("  placed_on date,\n", "", "extra", "placed_on"),
        ("numeric(10,2)", "numeric(12,2)", "type-narrower", "price"),
        ("numeric(10,2)", "numeric(8,2)", "type-wider", "price"),
        ("numeric(10,2)", "numeric(10,4)", "type-other", "price"),
        ("numeric(10,2)", "double precision", "type-other", "price"),
        ("id integer", "id bigint", "type-narrower", "id"),
        ("id integer", "id smallint", "type-wider", "id"),
        ("varchar(20)", "varchar(40)", "type-narrower", "name"),
        ("varchar(20)", "varchar(10)", "type-wider", "name"),
        ("varchar(20)", "text", "type-narrower", "name"),
        ("placed_on date", "placed_on timestamptz", "type-narrower", "placed_on"),
        ("placed_on date", "placed_on text", "type-narrower", "placed_on"),
        ("text not null", "text", "required", "region"),
        ("date,", "date not null,", "nullable", "placed_on"),
        ("'South'", "'South', 'East'", "enum-added", "region"),
        ("'North', 'South'", "'North'", "enum-removed", "region"),
        ("units >= 0", "units >= 1", "bound", "units"),
        ("id integer primary key", "id integer not null, primary key (id, region)", "key", ""),
    ],
)
def test_contract_drift_is_found_in_sql(tmp_path: Path, old: str, new: str, kind: str, column: str) -> None:
    """Each change of a SQL schema is one finding, with the lines of both sides and a cure."""
    (finding,) = drift_after(tmp_path, "db/schema.sql", SQL, old, new)
    assert (finding.kind, finding.column) == (kind, column)
    assert re.fullmatch(r"lake/contracts/drafted\.yaml:\d+", finding.contract_place)
    assert re.fullmatch(r"db/schema\.sql:\d+", finding.schema_place)
    assert finding.cure
    lines = (tmp_path / "db" / "schema.sql").read_text("utf-8").splitlines()
    if column and kind != "extra":
        assert column in lines[int(finding.schema_place.rpartition(":")[2]) - 1]


@pytest.mark.parametrize(
    ("old", "new", "kind", "column"),
    [
        ("SOUTH", "SOUTH\n  EAST", "enum-added", "region"),
        ("String?", "String", "nullable", "name"),
        ("price  Decimal @db.Decimal(10, 2)\n", "price  Float\n", "type-other", "price"),
        ("  name   String? @db.VarChar(20)\n", "", "extra", "name"),
        ("Int     @id", "BigInt @id", "type-narrower", "id"),
    ],
)
def test_contract_drift_is_found_in_prisma(tmp_path: Path, old: str, new: str, kind: str, column: str) -> None:
    """Each change of a Prisma model is one finding."""
    found = drift_after(tmp_path, "db/schema.prisma", PRISMA, old, new)
    assert [(finding.kind, finding.column) for finding in found] == [(kind, column)]


@pytest.mark.parametrize(
    ("change", "kind", "column"),
    [
        ({"price": {"type": "number", "multipleOf": 0.01}, "home": None}, "extra", "home.zip"),
        ({"price": {"type": "number"}}, "type-other", "price"),
        ({"more": {"type": "boolean"}}, "missing", "more"),
        ({"id": {"type": ["integer", "null"]}}, "required", "id"),
    ],
)
def test_contract_drift_is_found_in_json_schema(
    tmp_path: Path, change: dict[str, object], kind: str, column: str
) -> None:
    """Each change of a JSON schema is one finding, nested properties included."""
    before: dict[str, object] = {
        "id": {"type": "integer"},
        "price": {"type": "number", "multipleOf": 0.01},
        "home": {"type": "object", "properties": {"zip": {"type": "string"}}},
    }

    def text(properties: dict[str, object]) -> str:
        kept = {name: schema for name, schema in properties.items() if schema is not None}
        return json.dumps({"type": "object", "required": ["id"], "properties": kept}, indent=1)

    found = drift_after(tmp_path, "order.schema.json", text(before), text(before), text({**before, **change}))
    assert [(finding.kind, finding.column) for finding in found] == [(kind, column)]


def test_contract_drift_compares_an_object_kept_whole(tmp_path: Path) -> None:
    """An object that the contract keeps as one JSON column is compared as one, not by its fields."""
    schema = {"type": "object", "properties": {"home": {"type": "object", "properties": {"zip": {"type": "string"}}}}}
    path = write(tmp_path, "lake/contracts/c.yaml", draft_text(tmp_path, "o.schema.json", json.dumps(schema)))
    text = path.read_text("utf-8").split("      - name: home_zip")[0]
    whole = "      - {name: home, description: Where., logicalType: object, physicalType: json}\n"
    contract = read_contract(write(tmp_path, "lake/contracts/c.yaml", text + whole))
    assert schema_drift(contract, tmp_path) == ()


def test_contract_drift_that_is_meant_is_accepted(tmp_path: Path) -> None:
    """A difference listed under `acceptedDrift` is none; a kind that does not exist is refused."""
    contract = drafted(tmp_path, "db/schema.sql", SQL)
    write(tmp_path, "db/schema.sql", SQL.replace("price numeric", "secret text, price numeric"))
    text = contract.path.read_text("utf-8")
    accepted = "    customProperties: [{property: acceptedDrift, value: ['missing secret']}]\n    properties:"
    write(tmp_path, "lake/contracts/drafted.yaml", text.replace("    properties:", accepted, 1))
    assert schema_drift(read_contract(contract.path), tmp_path) == ()
    write(
        tmp_path, "lake/contracts/drafted.yaml", text.replace("    properties:", accepted.replace("missing", "mising"))
    )
    with pytest.raises(Exception, match=r"acceptedDrift' holds 'mising secret'. Did you mean 'missing'"):
        read_contract(contract.path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://example.com/schema.json", "is no file. Keep a copy in the project"),
        ("", "is no file"),
    ],
)
def test_contract_drift_needs_a_file(tmp_path: Path, url: str, message: str) -> None:
    """A schema that is no file of the project is refused when the contract is read: it would not be checked."""
    contract = drafted(tmp_path, "db/schema.sql", SQL)
    text = contract.path.read_text("utf-8").replace('"db/schema.sql#orders"', json.dumps(url))
    with pytest.raises(Exception, match=message):
        read_contract(write(tmp_path, "lake/contracts/drafted.yaml", text))


def shop(root: Path, policy: str = "quarantine") -> Path:
    """A project of one contract drafted by the command line from SQL, with one delivery."""
    write(root, "db/schema.sql", SQL)
    assert main(["draft", str(root / "db" / "schema.sql"), "--project", str(root)]) == 0
    contract = root / "lake" / "contracts" / "orders.yaml"
    text = contract.read_text("utf-8")
    promise = f"    customProperties: [{{property: driftPolicy, value: {policy}}}]\n    properties:"
    contract.write_text(text.replace("    properties:", promise, 1), encoding="utf-8")
    write(root, "inbox/orders/1.csv", ORDERS)
    write(root, "sql/alerts/contract_drift.sql", ALERT.read_text("utf-8"))
    return root


def add_column(root: Path) -> None:
    write(root, "db/schema.sql", SQL.replace("  name varchar", "  note text,\n  name varchar"))


def asked(root: Path, capsys: pytest.CaptureFixture[str], query: str) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main(["sql", query, "--json", "--project", str(root)]) == 0
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def test_contract_check_tells_both_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`sluice contract check` ends with 0 when both agree, with 1 and each difference when they do not."""
    root = shop(tmp_path)
    check = ["contract", "check", "--project", str(root)]
    capsys.readouterr()
    assert main(check) == 0
    assert "orders: agrees with its schema." in capsys.readouterr().out
    add_column(root)
    assert main(check) == 1
    said = capsys.readouterr().out
    assert "orders.note: missing: the contract lacks it, the system has it as varchar." in said
    assert "lake/contracts/orders.yaml:" in said
    assert "db/schema.sql:5" in said
    assert main([*check, "orders", "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)
    assert (finding["kind"], finding["column"], finding["schema_line"]) == ("missing", "note", 5)
    assert main([*check, "order"]) == 1
    assert "[contract-unknown]" in capsys.readouterr().err


def test_contract_check_of_a_missing_schema_is_drift(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A schema that is gone, or no longer readable, is told like a difference, and landing goes on."""
    root = shop(tmp_path)
    (root / "db" / "schema.sql").unlink()
    assert main(["contract", "check", "--project", str(root)]) == 1
    assert "orders: unreadable" in capsys.readouterr().out
    assert main(["run", "-q", "--project", str(root)]) == 0
    assert [row["kind"] for row in asked(root, capsys, "from ops.contract_drift")] == ["unreadable"]


def test_contract_drift_at_landing_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run notes the drift, lands all the same, alerts once, and says when it is over."""
    root = shop(tmp_path)
    run = ["run", "-q", "--project", str(root)]
    assert main(run) == 0
    assert asked(root, capsys, "from ops.contract_drift") == []
    add_column(root)
    write(root, "inbox/orders/2.csv", ORDERS.replace("1,North", "2,South"))
    assert main(run) == 0
    assert main(run) == 0
    (found,) = asked(root, capsys, "from ops.contract_drift")
    assert (found["source"], found["kind"], found["column_name"], found["schema_line"]) == (
        "orders",
        "missing",
        "note",
        5,
    )
    assert asked(root, capsys, "select count(*) as n from ops.ingestion_log where status = 'landed'") == [{"n": 2}]
    told = "select state from ops.alert_history where rule = 'contract_drift' order by alert_history.at"
    assert [row["state"] for row in asked(root, capsys, told)] == ["open"]
    write(root, "db/schema.sql", SQL)
    assert main(run) == 0
    assert asked(root, capsys, "from ops.contract_drift") == []
    assert [row["state"] for row in asked(root, capsys, told)] == ["open", "over"]


def test_contract_drift_is_gone_with_the_schemas_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A contract that names its schema no more has no drift after its next run."""
    root = shop(tmp_path)
    add_column(root)
    run = ["run", "-q", "--project", str(root)]
    assert main(run) == 0
    contract = root / "lake" / "contracts" / "orders.yaml"
    contract.write_text(contract.read_text("utf-8").replace("type: schema", "type: glossary"), encoding="utf-8")
    assert main(run) == 0
    assert asked(root, capsys, "from ops.contract_drift") == []


def test_contract_drift_that_is_refused_stops_the_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under `refuse` nothing is landed while the two differ; the drift is noted all the same."""
    root = shop(tmp_path, "refuse")
    add_column(root)
    assert main(["run", "-q", "--project", str(root)]) == 1
    assert "[contract-drifted]" in capsys.readouterr().err
    assert asked(root, capsys, "select count(*) as n from ops.ingestion_log") == [{"n": 0}]
    assert [row["kind"] for row in asked(root, capsys, "from ops.contract_drift")] == ["missing"]
    write(root, "db/schema.sql", SQL)
    assert main(["run", "-q", "--project", str(root)]) == 0
    assert asked(root, capsys, "select count(*) as n from ops.ingestion_log") == [{"n": 1}]


def test_schema_history_tells_when_a_source_was_first_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The history names the first landing's columns with their types, run, batch and contract, and later additions."""
    root = shop(tmp_path, "evolve")
    run = ["run", "-q", "--project", str(root)]
    assert main(run) == 0
    write(root, "inbox/orders/2.csv", "id,region,price,name,placed_on,units,gift\n2,South,,,,,yes\n")
    assert main(run) == 0
    first, second = asked(root, capsys, "from ops.schema_history where columns is not null order by changed_at")
    batches = asked(root, capsys, "from ops.ingestion_log order by ended_at")
    assert [(row["table_name"], row["is_first"], row["contract_version"]) for row in (first, second)] == [
        ("raw.orders", True, "0.1.0"),
        ("raw.orders", False, "0.1.0"),
    ]
    assert [row["batch_id"] for row in (first, second)] == [batch["batch_id"] for batch in batches]
    assert [row["run_id"] for row in (first, second)] == [batch["run_id"] for batch in batches]
    assert second["first_seen_at"] == first["changed_at"]
    assert {"name": "price", "type": "DECIMAL(10,2)"} in first["added"]  # type: ignore[operator]
    assert second["added"] == [{"name": "gift", "type": "VARCHAR"}]
    assert (second["retyped"], second["dropped"]) == ([], [])
