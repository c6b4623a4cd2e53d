"""The history of a captured table: changes land once, carry what they can, and say what stands in the table."""

import json
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lake.contract import Column, Contract, RowRule, Server
from lake.engine import EngineLimits, Session
from lake.errors import ContractError
from lake.landing.judging import show_raw
from lake.odcs.changes import PLACE, as_history
from lake.table_versions import Store
from lake.tables import read_version
from sql.current import current_sql, current_views
from tests.landing_parts import counts, land, quarantine_rows, raw_rows

AT = "2026-01-02 03:04:05+00"
SHOPS = Contract(
    source="shops",
    version="1.0.0",
    path=Path("shops.yaml"),
    digest="d",
    description="Shops of the chain.",
    owner="shop@example.com",
    columns=(
        Column("shop_id", "id", "integer", required=True, minimum="1"),
        Column("city", "city", "varchar", required=True),
        Column("size", "size", "decimal(10,2)"),
    ),
    key=("shop_id",),
    server=Server("postgresql", "shops", "jsonl", {"mode": "capture"}),
    rules=(RowRule("has-size", "size is not null"), RowRule("low-id", "shop_id < 100")),
)
KEYLESS = replace(
    SHOPS, key=(), rules=(), columns=(Column("city", "city", "varchar"), Column("size", "size", "varchar"))
)


def change(kind: str, lsn: int, sequence: int = 1, **values: object) -> dict[str, object]:
    row = {name: values.get(name) for name in ("id", "city", "size")}
    return {**row, "_change": kind, "_changed_at": AT, "_lsn": str(lsn), "_sequence": str(sequence)}


def land_changes(store: Store, folder: Path, *changes: Mapping[str, object], contract: Contract = SHOPS):
    path = folder / f"{len(list(folder.glob('*.jsonl')))}.jsonl"
    names = [column.source_name for column in as_history(contract).columns]
    path.write_text("".join(json.dumps({name: each[name] for name in names}) + "\n" for each in changes))
    return counts(land(store, path, as_history(contract)))


@contextmanager
def history(store: Store, contract: Contract = SHOPS):
    with Session(EngineLimits(), store) as session:
        show_raw(session, contract, read_version(store, f"raw.{contract.source}"), None)
        yield session


def current(store: Store, columns: str, contract: Contract = SHOPS) -> list[tuple]:
    with history(store, contract) as session:
        return session.rows(f"select {columns} from ({current_sql(contract.source, contract)}) order by all")


def test_changes_are_rows_and_the_view_is_the_table(store, tmp_path):
    """Every change must be a row of raw, and the view must hold the last version of each key that is there."""
    read = land_changes(
        store,
        tmp_path,
        change("snapshot", 9, 1, id="1", city="Pune", size="2.50"),
        change("insert", 10, 1, id="2", city="Agra", size="1"),
        change("update", 10, 3, id="2", city="Agra", size="3"),
        change("delete", 20, 1, id="1"),
        change("insert", 30, 1, id="1", city="Goa", size="9"),
        change("insert", 40, 1, id="3", city="Leh", size="1"),
        change("delete", 40, 3, id="3"),
    )
    assert read == (7, 7, 0, 0)
    assert [(row[0], str(row[1]), row[2]) for row in current(store, "shop_id, size, _change")] == [
        (1, "9.00", "insert"),
        (2, "3.00", "update"),
    ]


def test_changes_that_come_again_are_duplicates_and_the_same_content_again_is_not(store, tmp_path):
    """A replayed change must be counted as duplicate; insert, delete and insert of one row must stay three."""
    life = [change(kind, lsn, id="1", city="Pune", size="1") for kind, lsn in (("insert", 1), ("insert", 3))]
    life.insert(1, change("delete", 2, id="1"))
    assert land_changes(store, tmp_path, *life) == (3, 3, 0, 0)
    again = [*life, change("update", 4, id="1", city="Pune", size="1")]
    assert land_changes(store, tmp_path, *again) == (4, 1, 0, 3)
    assert raw_rows(store, "_lsn, _change", "shops") == [(1, "insert"), (2, "delete"), (3, "insert"), (4, "update")]


