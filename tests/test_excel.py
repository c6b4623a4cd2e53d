"""Workbooks: what stands in a cell arrives as it is, on its row, and what is broken is told apart and kept."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from flows.cli import main
from lake.archive import receive
from lake.archive_places import open_archive
from lake.contract import Column, Contract, Server
from lake.engine import EngineLimits, Session
from lake.errors import SourceError
from lake.landing.batch import identify
from lake.landing.judging import prepare
from lake.sources.files import file_delivery
from lake.table_versions import Store
from tests.excel_parts import DURATION, Cell, day, error, instant, write_workbook
from tests.landing_parts import SHOP, begin, contract_with, counts, land, quarantine_rows, raw_rows

NAMES = ["id", "day", "region", "units", "price", "note"]
SERIAL = 45296  # 2024-01-05
TEXTS = Contract(
    source="texts",
    version="1.0.0",
    path=Path("texts.yaml"),
    digest="t",
    description="Whatever a cell holds.",
    owner="shop@example.com",
    columns=(Column("cell", "cell", "varchar"), Column("other", "other", "varchar")),
    key=(),
    server=Server("local", "in.xlsx", "xlsx", {}),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "lake"), {})


def with_options(contract: Contract = SHOP, **options: str) -> Contract:
    return contract_with(server=Server("local", "in.xlsx", "xlsx", options)) if contract is SHOP else contract


def row(name: str, **changes: object) -> list:
    given = {"day": day(SERIAL), "region": "North", "units": 3, "price": 2.5, "note": "x"} | changes
    return [name, *given.values()]


def test_excel_rows_land_with_the_row_of_the_sheet(tmp_path, store):
    """Dates, numbers and texts are typed by the contract; blank rows are no records; lines are the sheet's rows."""
    rows = [NAMES, row("a1"), [], row("a2", units=4.0, price=0.1), [None, None, "  "[:0]], row("a3", day="2024-01-06")]
    path = write_workbook(tmp_path / "in.xlsx", ("Sales", rows))
    assert counts(land(store, path)) == (3, 3, 0, 0)
    assert raw_rows(store, "sale_id, sold_on, units, price_eur, _line, _source") == [
        ("a1", date(2024, 1, 5), 3, Decimal("2.50"), 2, "in.xlsx"),
        ("a2", date(2024, 1, 5), 4, Decimal("0.10"), 4, "in.xlsx"),
        ("a3", date(2024, 1, 6), 3, Decimal("2.50"), 6, "in.xlsx"),
    ]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (0.1, "0.1"),
        (Cell("0.30000000000000004"), "0.3"),
        (99999999.999, "99999999.999"),
        (0.00000123456789, "0.00000123456789"),
        (1e-7, "0.0000001"),
        (3, "3"),
        (Cell("3.0"), "3"),
        (-4, "-4"),
        (123456789012345, "123456789012345"),
        (1e21, "1000000000000000000000"),
        (0, "0"),
        (True, "true"),
        (False, "false"),
        ("0012", "0012"),
        ("99999999.998999998", "99999999.998999998"),
        (" kept ", " kept "),
        ("true", "true"),
        (day(SERIAL), "2024-01-05"),
        (instant(SERIAL + 0.75), "2024-01-05 18:00:00"),
        (Cell("0.5", style=DURATION), "12:00:00"),
        (Cell("of a formula", "str"), "of a formula"),
    ],
)
def test_excel_cell_arrives_as_it_is_shown(tmp_path, store, cell, text):
    """Numbers carry no noise, texts are untouched, dates and times are ISO 8601."""
    land(store, write_workbook(tmp_path / "in.xlsx", ("S", [["cell", "other"], [cell, "x"]])), TEXTS)
    assert raw_rows(store, "cell", "texts") == [(text,)]


def test_excel_error_cells_are_quarantined_and_the_rest_lands(tmp_path, store):
    """A row with an error is refused with the error's name and all its cells, whatever the column's type."""
    rows = [NAMES, row("a1"), row("a2", units=error("#N/A")), row("a3", note=error("#DIV/0!")), row("a4")]
    assert counts(land(store, write_workbook(tmp_path / "in.xlsx", ("S", rows)))) == (4, 2, 2, 0)
    found = quarantine_rows(store, "line, category, rule, details, raw_data")
    assert [tuple(each[:4]) for each in found] == [
        (3, "DATA_FORMAT_ERROR", "error-cell", "A cell holds the error #N/A."),
        (4, "DATA_FORMAT_ERROR", "error-cell", "A cell holds the error #DIV/0!."),
    ]
    assert json.loads(found[0][4])["units"] == "#N/A"
    assert json.loads(found[1][4])["id"] == "a3"
    assert [each[0] for each in raw_rows(store, "_line")] == [2, 5]


def test_excel_bad_values_are_quarantined_with_row_and_content(tmp_path, store):
    """The contract judges cells as it judges fields of a CSV."""
    rows = [NAMES, row("a1"), row("a2", region="West"), row("a3", day="never")]
    assert counts(land(store, write_workbook(tmp_path / "in.xlsx", ("S", rows)))) == (3, 1, 2, 0)
    found = quarantine_rows(store, "line, column_name, raw_data")
    assert [(line, column, json.loads(raw)["id"]) for line, column, raw in found] == [
        (3, "region", "a2"),
        (4, "sold_on", "a3"),
    ]


def test_excel_merged_cells_hold_their_value_once(tmp_path, store):
    """A merged cell's value stands in its first row; the rows it covers lack it and are told so."""
    rows = [NAMES, row("a1"), row("a2", region=None)]
    path = write_workbook(tmp_path / "in.xlsx", ("S", rows), merged=["C2:C3"])
    land(store, path)
    assert [each[0] for each in raw_rows(store, "region")] == ["North", None]


