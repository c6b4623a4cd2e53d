"""Raw follows its contract: wider types and adopted columns in one commit, nothing that readers count on is lost."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from lake.contract import Column
from lake.engine import EngineLimits, Session
from lake.errors import ContractError
from lake.landing.widening import is_wider
from lake.ledger import find_batches
from lake.table_versions import Store
from lake.tables import read_commits, read_version
from tests.landing_parts import HEADER, SHOP, contract_with, counts, land, raw_rows

WIDE = "a9,2026-01-09,North,3000000000,1.123,x\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "lake"), {})


def deliver(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def retyped(**types: str):
    """The shop's contract with some columns of other types."""
    columns = tuple(replace(each, sql_type=types.get(each.name, each.sql_type)) for each in SHOP.columns)
    return contract_with(columns=columns, version="1.1.0")


def begun(folder: Path, store: Store) -> None:
    text = HEADER + "a1,2026-01-01,North,1,1.50,one\na2,2026-01-02,South,2,2.25,\na3,2026-01-02,Mars,2,2.25,\n"
    assert counts(land(store, deliver(folder, "1.csv", text))) == (3, 2, 1, 0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SMALLINT", "INTEGER"),
        ("INTEGER", "BIGINT"),
        ("INTEGER", "DOUBLE"),
        ("BIGINT", "DECIMAL(19,0)"),
        ("BIGINT", "DECIMAL(21,2)"),
        ("FLOAT", "DOUBLE"),
        ("DECIMAL(12,2)", "DECIMAL(14,4)"),
        ("DECIMAL(12,2)", "DECIMAL(13,2)"),
        ("DATE", "TIMESTAMP"),
    ],
)
def test_wider_types_hold_every_value(session, old, new):
    """What counts as wider takes the extreme values of the old type and gives them back, digit for digit."""
    assert is_wider(old, new)
    assert not is_wider(new, old)
    extremes = {"DATE": ["date '0001-01-01'", "date '9999-12-31'"], "FLOAT": ["'0.1'", "'3.4e38'"]}.get(old)
    if extremes is None:
        digits = {"SMALLINT": ("-32768", "32767"), "INTEGER": ("-2147483648", "2147483647")}
        digits["BIGINT"] = ("-9223372036854775808", "9223372036854775807")
        extremes = [f"'{value}'" for value in digits.get(old, ("-9999999999.99", "9999999999.99"))]
    for value in extremes:
        first = f"cast({value} as {old})"
        assert session.rows(f"select cast(cast({first} as {new}) as {old}) = {first}") == [(True,)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("BIGINT", "DOUBLE"),
        ("INTEGER", "FLOAT"),
        ("BIGINT", "DECIMAL(18,0)"),
        ("BIGINT", "DECIMAL(20,2)"),
        ("DECIMAL(12,2)", "DECIMAL(12,3)"),
        ("DECIMAL(12,2)", "DOUBLE"),
        ("DATE", "TIMESTAMP WITH TIME ZONE"),
        ("INTEGER", "VARCHAR"),
        ("VARCHAR", "INTEGER"),
    ],
)
def test_types_that_lose_something_are_not_wider(old, new):
    """A type that drops digits, guesses a zone, or takes arithmetic away from readers is none to widen to."""
    assert not is_wider(old, new)


def test_widening_rewrites_raw_once_and_keeps_everything(tmp_path, store):
    """D2: values, metadata columns, ledger and older versions stay right when types widen; it is one commit."""
    begun(tmp_path, store)
    before, columns = read_version(store, "raw.shop"), "sale_id, _run_id, _batch_id, _ingested_at, _source, _line"
    kept = raw_rows(store, f"{columns}, _record_id, units, price_eur")
    wide = retyped(units="bigint", price_eur="decimal(14,4)")
    assert counts(land(store, deliver(tmp_path, "2.csv", HEADER + WIDE), replace(wide, rules=()))) == (1, 1, 0, 0)
    after = read_version(store, "raw.shop")
    types = dict(after.columns)
    assert (types["units"], types["price_eur"]) == ("BIGINT", "DECIMAL(14,4)")
    assert raw_rows(store, "sale_id, units, price_eur")[-1] == ("a9", 3_000_000_000, Decimal("1.1230"))
    assert raw_rows(store, f"{columns}, _record_id, units, price_eur")[:2] == kept
    commits = [commit.metadata.get("change") for commit in read_commits(store, "raw.shop", before.version)]
    assert commits == [
        "widened units from INTEGER to BIGINT, widened price_eur from DECIMAL(12,2) to DECIMAL(14,4)",
        None,
    ]
    assert dict(read_version(store, "raw.shop", before.version).columns)["units"] == "INTEGER"
    with Session(EngineLimits()) as session:
        found = find_batches(session, store)
    assert [(each.read_count, each.accepted_count, each.table_version) for each in found] == [
        (3, 2, before.version),
        (1, 1, after.version),
    ]


