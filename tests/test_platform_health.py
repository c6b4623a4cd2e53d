"""The platform's health measured on a real lake, and what the project says of itself written down."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.cli import main
from flows.describing import schedules
from flows.health import due_before
from lake.durations import duration_seconds
from lake.errors import SettingsError
from lake.table_versions import Store
from lake.tables import read_version
from tests.platform_parts import FIRST, ask, deliver, health_at, run_at, sync_at, write_platform_shop

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop that ran well, then not, and was measured."""
    root = write_platform_shop(tmp_path_factory.mktemp("health") / "shop")
    run_at(root, FIRST)
    sync_at(root, FIRST + HOUR)
    deliver(root, 2, "B1,2026-11-19,-7.00,")
    run_at(root, FIRST + 2 * HOUR)
    health_at(root, FIRST + 3 * HOUR)
    return root


def newest(shop: Path) -> dict[tuple[str, str], float]:
    query = """
        select metric, subject, value from ops.platform_health_metrics
        qualify measured_at = max(measured_at) over ()
    """
    return {(str(metric), str(subject)): float(str(value)) for metric, subject, value in ask(shop, query)}


def test_platform_health_measures_disk_and_lake(shop: Path) -> None:
    """Disk, tables and files are what the file system and Delta say; every released table is measured."""
    found = newest(shop)
    ((version,),) = ask(shop, "select version from ops.tables where table_name = 'raw.orders'")
    orders = read_version(Store(str(shop / "lake/data"), {}), "raw.orders", int(str(version)))

    assert orders is not None
    assert found["disk_total_bytes", "disk"] == shutil.disk_usage(shop).total
    assert 0 < found["disk_free_ratio", "disk"] < 1
    assert found["table_bytes", "raw.orders"] == orders.byte_count
    assert found["table_file_count", "raw.orders"] == len(orders.files)
    tables = {subject for metric, subject in found if metric == "table_bytes"}
    assert tables == {"raw.orders", "marts.daily_orders", "_releases", "ops.events", "ops.batches", "ops.quarantine"}
    assert found["lake_bytes", "lake"] == sum(found["table_bytes", name] for name in tables)
    assert found["lake_bytes", "lake"] < found["stored_bytes", "lake"]
    assert found["table_small_file_count", "ops.events"] == found["table_file_count", "ops.events"] > 1
    assert found["table_small_file_count", "marts.daily_orders"] == 0, "the only file of a small table is no small file"


def test_platform_health_measures_sources_and_runs(shop: Path) -> None:
    """Lag is counted from the last landing, and only the last day's runs count; interrupted ones did not fail."""
    found = newest(shop)

    assert found["source_lag_seconds", "orders"] == pytest.approx(3600, abs=5)
    assert found["source_allowed_lag_seconds", "orders"] == 26 * 3600
    assert (found["day_run_count", "runs"], found["day_failed_run_count", "runs"]) == (3, 1)
    assert found["held_batch_count", "batches"] == 0


def test_platform_health_keeps_yesterdays_failures_out(tmp_path: Path) -> None:
    """A failure older than 24 hours is no failure of the day any more."""
    root = write_platform_shop(tmp_path / "shop")
    deliver(root, 2, "B1,2026-11-19,-7.00,")
    run_at(root, FIRST)

    health_at(root, FIRST + 25 * HOUR)

    assert newest(root)["day_failed_run_count", "runs"] == 0


def test_platform_health_is_cheap(shop: Path) -> None:
    """One measurement adds at most two commits to the lake, and writes nothing but events."""
    lake = shop / "lake/data"
    before = set(lake.rglob("_delta_log/*.json"))

    health_at(shop, FIRST + 3 * HOUR + timedelta(minutes=15))

    new = set(lake.rglob("_delta_log/*.json")) - before
    assert {path.parts[-3] for path in new} == {"events"}
    assert len(new) <= 2


def test_platform_health_describes_once(shop: Path) -> None:
    """A project that did not change is described by its first run only; a changed part is described anew."""
    query = "select subject, count(*) from ops.audit_log where event = 'project-described' group by subject"
    assert ask(shop, query) == [], "descriptions are no line of the audit log"
    count = "select count(*) from ops.pages"
    assert ask(shop, count) == [(0,)]

    assert sync_at(shop, FIRST + 4 * HOUR)[0] == "described anew: nothing"
    mart = shop / "sql/marts/daily_orders.sql"
    mart.write_text(mart.read_text().replace("Orders and amounts per day.", "Orders and amounts of each day."))

    assert sync_at(shop, FIRST + 5 * HOUR)[0] == "described anew: tables"
    described = ask(shop, "select description from ops.tables where table_name = 'marts.daily_orders'")
    assert described == [("Orders and amounts of each day.",)]


