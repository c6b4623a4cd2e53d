"""Drafted contracts: they are valid, they fit the file they were drawn from, and they say what a person would say."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.contract import Column, Contract
from lake.drafting.draft import draft_contract
from lake.engine import EngineLimits, Session
from lake.errors import SourceError
from lake.landing.drift import Drift
from lake.landing.validation import typed_select
from lake.naming import snake_case
from lake.odcs.reader import read_contract
from lake.table_versions import Store
from tests.landing_parts import land
from tests.retail_parts import find_invoices

ORDERS = """\
Order ID,Placed On,Placed At,Region,Units,Unit Price (INR),Paid?,Customer E-mail,Phone,Zip,Rate,Code
A-1,31/01/2026,2026-01-31 10:00:00,North,1,10.50,yes,a@example.com,+91 98,01234,1.5e-7,A
A-2,01/02/2026,2026-02-01 10:00:00,North,2,0.5,no,b@example.com,+91 97,11234,2e3,B
A-3,02/02/2026,2026-02-01 10:00:00,North,3,100,yes,c@example.com,+91 96,21234,1,7
A-4,03/02/2026,2026-02-01 10:00:00,South,,7.25,yes,d@example.com,+91 95,31234,1,8
A-5,04/02/2026,2026-02-01 10:00:00,South,5,7.25,yes,e@example.com,+91 94,41234,1,9
A-5,04/02/2026,2026-02-01 10:00:00,South,5,7.25,yes,e@example.com,+91 94,41234,1,9
"""


def draft(path: Path, name: str | None = None) -> str:
    with Session(EngineLimits()) as session:
        return draft_contract(session, path, name=name)


def drafted(path: Path, name: str | None = None) -> Contract:
    """Drafts a contract beside the file and reads it back."""
    target = path.with_name("drafted.yaml")
    target.write_text(draft(path, name), encoding="utf-8")
    return read_contract(target)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    data = text.encode()
    if name.endswith(".gz"):
        data = gzip.compress(data)
    if name.endswith(".zst"):
        data = zstandard.compress(data)
    path.write_bytes(data)
    return path


def types(contract: Contract) -> dict[str, str]:
    return {column.name: column.sql_type for column in contract.columns}


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return drafted(write(tmp_path_factory.mktemp("orders"), "orders.csv", ORDERS))


def test_draft_infers_types(orders: Contract) -> None:
    """Whole numbers, decimals, dates, times, booleans and measurements are told apart; codes stay text."""
    assert types(orders) == {
        "order_id": "varchar",
        "placed_on": "date",
        "placed_at": "timestamptz",
        "region": "varchar",
        "units": "bigint",
        "unit_price_inr": "decimal(18,2)",
        "paid": "boolean",
        "customer_e_mail": "varchar",
        "phone": "varchar",
        "zip": "varchar",
        "rate": "double",
        "code": "varchar",
    }


def test_draft_keeps_the_sources_names(orders: Contract) -> None:
    """Names become ours, and the source's stay known."""
    assert orders.column("unit_price_inr").source_name == "Unit Price (INR)"
    assert orders.column("order_id").description == "Order id, as the source names it 'Order ID'."


def test_draft_finds_formats_enums_and_what_is_required(orders: Contract) -> None:
    """Date formats, repeating values and columns without gaps are written down."""
    assert orders.column("placed_on").formats == ("%d/%m/%Y",)
    assert orders.column("region").enum == ("North", "South")
    assert not orders.column("units").required
    assert orders.column("region").required
    assert orders.column("units").description == "Units, as the source names it 'Units'; missing in 16.7 % of the rows."


def test_draft_finds_the_key_despite_exact_repeats(orders: Contract) -> None:
    """A row delivered twice does not hide the column that identifies it."""
    assert orders.key == ("order_id",)


def test_draft_finds_a_key_of_several_columns(tmp_path: Path) -> None:
    """Where no column identifies a row, the fewest that do together are the key, in the file's order."""
    rows = [f"{order},{line},{order * line}" for order in (1, 2, 3) for line in (1, 2)]
    path = write(tmp_path, "lines.csv", "\n".join(["order_no,line_no,amount", *rows]))
    assert drafted(path).key == ("order_no", "line_no")