def test_excel_sheet_and_header_row_are_chosen(tmp_path, store):
    """`sheet` names the sheet, `headerRow` the row of the names; what stands above is no data."""
    rows = [["Report of", day(SERIAL)], [], NAMES, row("a1")]
    path = write_workbook(tmp_path / "in.xlsx", ("Notes", [["nothing"]]), ("Sales & more", rows))
    assert counts(land(store, path, with_options(sheet="Sales & more", headerRow="3"))) == (1, 1, 0, 0)
    assert raw_rows(store, "sale_id, _line") == [("a1", 4)]


def test_excel_empty_rows_before_the_header_are_counted(tmp_path, store):
    """A sheet that begins on row 5 keeps its row numbers."""
    path = write_workbook(tmp_path / "in.xlsx", ("S", [NAMES, row("a1")]), first_row=5)
    land(store, path, with_options(headerRow="5"))
    assert raw_rows(store, "_line") == [(6,)]


def test_excel_columns_without_name_and_value_are_none(tmp_path, store):
    """A blank column at the edge is left out; one with values but no name is drift."""
    rows = [[*NAMES, None, ""], [*row("a1"), None, ""]]
    assert counts(land(store, write_workbook(tmp_path / "blank.xlsx", ("S", rows)))) == (1, 1, 0, 0)
    rows = [[*NAMES, None], [*row("a2"), "who?"]]
    path = write_workbook(tmp_path / "named.xlsx", ("S", rows))
    land(store, path, contract_with(drift="evolve"))
    assert raw_rows(store, "sale_id, column_7") == [("a1", None), ("a2", "who?")]


def test_excel_without_header_takes_the_contract_s_order(tmp_path, store):
    """With `header: false` the first row is a record."""
    path = write_workbook(tmp_path / "in.xlsx", ("S", [row("a1"), row("a2")]))
    assert counts(land(store, path, with_options(header="false"))) == (2, 2, 0, 0)
    assert raw_rows(store, "_line") == [(1,), (2,)]


def test_excel_with_names_only_lands_nothing(tmp_path, store):
    """A header without rows is an empty delivery, not an error."""
    assert counts(land(store, write_workbook(tmp_path / "in.xlsx", ("S", [NAMES])))) == (0, 0, 0, 0)


def test_excel_is_drafted_like_any_file(tmp_path, capsys):
    """`sluice draft` takes a workbook, and finds dates and numbers in its cells."""
    path = write_workbook(tmp_path / "in.xlsx", ("S", [NAMES, *(row(f"a{number}") for number in range(9))]))
    assert main(["draft", str(path), "--out", "-", "--project", str(tmp_path)]) == 0
    drafted = capsys.readouterr().out
    assert "format: xlsx" in drafted
    assert "logicalType: date" in drafted


def encrypted() -> bytes:
    """What Office writes for a workbook with a password: a compound file that holds the stream EncryptedPackage."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 1016 + "EncryptedPackage".encode("utf-16-le") + b"\0" * 2000


def cut(path: Path) -> bytes:
    return write_workbook(path, ("S", [NAMES, row("a1")])).read_bytes()[:-100]


@pytest.mark.parametrize(
    ("make", "options", "match"),
    [
        (lambda path: encrypted(), {}, r"in\.xlsx is protected by a password"),
        (cut, {}, r"in\.xlsx is no readable workbook"),
        (lambda path: b"", {}, r"in\.xlsx is no readable workbook"),
        (lambda path: b"id,day\n1,2\n", {}, r"in\.xlsx is no readable workbook"),
        (lambda path: write_workbook(path, ("A", [NAMES]), ("B", [])).read_bytes(), {"sheet": "C"}, "it has 'A', 'B'"),
        (lambda path: write_workbook(path, ("A", [NAMES])).read_bytes(), {"headerRow": "4"}, "Row 4 of the sheet"),
        (lambda path: write_workbook(path, ("A", [])).read_bytes(), {}, "is empty"),
        (lambda path: write_workbook(path, ("A", [["id", "id"]])).read_bytes(), {}, "'id' twice"),
        (lambda path: write_workbook(path, ("A", [["q"]])).read_bytes(), {}, "none of the contract's columns"),
        (
            lambda path: write_workbook(path, ("A", [NAMES, [" " * 100_000]])).read_bytes(),
            {"mostUnpackedBytes": "100000"},
            "the limit is 100,000 bytes",
        ),
    ],
)
def test_excel_that_cannot_be_taken_is_archived_and_refused(tmp_path, store, make, options, match):
    """A broken, locked or wrong workbook is refused whole with its reason; its bytes are in the archive."""
    path = tmp_path / "in.xlsx"
    path.write_bytes(make(path))
    contract, run = with_options(**options), begin()
    with Session(EngineLimits()) as session:
        batch = identify(contract, file_delivery(contract, path, tmp_path), run)
        with pytest.raises(SourceError, match=match):
            prepare(session, store, batch, run)
    assert open_archive(store).has(receive(batch.delivery).digest)
    assert raw_rows(store) == []


def test_excel_is_read_by_content_when_its_ending_is_wrong(tmp_path, store):
    """A workbook under the ending of another kind is read all the same, and an encoding does not matter."""
    path = write_workbook(tmp_path / "in.xlsx", ("S", [NAMES, row("ä1")])).rename(tmp_path / "in.xls")
    assert counts(land(store, path, with_options(encoding="latin-1"))) == (1, 1, 0, 0)
    assert raw_rows(store, "sale_id") == [("ä1",)]
