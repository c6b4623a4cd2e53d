"""A breaking contract publishes its second version beside the first; marts switch and go back in one step."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from lake.contract import major_of, versioned_name
from lake.odcs.reader import read_contract
from lake.table_versions import Store
from lake.tables import read_commits
from tests.crash_parts import ROOT, copy_shop, deliver, run_here, store_of
from tests.landing_parts import raw_rows
from tests.versions_parts import FIRST, SECOND, ask, contract_of, edit, simple_shop, sluice, sluice_said

IN_TEXT = ('physicalType: "decimal(12,2)"', 'physicalType: "decimal(10,1)"')
BROKEN = FIRST.replace("o2", "o6").replace("o1", "o7")


def second_version(shop: Path) -> Path:
    """Writes contract 2.0.0 beside that of 1.0.0: amounts with one decimal, and the region is not promised any more."""
    path = contract_of(shop).with_name("orders_v2.yaml")
    path.write_text(contract_of(shop).read_text("utf-8"), "utf-8")
    edit(path, ("version: 1.0.0", "version: 2.0.0"), IN_TEXT)
    return path


@pytest.mark.parametrize(
    ("version", "table"),
    [
        ("1.9.3", "sales"),
        ("0.1.0", "sales"),
        ("2.0.0", "sales_v2"),
        ("v3", "sales_v3"),
        ("12.1", "sales_v12"),
        ("2026.1", "sales"),
        ("2026-01-31", "sales"),
        ("second", "sales"),
    ],
)
def test_the_major_version_names_the_raw_table(version, table):
    """E10: from major version 2 on the raw table carries it; a year or a word is no major version."""
    assert versioned_name("sales", version) == table
    assert versioned_name(table, version) == table
    assert (major_of(version) == 1) == (table == "sales")


def test_a_breaking_change_without_a_new_major_stops_the_run(tmp_path):
    """E10: column, old and new, and the cure are in the message; raw, ledger and release stay as they are."""
    shop = simple_shop(tmp_path / "shop", FIRST)
    assert run_here(shop).is_ok
    before = ask(shop, "from raw.orders order by order_id")
    deliver(shop, SECOND)
    edit(contract_of(shop), IN_TEXT, ("version: 1.0.0", "version: 1.1.0"))
    code, said = sluice_said(shop, "run")
    assert code == 1
    assert "'amount_eur' is DECIMAL(12,2) in raw.orders and to be DECIMAL(10,1)" in said
    assert "raise `version` to 2.0.0: the source then lands in raw.orders_v2, beside raw.orders" in said
    assert "orders.yaml" in said
    assert ask(shop, "from raw.orders order by order_id") == before


@pytest.fixture(scope="module")
def versioned(tmp_path_factory) -> Path:
    """A shop that ran under version 1, and then under both."""
    shop = simple_shop(tmp_path_factory.mktemp("versioned") / "shop", FIRST)
    assert run_here(shop).is_ok
    (shop / "inbox" / "001.csv").unlink()  # only the archive has it now
    second_version(shop)
    deliver(shop, SECOND, "002.csv")
    assert run_here(shop).is_ok
    return shop


def test_both_versions_land_side_by_side(versioned):
    """E10: each version has its table, ledger and place in the release; both take the same file."""
    assert [row["order_id"] for row in ask(versioned, "from raw.orders order by 1")] == ["o1", "o2", "o3", "o4"]
    rows = ask(versioned, "select order_id, amount_eur from raw.orders_v2 order by 1")
    assert rows == [{"order_id": "o4", "amount_eur": 4.0}]
    ledger = "select source, read_count, accepted_count, quarantined_count from ops.ingestion_log order by all"
    assert [tuple(row.values()) for row in ask(versioned, ledger)] == [
        ("orders", 2, 2, 0),
        ("orders", 2, 2, 0),
        ("orders_v2", 2, 1, 1),
    ]
    assert ask(versioned, "select source, rule, column_name from ops.quarantine") == [
        {"source": "orders_v2", "rule": "type", "column_name": "amount_eur"}
    ]


def test_what_the_first_version_landed_is_carried_over_once(versioned):
    """E10: archived batches land in the new table in their order; asked for again, nothing changes."""
    done = json.loads(sluice(versioned, "batch", "carry", "orders", "orders_v2", "--json"))
    assert (done["batches"], done["present"], done["carried"], done["accepted"]) == (2, 1, 1, 2)
    again = json.loads(sluice(versioned, "batch", "carry", "orders", "orders_v2", "--json"))
    assert (again["present"], again["carried"], again["accepted"]) == (2, 0, 0)
    assert run_here(versioned).is_ok
    found = ask(versioned, "select order_id, amount_eur, _source from raw.orders_v2 order by 1")
    assert [(row["order_id"], row["amount_eur"]) for row in found] == [("o1", 10.0), ("o2", 2.5), ("o4", 4.0)]
    assert found[0]["_source"] == "inbox/001.csv"
    batch = ask(versioned, "select batch_id from ops.ingestion_log where source = 'orders' limit 1")[0]["batch_id"]
    code, said = sluice_said(versioned, "batch", "show", batch[:8])
    assert (code, "orders_v2:" in said) == (1, True)
    assert "orders_v2" in sluice(versioned, "batch", "show", f"orders_v2:{batch[:8]}")
    code, said = sluice_said(versioned, "batch", "carry", "orders", "order_v2")
    assert (code, "Did you mean 'orders_v2'?" in said) == (1, True)


def test_a_batch_that_was_landed_again_is_carried_over_in_its_first_place(tmp_path):
    """E10: what has been corrected since does not become the newest in the new table, as it did not in the old one."""
    shop = simple_shop(tmp_path / "shop", FIRST)
    edit(contract_of(shop), ("first-wins", "latest-wins"))
    sluice(shop, "land")
    deliver(shop, FIRST.replace("10.00", "11.00"))
    sluice(shop, "land")
    batch = ask(shop, "select batch_id from ops.ingestion_log order by table_version")[0]["batch_id"]
    sluice(shop, "batch", "reland", batch)
    second_version(shop)
    sluice(shop, "batch", "carry", "orders", "orders_v2")
    for source in ("orders", "orders_v2"):
        rows = raw_rows(store_of(shop), "_ingested_at, cast(amount_eur as varchar), order_id", source)
        assert [float(amount) for _, amount, order in rows if order == "o1"] == [10, 11]


def test_models_switch_in_one_release_and_go_back_in_one_step(versioned):
    """E10: reading the new table is one release with every mart; a rollback shows the old one, whole."""
    sluice(versioned, "batch", "carry", "orders", "orders_v2")
    before = ask(versioned, "from marts.by_month order by all")
    edit(versioned / "sql" / "staging" / "stg_orders.sql", ("from raw.orders", "from raw.orders_v2"))
    assert run_here(versioned).is_ok
    releases = ask(versioned, "select max(release_id) as newest from ops.releases")[0]["newest"]
    after = ask(versioned, "from marts.by_month order by all")
    assert sum(row["order_count"] for row in before) == 4
    assert sum(row["order_count"] for row in after) == 3
    assert sum(row["order_count"] for row in ask(versioned, "from marts.by_zone")) == 3
    sluice(versioned, "release", "rollback", str(releases - 1))
    assert ask(versioned, "from marts.by_month order by all") == before
    sluice(versioned, "release", "resume")
    assert run_here(versioned).is_ok
    assert ask(versioned, "from marts.by_month order by all") == after


def test_a_model_that_reads_a_version_nobody_lands_any_more_is_told(tmp_path):
    """E10: with only the second contract there, a model of raw.orders gets the cure."""
    shop = simple_shop(tmp_path / "shop", FIRST)
    second_version(shop).replace(contract_of(shop))
    code, said = sluice_said(shop, "run")
    assert code == 1
    assert "staging.stg_orders reads raw.orders" in said
    assert "new major version: read raw.orders_v2, or keep the contract before it beside the new one" in said


def test_a_carrying_over_that_is_held_back_goes_on_after_the_decision(tmp_path):
    """E10: the first batch that does not land stops it, so that the order stays; it goes on when that is decided."""
    shop = simple_shop(tmp_path / "shop", BROKEN)
    assert run_here(shop).is_ok
    deliver(shop, FIRST)
    assert run_here(shop).is_ok
    for file in (shop / "inbox").iterdir():
        file.unlink()
    path = second_version(shop)
    rule = "    quality:\n      - {type: custom, name: large, engine: soda, implementation: min(amount_eur) > 3}\n"
    edit(path, ("    properties:\n", f"{rule}    properties:\n"))
    code, said = sluice_said(shop, "batch", "carry", "orders", "orders_v2")
    assert (code, "carry-stopped" in said) == (1, True)
    held = ask(shop, "select batch_id from ops.ingestion_log where source = 'orders_v2' and status = 'held'")
    assert len(held) == 1
    sluice(shop, "batch", "admit", f"orders_v2:{held[0]['batch_id']}")
    code, said = sluice_said(shop, "batch", "carry", "orders", "orders_v2")
    assert (code, "carry-stopped" in said) == (1, True)
    held = ask(shop, "select batch_id from ops.ingestion_log where source = 'orders_v2' and status = 'held'")
    sluice(shop, "batch", "refuse", f"orders_v2:{held[0]['batch_id']}")
    done = json.loads(sluice(shop, "batch", "carry", "orders", "orders_v2", "--json"))
    assert (done["batches"], done["present"], done["carried"]) == (2, 2, 0)


def test_a_mart_gets_its_second_version_beside_it_and_takes_its_place(versioned):
    """E10: blue and green: by_zone_v2 stands beside by_zone, which then becomes a view of it, and back."""
    marts = versioned / "sql" / "marts"
    old = ask(versioned, "from marts.by_zone order by all")
    text = (marts / "by_zone.sql").read_text("utf-8")
    (marts / "by_zone_v2.sql").write_text(text.replace("sum(amount_eur)", "max(amount_eur)"))
    assert run_here(versioned).is_ok
    assert ask(versioned, "from marts.by_zone order by all") == old
    new = ask(versioned, "from marts.by_zone_v2 order by all")
    assert new != old
    header = text[: text.index("*/")]
    (marts / "by_zone.sql").write_text(f"{header}materialise: view\n*/\nselect * from marts.by_zone_v2\n")
    assert run_here(versioned).is_ok
    assert ask(versioned, "from marts.by_zone order by all") == new
    newest = ask(versioned, "select max(release_id) as newest from ops.releases")[0]["newest"]
    sluice(versioned, "release", "rollback", str(newest - 1))
    assert ask(versioned, "from marts.by_zone order by all") == old
    sluice(versioned, "release", "resume")
    assert run_here(versioned).is_ok
    assert ask(versioned, "from marts.by_zone order by all") == new


def test_a_third_version_follows_the_second(tmp_path):
    """The cure of a second version's breach is the third, and the table's name carries one number only."""
    shop = simple_shop(tmp_path / "shop", FIRST)
    path = second_version(shop)
    assert run_here(shop).is_ok
    edit(path, ('physicalType: "decimal(10,1)"', 'physicalType: "decimal(9,0)"'))
    code, said = sluice_said(shop, "run")
    assert (code, "raise `version` to 3.0.0" in said, "raw.orders_v3, beside raw.orders_v2" in said) == (1, True, True)
    edit(path, ("version: 2.0.0", "version: 3.0.0"))
    assert read_contract(path).source == "orders_v3"
    assert replace(read_contract(path), version="3").major == 3


def test_what_was_restricted_stays_masked_when_its_contract_is_gone(tmp_path):
    """E10: an old version's table outlives its contract; restricted columns stay masked, in quarantine, too."""
    shop = simple_shop(tmp_path / "shop", FIRST + "o9,2026-03-03,mars,oops\n")
    field = "description: The order's number.,"
    edit(contract_of(shop), (field, f"{field} classification: restricted,"))
    assert run_here(shop).is_ok
    assert {row["order_id"] for row in ask(shop, "select order_id from raw.orders")} == {"***"}
    second_version(shop)
    edit(shop / "sql" / "staging" / "stg_orders.sql", ("from raw.orders", "from raw.orders_v2"))
    contract_of(shop).unlink()
    assert run_here(shop).is_ok
    assert {row["order_id"] for row in ask(shop, "select order_id from raw.orders")} == {"***"}
    raw = ask(shop, "select raw_data from ops.quarantine where source = 'orders'")
    assert ["o9" in str(row["raw_data"]) for row in raw] == [False]
    with duckdb.connect(str(shop / "lake" / "data" / "lake.duckdb"), read_only=True) as client:
        assert client.sql("select distinct order_id from raw.orders").fetchall() == [("***",)]
        assert "o9" not in str(client.sql("select raw_data from ops.quarantine").fetchall())