def test_draft_marks_personal_columns_restricted(orders: Contract) -> None:
    """Columns that look personal by name or by value are suggested as restricted, and their values are not listed."""
    restricted = {column.name for column in orders.columns if column.privacy == "restricted"}
    assert restricted == {"customer_e_mail", "phone"}
    assert orders.privacy == "restricted"


def test_draft_of_restricted_values_names_none(tmp_path: Path) -> None:
    """No value of a column that looks personal is written into the contract."""
    text = draft(write(tmp_path, "people.csv", "contact\n" + "asha@example.com\nravi@example.com\n" * 9))
    assert "classification: restricted" in text
    assert "example.com" not in text


def test_draft_of_ambiguous_dates_says_so(tmp_path: Path) -> None:
    """Where no day is above 12, the draft chooses day first and says that it chose."""
    column = drafted(write(tmp_path, "days.csv", "sold\n01/02/2026\n03/04/2026\n")).column("sold")
    assert column.formats == ("%d/%m/%Y",)
    assert "the other way round" in column.description
    clear = drafted(write(tmp_path, "days.csv", "sold\n01/13/2026\n03/04/2026\n")).column("sold")
    assert (clear.formats, "the other way round" in clear.description) == (("%m/%d/%Y",), False)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("1", "-2", "+3"), "bigint"),
        (("12923.0", "15594.0"), "bigint"),
        (("007", "012"), "varchar"),
        (("1.5", "22.125"), "decimal(18,3)"),
        (("12345678901234567890", "1"), "decimal(38,0)"),
        (("9" * 40, "1"), "double"),
        (("0.1234567", "2"), "double"),
        (("1e5", "2"), "double"),
        (("true", "False"), "boolean"),
        (("y", "n"), "boolean"),
        (("n", "n"), "varchar"),
        (("2026-01-31", "2025-12-01"), "date"),
        (("2026-02-30", "2025-12-01"), "varchar"),
        (("31-Jan-2026", "01-Dec-2025"), "date"),
        (("2026-01-31T10:00:00Z", "2026-01-31 10:00:00.5+05:30"), "timestamptz"),
        (("31.01.2026 10:00", "01.02.2026 23:59"), "timestamptz"),
        (("1/31/2026 1:05 PM", "2/1/2026 11:59 AM"), "timestamptz"),
        (("nan", "1.5"), "varchar"),
        (("20260131", "20251201"), "bigint"),
    ],
)
def test_draft_types_values(tmp_path: Path, values: tuple[str, ...], expected: str) -> None:
    """Each spelling of a value comes to the narrowest type that keeps it whole."""
    assert (
        types(drafted(write(tmp_path, "v.csv", "\n".join(["v,w", *(f"{value},x" for value in values)]))))["v"]
        == expected
    )


def test_draft_rounds_the_noise_of_binary_money(tmp_path: Path) -> None:
    """Money that went through binary fractions is decimal again; measurements stay double."""
    path = tmp_path / "bills.parquet"
    noisy = [0.1 + 0.2, 1.1 + 2.2, 5.0]
    pq.write_table(pa.table({"amount": noisy, "weight": noisy, "day": pa.array([1, 2, 3], pa.date32())}), path)
    assert types(drafted(path)) == {"amount": "decimal(18,2)", "weight": "double", "day": "date"}


RECORDS = [
    {
        "id": number,
        "price": 4.1,
        "ok": True,
        "who": {"name": "a", "born": None, "home": {"zip": "0123"}},
        "items": [{"sku": "A", "price": 1.25}, {"sku": "B", "price": 2}],
        "tags": ["x"],
        "mixed": number if number % 2 else {"a": 1},
        "odd": {"a": number if number % 2 else "x"},
    }
    for number in range(1, 5)
]
RECORD_TYPES = {
    "id": "bigint",
    "price": "decimal(18,2)",
    "ok": "boolean",
    "who": 'struct("name" varchar, "born" varchar, "home" struct("zip" varchar))',
    "items": 'struct("sku" varchar, "price" decimal(18,2))[]',
    "tags": "varchar[]",
    "mixed": "varchar",
    "odd": 'struct("a" json)',
}


