"""Any project: a folder around real shop data, made of the files of docs/tutorial.md, run by the real command line.

The totals it publishes are held to a computation of their own, in polars, from the delivered file. The data lie beside
the checkout, in `shared/data`, or in the folder that SHARED_DATA names; they are never copied into the repository.
"""

import csv
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lake.settings import Settings
from tests.retail_parts import find_invoices
from tests.store_parts import IN_BUCKET_AT_LENGTH, copy_lake, move_lake, put_in_bucket
from tests.warm_parts import run_warm

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "docs" / "tutorial.md"
FILE_IN_TUTORIAL = re.compile(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONTRACT = "lake/contracts/online_retail.yaml"
BATCH = "a2e1"  # the file's digest begins so
MARTS = {"marts.customers", "marts.products", "marts.returns", "marts.revenue_daily"}
TABLES = MARTS | {"raw.online_retail", "staging.stg_online_retail"}
MONEY, PIECES = pl.Decimal(18, 2), pl.Decimal(18, 0)
COMMAND_SECONDS = 120


@dataclass(frozen=True)
class Shop:
    """One project folder, and the command line as a person would use it there."""

    folder: Path

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        unset = ("SLUICE_", "PREFECT_", "LAKE_URI", "AWS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
        given = kept | {"PREFECT_HOME": str(self.folder / ".prefect"), "SLUICE_THREADS": "2"}
        command = ["--project", str(self.folder), *arguments]
        return run_warm("flows.cli:main", *command, environment=given, timeout=COMMAND_SECONDS)

    def ok(self, *arguments: str) -> str:
        done = self.call(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"), parse_float=Decimal)

    def run(self) -> dict[str, Any]:
        told: dict[str, Any] = self.json("run", "-q")
        return told

    def sql(self, query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.json("sql", query)
        return rows

    def total(self, expression: str, table: str) -> Any:
        return self.sql(f"select {expression} as total from {table}")[0]["total"]

    def decisions(self, run_id: str) -> dict[str, Mapping[str, Any]]:
        """How each model was built in a run: unchanged, whole, or which partitions."""
        query = f"select subject, details from ops.audit_log where event = 'model-built' and run_id = '{run_id}'"
        return {row["subject"]: json.loads(row["details"]) for row in self.sql(query)}


def write_project(folder: Path) -> None:
    """The project of the tutorial, and the delivery it is about."""
    for name, text in FILE_IN_TUTORIAL.findall(TUTORIAL.read_text("utf-8")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "incoming").mkdir()
    shutil.copy(find_invoices(), folder / "incoming")


# What a run on a bucket takes long for, and what of it is another way than on a folder: reading, landing, replacing.
both_lakes = pytest.mark.parametrize("opened", IN_BUCKET_AT_LENGTH, indirect=True)
in_a_folder = pytest.mark.parametrize("opened", ["local"], indirect=True)


@pytest.fixture(scope="module")
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, dict[str, Any]]:
    """The shop after its first run, with what that run said, its lake in a folder or a bucket; to be read only."""
    folder = tmp_path_factory.mktemp("any") / "shop"
    write_project(folder)
    if getattr(request, "param", "local") == "s3":
        put_in_bucket(folder, request.getfixturevalue("s3_endpoint"))
    shop = Shop(folder)
    return shop, shop.run()


@pytest.fixture
def shop(opened: tuple[Shop, dict[str, Any]], tmp_path: Path) -> Shop:
    """A shop of one's own after its first run, lake and all."""
    folder = Path(shutil.copytree(opened[0].folder, tmp_path / "shop"))
    if (folder / ".env").exists():
        move_lake(folder, copy_lake(Settings.read(folder).store))
    return Shop(folder)


@pytest.fixture(scope="module")
def lines() -> pl.DataFrame:
    """The invoice lines that count, computed without Sluice: repeats once, nothing without a price, money exact."""
    code = pl.col("StockCode").str.to_uppercase()
    return (
        pl.read_csv(find_invoices(), infer_schema=False)
        .unique(maintain_order=True)
        .with_columns(
            code=code,
            day=pl.col("InvoiceDate").str.slice(0, 10),
            pieces=pl.col("Quantity").cast(pl.Int64),
            price=pl.col("UnitPrice").cast(MONEY),
            customer=pl.col("CustomerID").str.strip_suffix(".0").cast(pl.Int64),
            is_product=code.str.contains(r"^(\d{5}|DCGS)"),
        )
        .filter(pl.col("price") > 0)
        .with_columns(amount=(pl.col("pieces").cast(PIECES) * pl.col("price")).cast(MONEY))
    )


def sums(lines: pl.DataFrame, key: str, *values: pl.Expr) -> dict[Any, tuple[Any, ...]]:
    """The values of each key, as computed from the file."""
    return {row[0]: row[1:] for row in lines.group_by(key).agg(*values).rows()}


def published(shop: Shop, key: str, table: str, *columns: str) -> dict[Any, tuple[Any, ...]]:
    """The values of each key, as readers get them."""
    rows = shop.sql(f"select {', '.join((key, *columns))} from {table}")
    return {row[key]: tuple(row[column] for column in columns) for row in rows}


@both_lakes
def test_any_project_runs_with_nothing_of_sales_in_it(opened: tuple[Shop, dict[str, Any]]) -> None:
    """The first run publishes this project's tables and draws its page; no name of another project appears."""
    shop, told = opened
    assert told["is_ok"]
    assert told["is_new_release"]
    assert {row["table_name"] for row in shop.json("release", "show", "1")} == TABLES
    page = (shop.folder / "lake" / "data" / "pages" / "shop.mail.html").read_text("utf-8")
    assert "The shop" in page
    assert "£" in page
    assert not re.search(r"sales_daily|stg_sales|revenue_inr|₹", page)


@in_a_folder
def test_any_project_ledger_accounts_for_every_line(opened: tuple[Shop, dict[str, Any]], lines: pl.DataFrame) -> None:
    """The 30 000 lines read are accepted, quarantined or duplicate, in the numbers counted in the file."""
    shop, told = opened
    received = pl.read_csv(find_invoices(), infer_schema=False)
    counts = (30_000, lines.height, received.unique().height - lines.height, 30_000 - received.unique().height)
    (source,) = told["sources"]
    assert tuple(source[name] for name in ("read", "accepted", "quarantined", "duplicate")) == counts
    (batch,) = shop.json("batch", "list")
    assert batch["batch_id"].startswith(BATCH)
    assert (batch["read_count"], batch["accepted_count"]) == counts[:2]
    assert shop.total("count(*)", "raw.online_retail") == lines.height
    assert shop.total("count(*)", "ops.quarantine") == counts[2] + counts[3]


@both_lakes
def test_any_project_daily_revenue_is_that_of_the_file(
    opened: tuple[Shop, dict[str, Any]], lines: pl.DataFrame
) -> None:
    """Each of the 305 days has the lines, invoices and pounds, in and out, that polars finds in the file."""
    amount = pl.col("amount")
    expected = sums(
        lines,
        "day",
        pl.len(),
        pl.col("InvoiceNo").n_unique(),
        amount.filter(pl.col("pieces") > 0).sum().alias("invoiced"),
        amount.filter(pl.col("pieces") < 0).sum().alias("returned"),
        amount.sum(),
    )
    columns = ("line_count", "invoice_count", "invoiced_gbp", "returned_gbp", "revenue_gbp")
    assert published(opened[0], "invoiced_on", "marts.revenue_daily", *columns) == expected


@in_a_folder
def test_any_project_products_are_those_of_the_file(opened: tuple[Shop, dict[str, Any]], lines: pl.DataFrame) -> None:
    """Each product has its pieces and pounds; postage, fees and manual entries are no products."""
    pieces = pl.col("pieces")
    expected = sums(
        lines.filter("is_product"),
        "code",
        pieces.filter(pieces > 0).sum().alias("sold"),
        -pieces.filter(pieces < 0).sum().alias("returned"),
        pl.col("amount").sum(),
    )
    found = published(opened[0], "stock_code", "marts.products", "sold_count", "returned_count", "revenue_gbp")
    assert found == expected
    assert not {"POST", "M", "D", "C2", "DOT", "AMAZONFEE"} & found.keys()


@in_a_folder
def test_any_project_customers_are_those_of_the_file(opened: tuple[Shop, dict[str, Any]], lines: pl.DataFrame) -> None:
    """Each known customer, written 12923.0 and read as 12923, has the invoices and pounds that are his."""
    invoices = pl.col("InvoiceNo").filter(~pl.col("InvoiceNo").str.starts_with("C")).n_unique()
    expected = sums(lines.drop_nulls("customer"), "customer", invoices, pl.col("amount").sum())
    assert published(opened[0], "customer_id", "marts.customers", "invoice_count", "revenue_gbp") == expected


@in_a_folder
def test_any_project_returns_are_those_of_the_file(opened: tuple[Shop, dict[str, Any]], lines: pl.DataFrame) -> None:
    """Negative quantities of products are returns, cancelled invoices among them, with their pieces and pounds."""
    back = lines.filter(pl.col("is_product") & (pl.col("pieces") < 0))
    expected = sums(back, "code", pl.len().cast(pl.Int64), -pl.col("pieces").sum(), pl.col("amount").sum())
    rows = opened[0].sql(
        "select stock_code, sum(line_count) as line_count, sum(piece_count) as piece_count, "
        "-sum(returned_gbp) as amount_gbp from marts.returns group by stock_code"
    )
    assert {
        row["stock_code"]: (int(row["line_count"]), int(row["piece_count"]), row["amount_gbp"]) for row in rows
    } == expected


@in_a_folder
def test_any_project_second_run_changes_nothing(shop: Shop) -> None:
    """The same folder again lands no batch, builds no table and publishes no release."""
    told = shop.run()
    assert (told["is_ok"], told["is_new_release"], told["release"]) == (True, False, 1)
    assert [(source["batches"], source["read"]) for source in told["sources"]] == [(0, 0)]
    built = shop.decisions(told["run_id"])
    assert {name: how["decision"] for name, how in built.items() if name in MARTS} == dict.fromkeys(MARTS, "unchanged")


def deliver_late(shop: Shop) -> None:
    """A late file: a line of March known already, its cancellation, and a new line of the same day."""
    header, *rows = find_invoices().read_text("utf-8").splitlines()
    march = next(row for row in csv.reader(rows) if row[4].startswith("2011-03-17") and row[0].startswith("5"))
    number, code, words, quantity, at, price, *customer = march
    with (shop.folder / "incoming" / "late.csv").open("w", encoding="utf-8", newline="") as late:
        out = csv.writer(late)
        out.writerow(header.split(","))
        out.writerow(march)
        out.writerow([f"C{number}", code, words, f"-{quantity}", at, price, *customer])
        out.writerow([number, "99999", "LATE TEAPOT", "2", at, "7.25", *customer])


@both_lakes
def test_any_project_late_file_rebuilds_only_its_month(shop: Shop) -> None:
    """A corrected line of March rebuilds March in the marts kept by month, and moves the totals by what it brings."""
    before = shop.total("sum(revenue_gbp)", "marts.revenue_daily")
    other_months = "marts.revenue_daily where invoiced_month <> '2011-03-01'"
    untouched = shop.sql(f"from {other_months} order by invoiced_on")
    deliver_late(shop)
    told = shop.run()
    (source,) = told["sources"]
    assert (source["batches"], source["read"], source["accepted"], source["duplicate"]) == (1, 3, 2, 1)
    built = shop.decisions(told["run_id"])
    assert [built[name].get("partitions") for name in ("marts.revenue_daily", "marts.returns")] == [["2011-03-01"]] * 2
    returned = shop.sql("select quantity * unit_price_gbp as gbp from raw.online_retail where _source like '%late.csv'")
    assert len(returned) == 2
    after = shop.total("sum(revenue_gbp)", "marts.revenue_daily")
    assert after - before == sum(row["gbp"] for row in returned)
    assert shop.sql(f"from {other_months} order by invoiced_on") == untouched


@in_a_folder
def test_any_project_release_goes_back_and_on(shop: Shop) -> None:
    """A diff counts what the late file changed; a rollback shows the old figures and holds; resume builds on."""
    query = ("sum(revenue_gbp)", "marts.revenue_daily")
    first = shop.total(*query)
    deliver_late(shop)
    assert shop.run()["release"] == 2
    second = shop.total(*query)
    changes = {each["name"]: each for each in shop.json("release", "diff", "1", "2")}
    assert set(changes) == MARTS | {"raw.online_retail"}
    assert changes["raw.online_retail"]["added_rows"] == 2
    day = changes["marts.revenue_daily"]
    assert (day["changed_keys"], day["added_keys"], day["removed_keys"]) == (1, 0, 0)
    shop.ok("release", "rollback", "1")
    assert shop.total(*query) == first
    shop.run()
    assert shop.total(*query) == first, "a run undid the rollback"
    shop.ok("release", "resume")
    shop.run()
    assert shop.total(*query) == second


@in_a_folder
def test_any_project_mended_records_land(shop: Shop) -> None:
    """Two lines without a price get one: they land, once, and the marts grow by exactly their amounts."""
    before = shop.total("sum(revenue_gbp)", "marts.revenue_daily")
    (listed,) = shop.json("quarantine", "list")
    assert (listed["open_count"], listed["duplicate_count"], listed["record_count"]) == (37, 25, 62)
    records = [row for row in shop.json("quarantine", "show", BATCH) if row["rule"] == "has-a-price"]
    mended = shop.folder / "mended.csv"
    mended.write_text(f"line,UnitPrice\n{records[0]['line']},2.95\n{records[1]['line']},0.85\n", encoding="utf-8")
    pieces = [int(json.loads(record["raw_data"])["Quantity"]) for record in records[:2]]
    (replayed,) = shop.json("quarantine", "replay", BATCH, "--with", str(mended))
    assert (replayed["read_count"], replayed["accepted_count"]) == (2, 2)
    assert shop.json("quarantine", "list")[0]["open_count"] == 35
    assert shop.call("quarantine", "replay", BATCH, "--with", str(mended)).returncode == 1, "a record landed twice"
    shop.run()
    gained = pieces[0] * Decimal("2.95") + pieces[1] * Decimal("0.85")
    assert shop.total("sum(revenue_gbp)", "marts.revenue_daily") - before == gained


@both_lakes
def test_any_project_batch_lands_again_under_a_mended_contract(shop: Shop) -> None:
    """When what costs nothing is a sale after all, the archived bytes give these lines too; money stays the same."""
    before = shop.total("sum(revenue_gbp)", "marts.revenue_daily")
    contract = shop.folder / CONTRACT
    text = contract.read_text("utf-8")
    contract.write_text(text.replace("implementation: unit_price_gbp > 0", "implementation: unit_price_gbp >= 0"))
    (shop.folder / "incoming" / "online_retail.csv").unlink()  # the archive is enough
    (landed,) = shop.json("batch", "reland", BATCH)
    assert (landed["accepted_count"], landed["quarantined_count"], landed["duplicate_count"]) == (29_975, 0, 25)
    shop.run()
    assert shop.total("count(*)", "raw.online_retail") == 29_975
    assert shop.total("sum(revenue_gbp)", "marts.revenue_daily") == before


def test_any_project_contract_alone_lands_and_can_be_asked(tmp_path: Path) -> None:
    """A project that is one draft lands its file and publishes its raw table, before any model is written."""
    (tmp_path / "incoming").mkdir()
    delivery = shutil.copy(find_invoices(), tmp_path / "incoming")
    shop = Shop(tmp_path)
    shop.ok("draft", str(delivery))
    told = shop.run()
    assert (told["is_ok"], told["release"]) == (True, 1)
    assert shop.total("count(*)", "raw.online_retail") == 29_975
    assert shop.run()["is_new_release"] is False


@in_a_folder
def test_any_project_slip_is_told_in_one_line(shop: Shop) -> None:
    """A mart that is not there and a column that is not there: exit code 1, one line, the place and the cure."""
    wrong = shop.call("run", "-q", "revenue_dayly")
    assert wrong.returncode == 1
    assert wrong.stderr.splitlines() == [
        "sluice: There is no model 'revenue_dayly'. Did you mean 'revenue_daily'? [model-unknown]"
    ]
    model = shop.folder / "sql" / "marts" / "products.sql"
    model.write_text(model.read_text("utf-8").replace("sum(amount_gbp)", "sum(amount)"), encoding="utf-8")
    broken = shop.call("run", "-q")
    assert broken.returncode == 1
    assert len(broken.stderr.splitlines()) == 1
    assert re.search(r"sql/marts/products\.sql:\d+: .*amount", broken.stderr)
    assert shop.total("count(*)", "marts.products") > 0