@pytest.mark.soak
def test_a_carrying_over_that_is_killed_goes_on_where_it_was(tmp_path):
    """E10: killed after any number of batches and asked for again, the new table is that of one undisturbed call."""
    shop = simple_shop(tmp_path / "shop")
    for number in range(6):
        deliver(shop, FIRST.replace("\no", f"\np{number}"))
    assert run_here(shop).is_ok
    for file in (shop / "inbox").iterdir():
        file.unlink()
    second_version(shop)
    undisturbed = copy_shop(shop, tmp_path / "undisturbed")
    sluice(undisturbed, "batch", "carry", "orders", "orders_v2")
    rows = "select * exclude (_run_id, _ingested_at) from raw.orders_v2 order by all"
    counts = "select batch_id, status, read_count, accepted_count from ops.ingestion_log"
    ledger = f"{counts} where source = 'orders_v2' order by 1"
    assert run_here(undisturbed).is_ok
    expected = ask(undisturbed, rows), ask(undisturbed, ledger)
    store = Store(str(shop / "lake" / "data"), {})
    for wanted in (1, 3, 5):
        command = [sys.executable, "-m", "flows", "batch", "carry", "orders", "orders_v2", "--project", str(shop), "-q"]
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while child.poll() is None and landed(store) < wanted:
            time.sleep(0.002)
        child.kill()
        child.wait()
        assert landed(store) >= wanted
    sluice(shop, "batch", "carry", "orders", "orders_v2")
    assert run_here(shop).is_ok
    assert (ask(shop, rows), ask(shop, ledger)) == expected


def landed(store: Store) -> int:
    """How many batches raw.orders_v2 has."""
    return sum("ledger" in commit.metadata for commit in read_commits(store, "raw.orders_v2", -1))
