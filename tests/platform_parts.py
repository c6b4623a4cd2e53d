"""What tests of the platform share: a shop with the pages and alert rules of this project, run at chosen instants."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from flows.chores import Chore, health_chore, metadata_chore, run_chore
from flows.outcome import Outcome
from flows.pipeline import run_pipeline
from flows.reading import open_lake
from flows.steps import plain_step
from flows.workplace import Workplace
from lake.project import open_project
from lake.run import begin_run
from lake.settings import Settings
from tests.shop_project import write_shop

ROOT = Path(__file__).resolve().parent.parent
FIRST = datetime(2026, 11, 18, 4, 30, tzinfo=UTC)  # ten in the morning in India
PLATFORM_PAGES = ("catalogue", "data_docs", "error_dashboard", "index", "platform_operations")
SECRET = "asha.rao@example.in"
BUYER = "      - {name: buyer, logicalType: string, description: Who bought., classification: restricted}\n"
SLA = """\
slaProperties:
  - {property: frequency, value: 1, unit: d}
  - {property: latency, value: 2, unit: h}
schema:
"""
ORDERS = f"""\
order_id,ordered_on,amount,buyer
A1,2026-11-17,10.50,{SECRET}
A2,2026-11-17,20.25,{SECRET}
A3,2026-11-18,5.00,
A4,never,1.00,{SECRET}
"""
DEPLOYMENTS = """\
name: shop
deployments:
  - name: orders-daily
    description: Lands orders.
    entrypoint: flows.prefect_flows.pipeline
    parameters: {marts: [daily_orders]}
    schedules: [{cron: "0 12 * * *", timezone: Asia/Kolkata}]
  - name: by-hand
    entrypoint: flows.prefect_flows.pipeline
"""
METRIC = "owner: Shop\nmetrics:\n  - {name: amount, description: What was paid., formula: sum(amount), unit: INR}\n"


RULES = (
    *("run_failed", "gate_failed", "batch_held", "ingestion_errors", "source_stale"),
    *("schedule_overdue", "disk_low", "many_small_files"),
)


def write_platform_shop(root: Path, pages: tuple[str, ...] = ()) -> Path:
    """Writes a shop with a restricted column, an SLA, a metric, a schedule, and the platform's own rules."""
    write_shop(root)
    contract = root / "lake/contracts/orders.yaml"
    contract.write_text(contract.read_text().replace("schema:\n", SLA) + BUYER, encoding="utf-8")
    mart = root / "sql/marts/daily_orders.sql"
    mart.write_text(mart.read_text().replace("owner: Shop\n", METRIC), encoding="utf-8")
    (root / "incoming/orders-1.csv").write_text(ORDERS, encoding="utf-8")
    (root / "prefect.yaml").write_text(DEPLOYMENTS, encoding="utf-8")
    (root / "pyproject.toml").write_text('[tool.sluice]\ntimezone = "Asia/Kolkata"\n', encoding="utf-8")
    (root / "sql/alerts").mkdir(parents=True)
    for rule in RULES:
        shutil.copy(ROOT / f"sql/alerts/{rule}.sql", root / "sql/alerts")
    (root / "reports/pages").mkdir(parents=True)
    for page in pages:
        shutil.copy(ROOT / f"reports/pages/{page}.html.j2", root / "reports/pages")
    return root


def deliver(root: Path, number: int, *lines: str) -> None:
    """Delivers a file of orders."""
    text = "order_id,ordered_on,amount,buyer\n" + "".join(f"{line}\n" for line in lines)
    (root / f"incoming/orders-{number}.csv").write_text(text, encoding="utf-8")


def clock_at(instant: datetime) -> Callable[[], datetime]:
    """A clock that begins at an instant and moves on by a millisecond each time it is read."""
    ticks = count()
    return lambda: instant + timedelta(milliseconds=next(ticks))


def run_at(root: Path, instant: datetime, actor: str = "tester", **settings: object) -> Outcome:
    """Runs the pipeline of a project as if it were that instant."""
    run = begin_run(actor, clock=clock_at(instant))
    return run_pipeline(open_project(root), Settings.read(root, **settings), run, (), (), plain_step)


def health_at(root: Path, instant: datetime, *, is_deployed: bool = False) -> list[str]:
    """Measures the platform as if it were that instant, and gives what was printed."""
    return chore_at(root, instant, health_chore(is_deployed=is_deployed))


def sync_at(root: Path, instant: datetime) -> list[str]:
    """Syncs the metadata as if it were that instant."""
    return chore_at(root, instant, metadata_chore())


def chore_at(root: Path, instant: datetime, chore: Chore) -> list[str]:
    """Does a chore as if it were that instant."""
    run = begin_run("tester", clock=clock_at(instant))
    return run_chore(open_project(root), Settings.read(root), run, chore, plain_step)


def ask(root: Path, query: str) -> list[tuple[object, ...]]:
    """What readers of the lake get for a query."""
    with open_lake(Workplace(root)) as lake:
        return lake.session.rows(query)


def told(root: Path, rule: str) -> list[tuple[object, ...]]:
    """What was told of a rule, oldest first: state and breach key."""
    return ask(
        root,
        f"select state, breach_key from ops.alert_history as told where rule = '{rule}' order by told.at, breach_key",
    )
