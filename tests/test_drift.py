"""D2: columns that come, go or change their name or type: by the contract's policy, with a suggestion, in writing."""

import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from lake.contract import Column
from lake.engine import EngineLimits, Session
from lake.errors import SourceError
from lake.formats.header import check_header, spell_as
from lake.landing.batch import identify
from lake.landing.committing import commit
from lake.landing.judging import judge, prepare
from lake.landing.resemblance import SAMPLE, fitting_type
from lake.ledger import write_events
from lake.operations import show_operations
from lake.sources.files import file_delivery
from lake.table_versions import Store
from lake.tables import read_version
from tests.landing_parts import HEADER, SHOP, begin, contract_with, counts, land, quarantine_rows, raw_rows

RENAMED = HEADER.replace("units", "qty")
ROWS = "a1,2026-01-01,North,1,1.50,one\na2,2026-01-02,South,2,2.25,\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "lake"), {})


def deliver(folder: Path, text: str, name: str = "in.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def drifts(store: Store, path: Path, contract) -> list[str]:
    """Judges one delivery and gives what its run noted as drift."""
    run = begin()
    with Session(EngineLimits()) as session:
        batch = identify(contract, file_delivery(contract, path, path.parent), run)
        try:
            judge(session, store, batch, run)
        except SourceError as error:
            assert error.code == "schema-drift"
        write_events(session, store, run)
        show_operations(session, store, {})
        query = "select change from ops.schema_history where change like 'drift%' order by changed_at desc"
        return [row[0] for row in session.rows(query)]


def test_a_renamed_column_is_suggested_in_the_refusal(tmp_path, store):
    """D2: refuse names what is missing and unknown, and the line that would mend the contract."""
    with pytest.raises(SourceError, match="lacks units and has the unknown qty: renamed") as refusal:
        land(store, deliver(tmp_path, RENAMED + ROWS), contract_with(drift="refuse"))
    assert "then `physicalName: qty` at column 'units'" in refusal.value.message
    assert drifts(store, deliver(tmp_path, RENAMED + ROWS), contract_with(drift="refuse")) == [
        "drift in in.csv: lacks units and has the unknown qty: renamed? then `physicalName: qty` at column 'units' "
        "(qty looks like bigint); refuse: the delivery is refused"
    ]


def test_a_renamed_column_is_suggested_in_quarantine(tmp_path, store):
    """D2: under quarantine every record says so, and none lands."""
    path = deliver(tmp_path, RENAMED + ROWS)
    assert counts(land(store, path)) == (2, 0, 2, 0)
    details = {row[0] for row in quarantine_rows(store, "details")}
    assert details == {
        "The delivery lacks units and has the unknown qty: renamed? then `physicalName: qty` at column 'units'."
    }
    assert "quarantine: all its records are quarantined" in drifts(store, path, SHOP)[0]


def test_an_evolving_table_keeps_unknown_columns_as_text_under_one_name(tmp_path, store):
    """D2: unknown columns stay text, so that no later value is lost; another spelling is the same column."""
    evolving = contract_with(drift="evolve")
    first = deliver(tmp_path, HEADER.replace("\n", ",Size\n") + "a1,2026-01-01,North,1,1.50,,007\n", "1.csv")
    land(store, first, evolving)
    second = deliver(tmp_path, HEADER.replace("\n", ",SIZE\n") + "a2,2026-01-01,North,1,1.50,,XL\n", "2.csv")
    land(store, second, evolving)
    land(store, deliver(tmp_path, HEADER + "a3,2026-01-01,North,1,1.50,\n", "3.csv"), evolving)
    assert raw_rows(store, 'sale_id, "Size"') == [("a1", "007"), ("a2", "XL"), ("a3", None)]
    assert dict(read_version(store, "raw.shop").columns)["Size"] == "VARCHAR"
    assert drifts(store, second, evolving) == []
    assert "Size looks like varchar" in drifts(Store(f"{store.uri}2", {}), first, evolving)[0]


def test_a_suggestion_under_evolve_takes_nothing_away(tmp_path, store):
    """D2: under evolve a renamed column is kept under its new name, and said to look like the missing one."""
    path = deliver(tmp_path, RENAMED + ROWS)
    land(store, path, contract_with(drift="evolve", source="fresh"))
    assert raw_rows(store, "sale_id, units, qty", "fresh") == [("a1", None, "1"), ("a2", None, "2")]
    (told,) = drifts(store, path, contract_with(drift="evolve"))
    assert "`physicalName: qty` at column 'units'" in told
    assert told.endswith("evolve: qty is kept as text, units reads as missing")


def test_an_unknown_column_with_a_name_of_ours_is_kept_beside_it(tmp_path, store):
    """D2: the source's `Units`, where our `units` comes from its `qty`, lands beside it and not in its place."""
    columns = tuple(replace(each, source_name="qty") if each.name == "units" else each for each in SHOP.columns)
    text = "id,day,region,qty,price,note,Units,_line\na1,2026-01-01,North,1,1.50,,box,x\n"
    land(store, deliver(tmp_path, text), contract_with(columns=columns, drift="evolve"))
    assert raw_rows(store, '_line, units, "Units_received", "_line_received"') == [(2, 1, "box", "x")]


def test_keys_that_differ_in_case_only_keep_their_values(tmp_path, store):
    """D2: `Units` beside `units` in a record of JSON lands beside it; `rowid` is a name of the engine's own."""
    record = {
        "id": "a1",
        "day": "2026-01-01",
        "region": "North",
        "units": 1,
        "price": 1.5,
        "note": "",
        "rowid": "seven",
    }
    path = deliver(tmp_path, json.dumps({**record, "Units": "box"}), "in.jsonl")
    land(store, path, contract_with(drift="evolve"))
    assert raw_rows(store, 'units, "Units_received", rowid_received') == [(1, "box", "seven")]


@pytest.mark.parametrize(
    ("header", "row", "pairs"),
    [
        ("id,day,region,unit,price,note", "a1,2026-01-01,North,1,1.50,x", ["unit` at column 'units'"]),
        ("id,day,Region Name,units,price,note", "a1,2026-01-01,North,1,1.50,x", ["Region Name` at column 'region'"]),
        ("id,when,region,units,price,note", "a1,2026-01-01,North,1,1.50,x", ["when` at column 'sold_on'"]),
        ("id,day,region,units,price,remark", "a1,2026-01-01,North,1,1.50,x", []),
        ("id,day,region,unit,price,note", "a1,2026-01-01,North,many,1.50,x", []),
        ("id,day,zone,qty,price,note", "a1,2026-01-01,North,1,1.50,x", ["zone` at column 're", "qty` at column 'un"]),
        ("id,day,region,one,price,two", "a1,2026-01-01,North,1,1.50,2", []),
    ],
)
def test_suggestions_go_by_names_and_values(tmp_path, store, header, row, pairs):
    """D2: like names whose values fit, or values that only one column fits; otherwise nothing is suggested."""
    (told,) = drifts(store, deliver(tmp_path, f"{header}\n{row}\n"), SHOP)
    assert [pair in told for pair in pairs] == [True] * len(pairs), told
    assert told.count("renamed?") == len(pairs), told


def test_order_case_and_white_space_of_a_header_are_no_drift(tmp_path, store):
    """D2: columns may stand in any order; a header in other case or spacing is read as the contract spells it."""
    text = " NOTE ;Price;ID;Day;Re gion;units\nx;1.50;a1;2026-01-01;North;2\n;1.50;a2;2026-01-01;Mars;2\n"
    path = deliver(tmp_path, text)
    refusing = contract_with(drift="refuse")
    assert counts(land(store, path, refusing)) == (2, 1, 1, 0)
    assert raw_rows(store, "sale_id, region, units, note") == [("a1", "North", 2, "x")]
    assert '"region":"Mars"' in quarantine_rows(store, "raw_data")[0][0].replace(" ", "")
    assert drifts(store, path, refusing) == []
    parquet = tmp_path / "in.parquet"
    duckdb.sql(
        "select 'a3' as ID, date '2026-01-01' as DAY, 'South' as Region, 1 as units, 1.5 as price, null as note"
    ).write_parquet(str(parquet))
    assert counts(land(store, parquet, refusing)) == (1, 1, 0, 0)


def test_names_are_respelled_only_where_that_is_certain():
    """An exact name stands for itself, and two spellings of one name are left for the drift policy."""
    assert spell_as(["ID", "Name"], ["id", "name"]) == ("id", "name")
    assert spell_as(["ID", "id"], ["id"]) == ("ID", "id")
    assert spell_as(["I D", "ID"], ["id"]) == ("I D", "ID")
    with pytest.raises(SourceError, match="has 'ID' twice"):
        check_header(["ID", "id"], ["id"], origin="x.csv")


def test_a_column_whose_values_no_longer_fit_is_told_with_the_type_that_would(tmp_path, store):
    """D2: each such row is a DATA_FORMAT_ERROR, and the column is drift, with its share and a fitting type."""
    rows = "".join(f"a{number},2026-01-01,North,{number}.25,1.50,\n" for number in range(49))
    path = deliver(tmp_path, HEADER + rows + "b1,2026-01-01,North,7,1.50,\n")
    assert counts(land(store, path)) == (50, 1, 49, 0)
    assert {row[0] for row in quarantine_rows(store, "category")} == {"DATA_FORMAT_ERROR"}
    (told,) = drifts(Store(f"{store.uri}2", {}), path, SHOP)
    assert told == (
        "drift in in.csv: 'units': 98% of the values are no integer; decimal(12,2) would fit; "
        "quarantine: these records are quarantined"
    )


def test_a_few_broken_values_are_no_drift(tmp_path, store):
    """D2: broken rows among good ones are told one by one, and not as a change of the source."""
    rows = "".join(f"a{number},2026-01-01,North,{'x' if number % 3 == 0 else number},1.50,\n" for number in range(30))
    assert drifts(store, deliver(tmp_path, HEADER + rows), SHOP) == []


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-20"], "bigint"),
        (["1.5", "20"], "decimal(12,1)"),
        (["1e5", "2.5"], "double"),
        (["2026-01-31", None], "date"),
        (["2026-01-31T10:00:00", "2026-01-31T10:00:00.5"], "timestamp"),
        (["2026-01-31T10:00:00Z"], "timestamptz"),
        (["true", "false"], "boolean"),
        (["007", "008"], "varchar"),
        (["one"], "varchar"),
    ],
)
def test_the_fitting_type_loses_no_character_that_matters(session, values, kind):
    """The type that is suggested takes every sampled value as it stands; leading zeros make it text."""
    rows = ", ".join("(null)" if value is None else f"('{value}')" for value in values)
    session.execute(f"create or replace table {SAMPLE} as select * from (values {rows}) as t(found)")
    assert fitting_type(session, SHOP, "found") == kind


