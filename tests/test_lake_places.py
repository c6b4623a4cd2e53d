"""Where a lake can be: a folder of any name that the libraries can keep; another is refused at once."""

import csv
from pathlib import Path

import pytest

from lake.errors import SettingsError
from lake.settings import Settings
from tests.crash_parts import run_here
from tests.shop_project import write_shop
from tests.versions_parts import ask, edit, sluice

HARD = '100% of #1, größe 日本 it\'s "so" [x] {y} * a+b; c&d=e:f'
REGIONS = (
    "plain",
    "a b",
    "100%",
    "a%20b",
    "it's",
    'say "so"',
    "#1",
    "what?",
    "größe",
    "x/y",
    "..",
    "a=b",
    "[y]",
    "*",
    "",
)


def deliver(shop: Path, name: str) -> None:
    with (shop / "incoming" / f"orders-{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["order_id", "ordered_on", "amount"])
        writer.writerows((f"{name}{place}", region, 1) for place, region in enumerate(REGIONS))


def test_lake_places_of_any_name_hold_partitions_of_any_name(tmp_path: Path) -> None:
    """Tables are written, rebuilt by partitions, tidied and read wherever the folder and partitions have such names."""
    shop = write_shop(tmp_path / HARD)
    contract = shop / "lake/contracts/orders.yaml"
    edit(
        contract, ("logicalType: date, description: Its day., required: true", "logicalType: string, description: It.")
    )
    edit(shop / "sql/marts/daily_orders.sql", ("owner: Shop\n", "owner: Shop\npartition: ordered_on\n"))
    for name, count in (("1", 1), ("2", 2)):
        deliver(shop, name)
        outcome = run_here(shop)
        assert outcome.is_ok, outcome.failure
        found = ask(shop, "select ordered_on, order_count from marts.daily_orders")
        assert {row["ordered_on"]: row["order_count"] for row in found} == {each or None: count for each in REGIONS}
    sluice(shop, "maintain")
    assert len(ask(shop, "from marts.daily_orders")) == len(REGIONS)


@pytest.mark.parametrize("name", ["a%20b", "back\\slash", "new\nline", "what?"])
def test_lake_places_that_delta_cannot_keep_are_refused(tmp_path: Path, name: str) -> None:
    """A path that Delta's library would take for another is named, with what to do, before anything is written."""
    shop = write_shop(tmp_path / name)
    with pytest.raises(SettingsError, match="Rename that folder") as refused:
        _ = Settings.read(shop).store
    assert refused.value.code == "lake-place-unfit"