def test_changes_without_values_are_excused_from_rules_about_them_only(store, tmp_path):
    """A delete needs its key and a truncate nothing; whatever carries values must meet every rule."""
    read = land_changes(
        store,
        tmp_path,
        change("delete", 1, id="7"),
        change("truncate", 2),
        change("delete", 3),
        change("delete", 4, id="700"),
        change("update", 5, id="7", size="1"),
        change("insert", 6, id="7", city="Pune"),
        change("delete", 7, id="0"),
        change("replaced", 8, id="7", city="Pune", size="1"),
    )
    assert read == (8, 2, 6, 0)
    assert quarantine_rows(store, "line, rule, category") == [
        (3, "shop_id_present", "MISSING_REQUIRED_FIELD"),
        (4, "low-id", "BUSINESS_RULE_VIOLATION"),
        (5, "city_present", "MISSING_REQUIRED_FIELD"),
        (6, "has-size", "BUSINESS_RULE_VIOLATION"),
        (7, "minimum", "DATA_QUALITY_ISSUE"),
        (8, "enum", "DATA_QUALITY_ISSUE"),
    ]


@pytest.mark.parametrize("kind", ["truncate", "baseline"])
def test_changes_before_the_table_was_emptied_stand_no_more(store, tmp_path, kind):
    """What came before a truncate, or is not in a new snapshot, must leave the view and stay in the history."""
    rows = [change("insert", 5, number, id=str(number), city="Pune", size="1") for number in (1, 3)]
    after = change("insert", 6, 4, id="9", city="Goa", size="1")
    assert land_changes(store, tmp_path, *rows, after) == (3, 3, 0, 0)
    assert current(store, "shop_id") == [(1,), (3,), (9,)]
    land_changes(store, tmp_path, change(kind, 6, 2))
    assert current(store, "shop_id") == [(9,)]
    assert len(raw_rows(store, "*", "shops")) == 4


def test_changes_of_a_table_without_a_key_leave_each_row_as_often_as_it_is_there(store, tmp_path):
    """Equal rows must be told apart by their number alone: two inserts and one delete leave one."""
    rows = [change("insert", lsn, city="Pune") for lsn in (1, 2, 3)]
    rows += [change("delete", 4, city="Pune"), change("insert", 5, city="Agra", size="2")]
    rows += [change("insert", 6, city="Leh"), change("delete", 7, city="Leh")]
    assert land_changes(store, tmp_path, *rows, contract=KEYLESS) == (7, 7, 0, 0)
    assert current(store, "city, size", KEYLESS) == [("Agra", "2"), ("Pune", None), ("Pune", None)]


def test_changes_make_a_contract_of_a_history(tmp_path):
    """The history's key must be the place of a change, and the table's own contract must be kept beside it."""
    made = as_history(SHOPS)
    assert made.key == PLACE and made.history_of is SHOPS
    assert [column.name for column in made.columns if column.required] == [
        "_change",
        "_changed_at",
        "_lsn",
        "_sequence",
    ]
    view = current_views([made])["raw.shops_current"]
    assert view.inputs == {"raw.shops"} and not view.is_table and view.header.grain == "one row per shop_id"
    assert current_views([SHOPS]) == {}


@pytest.mark.parametrize(
    ("contract", "complaint"),
    [
        (replace(SHOPS, columns=(*SHOPS.columns, Column("lsn", "_lsn", "bigint"))), "'_lsn' at its source"),
        (replace(SHOPS, more_servers=(SHOPS.server,)), "2 servers are given"),
        (replace(SHOPS, load="replace"), "loadMode: replace"),
        (replace(SHOPS, duplicates="first-wins"), "duplicatePolicy: first-wins"),
    ],
)
def test_changes_refuse_a_contract_that_no_history_can_keep(contract, complaint):
    """A column of ours at the source, or a policy that drops versions, must be refused in words."""
    with pytest.raises(ContractError, match=complaint):
        as_history(contract)


def test_changes_refuse_a_source_of_the_views_name():
    """A source that is named as the view of another must be refused."""
    with pytest.raises(ContractError, match="'shops', and a source"):
        current_views([as_history(SHOPS), replace(SHOPS, source="shops_current")])
