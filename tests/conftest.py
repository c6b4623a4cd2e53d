"""What every test may use."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lake.engine import EngineLimits, Session
from lake.run import Run, begin_run
from lake.table_versions import Store
from tests.chance import settle_hypothesis
from tests.postgres_parts import Cluster, Database, serving_postgres
from tests.store_parts import make_store, serving_s3

ROOT = Path(__file__).resolve().parent.parent
# With several workers the files that take longest begin first, so that none is left alone with one of them at the end.
LONGEST_FIRST = (
    *("test_prefect_flows", "test_crash", "test_races", "test_kafka_faults", "test_watch", "test_capture_faults"),
    *("test_any_history", "test_s3_lake", "test_service_crash", "test_ledger_property", "test_any_project"),
    "test_widening_crash",
    *("test_rules", "test_demo_pages", "test_http_faults", "test_draft_roundtrip", "test_incremental", "test_demo_run"),
    *("test_uploads", "test_http_pull", "test_postgres_volume", "test_buckets", "test_service", "test_page_browser"),
    *("test_commerce_totals", "test_platform_alerts", "test_postgres", "test_releases", "test_relanding"),
)
FIRST_INSTANT = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)

settle_hypothesis()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take longest first; within a file the order stays."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture
def session() -> Iterator[Session]:
    """A DuckDB session small enough that two run side by side."""
    with Session(EngineLimits(memory="512MB", threads=2)) as opened:
        yield opened


@pytest.fixture(scope="session", autouse=True)
def _own_settings() -> Iterator[None]:
    """No test reaches for the store, or with the keys, of whoever runs it."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("AWS_") or name == "LAKE_URI"]:
            environment.delenv(name)
        yield


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of an S3 server in a process of its own."""
    with serving_s3() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server of the tests' own; whoever stops or kills it starts it again."""
    with serving_postgres() as cluster:
        yield cluster


@pytest.fixture
def database(postgres: Cluster) -> Iterator[Database]:
    """An empty database, gone with the test."""
    made = postgres.create_database()
    yield made
    postgres.drop_database(made)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty lake: in a folder, or in a bucket where the test is marked with `both`."""
    if getattr(request, "param", "local") == "s3":
        return make_store(request.getfixturevalue("s3_endpoint"), tmp_path / "settings")
    return Store(str(tmp_path / "lake"), {})


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """A clock that moves on by a microsecond each time it is read."""
    ticks = iter(range(1_000_000))
    return lambda: FIRST_INSTANT + timedelta(microseconds=next(ticks))


@pytest.fixture
def run(clock: Callable[[], datetime]) -> Run:
    """A run begun at a known instant."""
    return begin_run("tester", clock=clock)