def test_the_schema_history_tells_it_all(tmp_path, store):
    """D2: created, added, widened, adopted and drifted stand in `ops.schema_history`, in their order."""
    evolving, run = contract_with(drift="evolve"), begin()
    grown = replace(
        evolving,
        version="1.1.0",
        columns=(
            *(replace(each, sql_type="bigint") if each.name == "units" else each for each in SHOP.columns),
            Column("size", "Size", "integer"),
        ),
    )
    texts = (HEADER + ROWS, HEADER.replace("\n", ",Size\n") + "b1,2026-01-03,North,1,1.50,,42\n")
    with Session(EngineLimits()) as session:
        for place, (text, contract) in enumerate(
            [(texts[0], evolving), (texts[1], evolving), (texts[1].replace("b1", "c1"), grown)]
        ):
            path = deliver(tmp_path, text, f"{place}.csv")
            batch = identify(contract, file_delivery(contract, path, tmp_path), run)
            commit(store, prepare(session, store, batch, run), run)
        write_events(session, store, run)
        show_operations(session, store, {})
        found = session.rows("select contract_version, change from ops.schema_history order by changed_at")
    assert [row[0] for row in found] == ["1.0.0", "1.0.0", "1.0.0", "1.1.0"]
    assert [row[1] for row in found] == [
        "created",
        "drift in 1.csv: has the unknown Size (Size looks like bigint); evolve: Size is kept as text",
        "added Size",
        "widened units from INTEGER to BIGINT, adopted size as INTEGER (until now Size)",
    ]