def test_platform_health_tables_and_columns(shop: Path) -> None:
    """Tables know owner, grain, rows and place; columns their type, their privacy by lineage, and their words."""
    tables = ask(shop, "select table_name, owner, grain, kind, row_count, path from ops.tables order by table_name")
    assert tables == [
        ("marts.daily_orders", "Shop", "one row per ordered_on", "table", 2, "sql/marts/daily_orders.sql"),
        ("raw.orders", "Shop", "one row per order_id", "table", 3, "lake/contracts/orders.yaml"),
        ("staging.stg_orders", "Shop", "one row per order", "view", None, "sql/staging/stg_orders.sql"),
    ]
    columns = "select column_name, data_type, privacy, description from ops.columns where table_name = '{}' order by 1"
    assert ask(shop, columns.format("marts.daily_orders")) == [
        ("amount", "decimal(18,2)", "internal", "What was paid."),
        ("order_count", "bigint", None, None),
        ("ordered_on", "date", "internal", "Its day."),
    ]
    assert ask(shop, columns.format("raw.orders"))[1] == ("buyer", "varchar", "restricted", "Who bought.")


def test_platform_health_impact_reaches_at_any_distance(shop: Path) -> None:
    """What depends on a raw column is found through views, with the number of steps."""
    reached = ask(
        shop,
        """
        select to_table, to_column, distance from ops.impact
        where from_table = 'raw.orders' and from_column = 'amount' order by distance, to_table
        """,
    )
    assert reached == [("staging.stg_orders", "amount", 1), ("marts.daily_orders", "amount", 2)]


def test_platform_health_measures_missing_values(shop: Path) -> None:
    """The share of nulls of each column comes from the files' statistics, once for each version of a table."""
    query = """
        select column_name, value from ops.data_metrics
        where metric = 'null_ratio' and table_name = 'raw.orders' and column_name in ('buyer', 'amount') order by 1
    """
    assert [(name, round(float(str(value)), 3)) for name, value in ask(shop, query)] == [
        ("amount", 0.0),
        ("buyer", 0.333),
    ]
    assert ask(
        shop, "select count(*) from ops.data_metrics where metric = 'row_count' and table_name = 'raw.orders'"
    ) == [(1,)]


def test_platform_health_reads_the_schedules(shop: Path) -> None:
    """Deployments with a cron line are known with their zone; those without are no schedule."""
    assert ask(shop, "select deployment, cron, timezone, marts from ops.schedules") == [
        ("orders-daily", "0 12 * * *", "Asia/Kolkata", ["daily_orders"])
    ]


def test_platform_health_broken_deployments_are_named(tmp_path: Path) -> None:
    """A prefect.yaml that is no YAML is named, and one that is not there is no error."""
    assert schedules(tmp_path) == []
    (tmp_path / "prefect.yaml").write_text("deployments: [", encoding="utf-8")

    with pytest.raises(SettingsError, match=r"prefect\.yaml:1: It is no YAML"):
        schedules(tmp_path)


@pytest.mark.parametrize(
    ("cron", "zone", "due"),
    [
        ("30 6 * * *", "Asia/Kolkata", datetime(2026, 11, 21, 1, 0, tzinfo=UTC)),
        ("*/15 * * * *", "UTC", datetime(2026, 11, 21, 11, 45, tzinfo=UTC)),
        ("0 2 * * 0", "Asia/Kolkata", datetime(2026, 11, 14, 20, 30, tzinfo=UTC)),
        ("nonsense", "UTC", None),
    ],
)
def test_platform_health_finds_the_last_time_due(cron: str, zone: str, due: datetime | None) -> None:
    """The last time a cron line named before an instant, in its own zone."""
    assert due_before(cron, zone, datetime(2026, 11, 21, 11, 59, tzinfo=UTC)) == due


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("36 h", 129_600), ("1 d", 86_400), ("1.5 hours", 5_400), ("30 s", 30), ("2 weeks", 1_209_600), ("soon", None)],
)
def test_platform_health_durations(text: str, seconds: float | None) -> None:
    """Durations of contracts are read in every unit; what is none is none."""
    assert duration_seconds(text) == seconds


def test_platform_health_commands(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`sluice health`, `sluice sync` and `sluice export` do by hand what the deployments do, and say what they did."""
    project = ["--project", str(shop), "-q"]

    assert main(["health", *project]) == 0
    assert "measured: " in capsys.readouterr().out
    assert main(["sync", *project]) == 0
    assert "described anew: " in capsys.readouterr().out
    assert main(["export", "--day", "2026-11-18", *project]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines() if line.endswith(".csv")]
    assert [path.name for path in paths] == ["ingestion_logs.csv", "alerts.csv"]
    assert all(path.is_file() for path in paths)