@pytest.mark.parametrize("name", ["r.json", "r.jsonl", "r.ndjson.gz", "r.json.zst"])
def test_draft_of_json_keeps_its_shape(tmp_path: Path, name: str) -> None:
    """Nested values become structs and lists, in the file's own order, money in them decimal too."""
    lines = [json.dumps(record) for record in RECORDS]
    text = f"[{','.join(lines)}]" if ".json" in name and ".jsonl" not in name else "\n".join(lines)
    contract = drafted(write(tmp_path, name, text))
    assert types(contract) == RECORD_TYPES
    assert list(types(contract)) == list(RECORD_TYPES)
    assert contract.source == "r"
    assert contract.server.format == ("json" if ".json" in name and ".jsonl" not in name else "jsonl")


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("o.csv", ORDERS, {}),
        ("o.csv.gz", ORDERS, {}),
        ("o.tsv", ORDERS.replace(",", "\t"), {}),
        ("o.csv.zst", ORDERS.replace(",", ";"), {"delimiter": ";"}),
        ("o.csv", ORDERS.replace(",", "|").replace("\n", "\r\n"), {"delimiter": "|"}),
        ("o.csv", "\ufeff" + ORDERS, {}),
    ],
)
def test_draft_reads_every_delimited_file(tmp_path: Path, name: str, text: str, options: dict[str, str]) -> None:
    """Delimiter, compression, line ends and byte order mark change nothing but the server's options."""
    contract = drafted(write(tmp_path, name, text), "orders")
    assert contract.server.options == options
    assert contract.server.path == (tmp_path / name).as_posix()
    assert [column.name for column in contract.columns][:3] == ["order_id", "placed_on", "placed_at"]
    assert (contract.source, contract.key) == ("orders", ("order_id",))


def test_draft_of_lists_that_are_always_empty(tmp_path: Path) -> None:
    """A list in which nothing ever stood is a list of whatever will come."""
    contract = drafted(write(tmp_path, "e.jsonl", '{"id": 1, "tags": []}\n{"id": 2, "tags": []}\n'))
    assert types(contract)["tags"] == "json"


def test_draft_finds_the_encoding(tmp_path: Path) -> None:
    """A file that is no UTF-8 is read as Windows wrote it, and the contract says so."""
    path = tmp_path / "städte.csv"
    path.write_bytes("Größe,Ort\n1,Köln €\n2,Ulm\n".encode("cp1252"))
    contract = drafted(path)
    assert contract.server.options == {"encoding": "cp1252"}
    assert [(column.name, column.source_name) for column in contract.columns] == [("groe", "Größe"), ("ort", "Ort")]
    assert contract.source == "stadte"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("none.csv", None, "There is no file"),
        ("a.xyz", b"a", r"ending of 'a\.xyz' names no format.*\.csv"),
        ("a.csv", b"", r"a\.csv is empty"),
        ("a.csv", b"a,b\n", r"a\.csv has no rows"),
        ("a.csv", b"1,2\n3,4\n", r"a\.csv:1: The first line of a\.csv holds '1', a value.*names of the columns"),
        ("a.json", b"{", "no well-formed JSON"),
        ("a.jsonl", b"1\n2\n", "holds no JSON objects"),
        ("a.parquet", b"PAR", "no readable Parquet"),
        ("a.csv.gz", b"not gzip", "cannot be read as gzip"),
    ],
)
def test_draft_refuses_what_it_cannot_read(tmp_path: Path, name: str, data: bytes | None, message: str) -> None:
    """A missing, empty, headless or broken file is told in one sentence with its cure."""
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(SourceError, match=message) as caught:
        draft(path)
    assert caught.value.cure


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("InvoiceNo", "invoice_no"),
        ("CustomerID", "customer_id"),
        ("HTTPStatus", "http_status"),
        ("Unit price (£)", "unit_price"),
        ("2019 total", "n2019_total"),
        ("Café", "cafe"),
        ("___", ""),
    ],
)
def test_draft_names_in_snake_case(name: str, expected: str) -> None:
    """Names come to lower case and underscores, whatever they were."""
    assert snake_case(name) == expected


