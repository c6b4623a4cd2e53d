"""What landing tests share: a small contract, and landing one file outside any flow."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lake.contract import Column, Contract, RowRule, Server
from lake.engine import EngineLimits, Session, scan_sql
from lake.landing.batch import PreparedBatch, identify
from lake.landing.committing import commit, is_landed
from lake.landing.judging import prepare
from lake.ledger import sweep_commits
from lake.run import Run, begin_run
from lake.secrets import Secrets
from lake.sources.files import file_delivery
from lake.sources.visit import Visit
from lake.table_versions import Store
from lake.tables import read_version

STARTED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

SHOP = Contract(
    source="shop",
    version="1.0.0",
    path=Path("shop.yaml"),
    digest="d",
    description="Sales of a shop.",
    owner="shop@example.com",
    columns=(
        Column("sale_id", "id", "varchar", required=True),
        Column("sold_on", "day", "date", required=True),
        Column("region", "region", "varchar", enum=("North", "South")),
        Column("units", "units", "integer", minimum="0"),
        Column("price_eur", "price", "decimal(12,2)", default="1.00"),
        Column("note", "note", "varchar"),
    ),
    key=("sale_id",),
    server=Server("local", "inbox/*.csv", "csv", {}),
    rules=(RowRule("cheap", "units * price_eur < 1000", description="No sale costs a thousand."),),
    duplicates="first-wins",
    drift="quarantine",
)
HEADER = "id,day,region,units,price,note\n"


def visit(contract: Contract, project: Path, *, scratch: Path | None = None, secrets=None, known=None) -> Visit:
    """A visit to a source outside any flow: no secret is set unless given, and nothing is waited for."""
    secrets, scratch = Secrets((secrets or {}).get), scratch or project / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    return Visit(contract, project, scratch, begin(), secrets, pause=lambda _seconds: None, known=known or {})


def begin(*observers) -> Run:
    return begin_run("tester", observers=observers)


def land(
    store: Store, path: Path, contract: Contract = SHOP, *, session: Session | None = None, threads: int | None = None
) -> PreparedBatch | None:
    """Lands one file, gives None when it is there already."""
    if session is None:
        with Session(EngineLimits(threads=threads), store) as opened:
            return land(store, path, contract, session=opened)
    run = begin()
    batch = identify(contract, file_delivery(contract, path, path.parent), run)
    if is_landed(store, batch):
        return None
    prepared = prepare(session, store, batch, run)
    commit(store, prepared, run)
    sweep_commits(session, store, [contract.source])
    return prepared


def counts(prepared: PreparedBatch | None) -> tuple[int, int, int, int]:
    assert prepared is not None
    return tuple(prepared.counts.values())  # type: ignore[return-value]


def raw_rows(store: Store, columns: str = "*", source: str = "shop", *, session: Session | None = None) -> list[tuple]:
    return table_rows(store, f"raw.{source}", columns, session=session)


def quarantine_rows(store: Store, columns: str, *, session: Session | None = None) -> list[tuple]:
    return table_rows(store, "ops.quarantine", columns, session=session)


def table_rows(store: Store, name: str, columns: str, *, session: Session | None = None) -> list[tuple]:
    """Gives what the newest version of a table holds; a session that is open already spares the opening of another."""
    found = read_version(store, name)
    if found is None:
        return []
    scan = scan_sql([file.path for file in found.files], found.columns, evolved=found.evolved)
    with Session(EngineLimits(), store) if session is None else nullcontext(session) as reader:
        return reader.rows(f"select {columns} from ({scan}) order by all")


def contract_with(**changes) -> Contract:
    return replace(SHOP, **changes)
