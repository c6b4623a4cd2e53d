"""Contracts drafted from live tables: what the database promises is in them, and its rows land under them."""

from pathlib import Path

import pytest

from flows.drafting import Wishes, write_drafts
from flows.workplace import Workplace
from lake.contract import Contract
from lake.errors import ContractError, SourceError
from lake.odcs.reader import read_contract
from tests.crash_parts import run_here
from tests.database_parts import PASSWORD_NAME
from tests.http_parts import ask
from tests.postgres_parts import PASSWORD, READER, Database
from tests.test_postgres_types import MAKE, ROWS
from tests.test_sqlite import File

ORDERS = """
create type channel as enum ('shop', 'web');
create domain money_amount as numeric(12, 2) check (value >= 0);
create table "Orders" (
    "orderId" bigint generated always as identity, line_no smallint not null,
    placed_at timestamptz not null default now(), "updatedAt" timestamp with time zone not null, via channel not null,
    total money_amount not null default 0, note varchar(40), email text, tags text[],
    shipped boolean default false not null, size text check (size in ('S', 'M')),
    primary key ("orderId", line_no), constraint cheap check (total < 100000), unique (note)
);
comment on table "Orders" is 'One row per line of an order.';
comment on column "Orders".total is 'What it''s worth.';
insert into "Orders" (line_no, "updatedAt", via, total, note, tags)
values (1, '2026-01-01', 'web', 12.50, 'ü', '{a,b}');
"""


def draft(folder: Path, target: str, table: str = "") -> Contract:
    folder.mkdir(exist_ok=True)
    (folder / ".env").write_text(f'{PASSWORD_NAME}="{PASSWORD}"\n', encoding="utf-8")
    (path,) = write_drafts(Workplace(folder, is_quiet=True), target, Wishes(table=table))
    assert PASSWORD not in path.read_text()
    return read_contract(path)


def address(database: Database, table: str) -> str:
    return f"postgresql://{READER}@127.0.0.1:{database.port}/{database.name}/{table}?passwordSecret={PASSWORD_NAME}"


def test_draft_of_a_table_promises_what_the_database_does(tmp_path: Path, database: Database) -> None:
    """Types, keys, comments, enums, checks and defaults are the catalogue's; the rows land under the draft, once."""
    database.execute(ORDERS)
    database.let_read('"Orders"')
    contract = draft(tmp_path, address(database, "Orders"))

    assert (contract.source, contract.key, contract.watermark) == ("orders", ("order_id", "line_no"), "updated_at")
    assert contract.description == "One row per line of an order."
    kinds = {column.name: column.sql_type for column in contract.columns}
    assert kinds | {"via": "varchar", "total": "decimal(12,2)", "updated_at": "timestamptz", "tags": "json"} == kinds
    assert contract.column("via").enum == ("shop", "web")
    assert contract.column("total").description == "What it's worth."
    assert contract.column("size").enum == ("S", "M")
    assert contract.column("note").max_length == 40
    assert [rule.name for rule in contract.rules] == ["total_exclusive_maximum"]
    for _ in range(2):
        assert run_here(tmp_path).is_ok
    found = ask(tmp_path, "select order_id, via, total::text, note, tags::text from raw.orders")
    assert found == [(1, "web", "12.50", "ü", '["a","b"]')]


def test_draft_of_a_table_of_every_type_lands(tmp_path: Path, database: Database) -> None:
    """Whatever types a table has, its rows land under its draft; without a column of changes it is read whole."""
    database.execute(MAKE, ROWS)
    database.let_read("things")
    contract = draft(tmp_path, address(database, "public.things"))
    assert (contract.load, contract.watermark) == ("replace", None)
    assert run_here(tmp_path).is_ok
    assert ask(tmp_path, "select accepted_count, quarantined_count from ops.ingestion_log") == [(2, 0)]


def test_draft_of_an_sqlite_table_lands(tmp_path: Path) -> None:
    """A table of an SQLite file is drafted from what it was created with."""
    File(tmp_path / "shop.db").execute(
        "create table orders (id integer primary key, total decimal(8,2) not null, updated_at datetime)",
        "insert into orders values (1, 2.5, '2026-01-01 10:00:00')",
    )
    contract = draft(tmp_path, str(tmp_path / "shop.db"), "orders")
    assert (contract.server.path, contract.key, contract.watermark) == ("shop.db", ("id",), "updated_at")
    assert run_here(tmp_path).is_ok
    assert ask(tmp_path, "select id, total::text from raw.orders") == [(1, "2.50")]


def test_draft_of_a_table_tells_no_secret(tmp_path: Path, database: Database) -> None:
    """A user whose name is a secret is not told when the sign-in is refused."""
    (tmp_path / ".env").write_text('WHO="hidden-user"\nHOW="hidden-word"\n')
    target = f"postgresql://127.0.0.1:{database.port}/{database.name}/orders?userSecret=WHO&passwordSecret=HOW"
    with pytest.raises(SourceError, match=r"authentication failed for user \"\*\*\*\""):
        write_drafts(Workplace(tmp_path, is_quiet=True), target, Wishes())


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("postgresql://me:geheim@db/shop/orders", r"holds a password.*passwordSecret=NAME"),
        ("postgresql://me:gehe%69im@db/shop/orders", r"holds a password.*passwordSecret=NAME"),
        ("postgresql://me@db/shop/orders?password=geheim", r"has the unknown 'password'.*passwordSecret=NAME"),
        ("postgresql://me@db/shop", "names no table"),
        ("postgresql://me@db/shop/orders?passwort=X", "has the unknown 'passwort'"),
    ],
)
def test_draft_of_a_table_refuses_what_is_no_address(tmp_path: Path, target: str, message: str) -> None:
    """An address with a password in it, or without a table, is refused, and the password not told."""
    with pytest.raises(ContractError, match=message) as caught:
        draft(tmp_path, target)
    assert "geheim" not in str(caught.value)