def test_draft_names_stay_apart(tmp_path: Path) -> None:
    """Two names that come to the same are numbered, and a name of no letters gets its place."""
    contract = drafted(write(tmp_path, "n.csv", "a b,A-B,€\n1,2,3\n"))
    assert [column.name for column in contract.columns] == ["a_b", "a_b_2", "column_3"]


def test_draft_fits_real_shop_data(tmp_path: Path) -> None:
    """Every row of the shop's invoices lands under the contract drafted from them, or repeats another exactly."""
    contract = drafted_from(find_invoices(), tmp_path)
    assert types(contract) == {
        "invoice_no": "varchar",
        "stock_code": "varchar",
        "description": "varchar",
        "quantity": "bigint",
        "invoice_date": "timestamptz",
        "unit_price": "decimal(18,2)",
        "customer_id": "bigint",
        "country": "varchar",
    }
    assert contract.key == ()
    assert [column.name for column in contract.columns if not column.required] == ["description", "customer_id"]
    read, accepted, quarantined, duplicates = landed(contract, find_invoices(), tmp_path)
    assert (read, quarantined) == (30_000, 0)
    assert accepted + duplicates == read


def drafted_from(path: Path, folder: Path) -> Contract:
    target = folder / "drafted.yaml"
    target.write_text(draft(path), encoding="utf-8")
    return read_contract(target)


def landed(contract: Contract, path: Path, folder: Path) -> tuple[int, int, int, int]:
    """Lands a file; gives rows read, accepted, quarantined and duplicate."""
    prepared = land(Store(str(folder / "lake"), {}), path, contract)
    assert prepared is not None
    accepted, quarantined, duplicates = (
        prepared.counts[f"{kind}_count"] for kind in ("accepted", "quarantined", "duplicate")
    )
    return prepared.read_count, accepted, quarantined, duplicates


@pytest.mark.parametrize("name", ["orders.csv", "records.jsonl"])
def test_draft_fits_its_own_file(tmp_path: Path, name: str) -> None:
    """No row of the file is refused by the contract drafted from it."""
    text = ORDERS if name == "orders.csv" else "\n".join(json.dumps(record) for record in RECORDS)
    path = write(tmp_path, name, text)
    assert landed(drafted(path), path, tmp_path)[2] == 0


FIELD = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(-(10**6), 10**6, allow_nan=False, places=3).map(str),
    st.dates().map(lambda day: day.strftime("%d/%m/%Y").rjust(10, "0")),
    st.sampled_from(["", "y", "N", "true", "0", "00", "1e3", "-", "a: b", "#", "'", "null", "2026-01-01", "9" * 30]),
    st.text(st.characters(codec="utf-8", exclude_characters=',"\r\n\x00', exclude_categories=("Cs",)), max_size=6),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=6))
def test_draft_is_valid_for_any_values(tmp_path: Path, session: Session, rows: list[tuple[str, str]]) -> None:
    """Whatever a file holds, its draft is a valid contract that refuses none of its rows."""
    lines = [f"k{number},{one},x{two}" for number, (one, two) in enumerate(rows)]
    path = write(tmp_path, "any.csv", "\n".join(["id,one,two", *lines]) + "\n")
    target = tmp_path / "drafted.yaml"
    target.write_text(draft_contract(session, path), encoding="utf-8")
    contract = read_contract(target)
    received = [column.source_name for column in contract.columns]
    assert received == ["id", "one", "two"]
    judged = typed_select(contract, received, "from landing.draft", Drift())
    assert session.rows(f"select * from ({judged}) where _reasons is not null") == []


def test_draft_reads_the_same_in_any_yaml(tmp_path: Path) -> None:
    """What YAML 1.1 would turn into booleans, dates and numbers stands in quotes."""
    text = draft(write(tmp_path, "t.csv", "state\n" + "no\nTRUE,\n1.0\n2026-01-01\n".replace(",", "") * 5))
    values = [entry["value"] for entry in yaml.safe_load(text)["schema"][0]["properties"][0]["enum"]]
    assert values == ["1.0", "2026-01-01", "TRUE", "no"]
    column: Column = drafted(tmp_path / "t.csv").columns[0]
    assert column.enum == ("1.0", "2026-01-01", "TRUE", "no")