def test_widening_again_does_nothing(tmp_path, store):
    """A contract that is met already costs raw no commit but the landing's own."""
    begun(tmp_path, store)
    wide = retyped(units="bigint")
    land(store, deliver(tmp_path, "2.csv", HEADER + "b1,2026-01-03,North,1,1.50,\n"), wide)
    version = read_version(store, "raw.shop").version
    land(store, deliver(tmp_path, "3.csv", HEADER + "b2,2026-01-03,North,1,1.50,\n"), wide)
    assert read_version(store, "raw.shop").version == version + 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (retyped(units="smallint"), r"'units' is INTEGER in raw\.shop and to be SMALLINT"),
        (retyped(price_eur="double"), r"'price_eur' is DECIMAL\(12,2\) in raw\.shop and to be DOUBLE"),
        (contract_with(columns=SHOP.columns[:-1]), "column 'note' is gone"),
        (contract_with(key=("sale_id", "sold_on")), "the key was 'sale_id' and is to be 'sale_id, sold_on'"),
        (contract_with(partition=("region",)), r"raw\.shop is partitioned by nothing, not by 'region'"),
        (
            contract_with(columns=(*SHOP.columns[:-1], replace(SHOP.columns[-1], required=True))),
            "column 'note' was optional and is to be required",
        ),
    ],
)
def test_breaking_changes_are_refused_with_their_cure(tmp_path, store, changed, said):
    """E10: a contract that takes back what it promised lands nothing, and says what to do."""
    begun(tmp_path, store)
    version = read_version(store, "raw.shop").version
    with pytest.raises(ContractError, match=said) as refusal:
        land(store, deliver(tmp_path, "2.csv", HEADER + "b1,2026-01-03,North,1,1.50,\n"), changed)
    assert refusal.value.code == "contract-breaking"
    assert "`version` to 2.0.0: the source then lands in raw.shop_v2, beside raw.shop" in refusal.value.cure
    assert read_version(store, "raw.shop").version == version


def test_new_optional_and_reordered_columns_are_no_breach(tmp_path, store):
    """Columns may be added, moved, and become optional; the table keeps its order."""
    begun(tmp_path, store)
    grown = contract_with(columns=(Column("colour", "colour", "varchar"), *reversed(SHOP.columns)))
    land(store, deliver(tmp_path, "2.csv", HEADER.replace("\n", ",colour\n") + "b1,2026-01-03,North,1,1,,red\n"), grown)
    assert raw_rows(store, "sale_id, colour") == [("a1", None), ("a2", None), ("b1", "red")]
    with pytest.raises(ContractError, match="column 'colour' is gone"):
        land(store, deliver(tmp_path, "3.csv", HEADER + "b2,2026-01-03,North,1,1.50,\n"))


def test_a_column_that_came_by_drift_is_adopted_with_its_type(tmp_path, store):
    """D2: under evolve an unknown column is text; declared later, its old values are read by the contract."""
    evolving = contract_with(drift="evolve")
    text = HEADER.replace("\n", ",First Seen\n") + "a1,2026-01-01,North,1,1.50,,03/02/2026\na2,2026-01-01,North,1,1,,\n"
    land(store, deliver(tmp_path, "1.csv", text), evolving)
    assert ("First Seen", "VARCHAR") in read_version(store, "raw.shop").columns
    seen = Column("first_seen", "First Seen", "date", formats=("%d/%m/%Y",))
    declared = replace(evolving, columns=(*SHOP.columns, seen))
    land(store, deliver(tmp_path, "2.csv", text.replace("a1", "b1").replace("a2", "b2")), declared)
    found = raw_rows(store, "sale_id, cast(first_seen as varchar)")
    assert found == [("a1", "2026-02-03"), ("a2", None), ("b1", "2026-02-03"), ("b2", None)]
    assert "First Seen" not in dict(read_version(store, "raw.shop").columns)


def test_a_drifted_column_with_other_values_is_not_adopted(tmp_path, store):
    """Values that the declared type cannot hold are not dropped: the contract is refused, with their number."""
    evolving = contract_with(drift="evolve")
    text = HEADER.replace("\n", ",size\n") + "a1,2026-01-01,North,1,1.50,,12\na2,2026-01-01,North,1,1.50,,XL\n"
    land(store, deliver(tmp_path, "1.csv", text), evolving)
    declared = replace(evolving, columns=(*SHOP.columns, Column("size", "size", "integer")))
    with pytest.raises(ContractError, match=r"'size' came by drift, as text, and 1 of its values .* no integer"):
        land(store, deliver(tmp_path, "2.csv", HEADER + "b1,2026-01-03,North,1,1.50,\n"), declared)
    text_again = replace(evolving, columns=(*SHOP.columns, Column("size", "size", "varchar")))
    land(store, deliver(tmp_path, "2.csv", HEADER + "b1,2026-01-03,North,1,1.50,\n"), text_again)
    assert raw_rows(store, "sale_id, size") == [("a1", "12"), ("a2", "XL"), ("b1", None)]


def test_a_new_optional_column_is_compared_with_rows_that_lack_it(tmp_path, store):
    """A record that comes again is a repeat when the new column is empty, and a new version when it is not."""
    begun(tmp_path, store)
    colour = Column("colour", "colour", "varchar")
    grown = contract_with(columns=(*SHOP.columns, colour), duplicates="latest-wins")
    again = "a1,2026-01-01,North,1,1.50,one,\na2,2026-01-02,South,2,2.25,,red\n"
    landed = land(store, deliver(tmp_path, "2.csv", HEADER.replace("\n", ",colour\n") + again), grown)
    assert counts(landed) == (2, 1, 0, 1)
    assert sorted(raw_rows(store, "sale_id, coalesce(colour, '')")) == [("a1", ""), ("a2", ""), ("a2", "red")]
