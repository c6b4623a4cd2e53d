"""The pipeline as one composition of plain functions, on a small shop."""

from pathlib import Path

import pytest

from flows.outcome import Outcome
from flows.pipeline import run_pipeline
from flows.reading import open_lake
from flows.steps import plain_step
from flows.workplace import Workplace
from lake.project import open_project
from lake.run import begin_run
from lake.settings import Settings
from tests.shop_project import deliver_negative_orders, write_shop


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_shop(tmp_path / "shop")


def run_shop(shop: Path, *marts: str) -> Outcome:
    return run_pipeline(open_project(shop), Settings.read(shop), begin_run("tester"), marts, (), plain_step)


def ask(shop: Path, query: str) -> list[tuple[object, ...]]:
    with open_lake(Workplace(shop)) as lake:
        return lake.session.rows(query)


def test_pipeline_lands_builds_gates_and_publishes(shop: Path) -> None:
    """One run takes a delivery to a release, and its outcome says what became of every record."""
    outcome = run_shop(shop)

    (orders,) = outcome.sources
    assert outcome.failure is None
    assert (orders.read, orders.accepted, orders.quarantined, orders.duplicate) == (4, 3, 1, 0)
    assert (outcome.release, outcome.is_new_release) == (1, True)
    assert {gate.stage for gate in outcome.gates} >= {"raw", "marts"}
    assert ask(shop, "select sum(order_count), sum(amount) from marts.daily_orders")[0][0] == 3


def test_pipeline_run_again_changes_nothing(shop: Path) -> None:
    """Without new deliveries the release stays, and nothing is landed."""
    run_shop(shop)

    again = run_shop(shop)

    assert (again.release, again.is_new_release) == (1, False)
    assert again.sources[0].batches == 0


def test_pipeline_asked_for_a_mart_builds_what_it_needs(shop: Path) -> None:
    """A mart named without its schema brings its staging and its source with it."""
    run_shop(shop, "daily_orders")

    assert ask(shop, "select count(*) from staging.stg_orders") == [(3,)]


def test_pipeline_failed_gate_leaves_readers_their_release(shop: Path) -> None:
    """A closed gate fails the run; the release, the events and lake.duckdb are whole, and somebody is told."""
    run_shop(shop)
    deliver_negative_orders(shop)

    outcome = run_shop(shop)

    assert outcome.failure is not None
    assert outcome.failure.code == "gate-failed"
    assert (outcome.release, outcome.is_new_release) == (1, False)
    assert ask(shop, "select min(amount) >= 0 from marts.daily_orders") == [(True,)]
    failed = f"select outcome from ops.validation_results where run_id = '{outcome.run_id}' and outcome = 'fail'"
    assert ask(shop, failed) == [("fail",)]
    assert ask(shop, f"select event from ops.audit_log where run_id = '{outcome.run_id}' and event = 'alert-sent'")
    assert outcome.alerts
    assert list((shop / "lake" / "data" / "outbox").glob("critical-*.eml"))


def test_pipeline_broken_model_stops_before_anything_is_touched(shop: Path) -> None:
    """A project that cannot be read lands nothing: the run could not end well, so it does not begin."""
    (shop / "sql" / "marts" / "daily_orders.sql").write_text("select 1 as a", encoding="utf-8")

    outcome = run_shop(shop)

    assert outcome.failure is not None
    assert "daily_orders.sql" in str(outcome.failure)
    assert ask(shop, "select count(*) from ops.ingestion_log") == [(0,)]


def test_pipeline_bug_keeps_its_traceback_and_is_written_down(shop: Path) -> None:
    """What is no SluiceError goes through, after the run's events are in the lake."""
    run = begin_run("tester")

    def broken_step(name: str, work):  # type: ignore[no-untyped-def]
        def burst(*_: object) -> None:
            raise ZeroDivisionError("a bug")

        return burst if name == "publish release" else work

    with pytest.raises(ZeroDivisionError, match="a bug"):
        run_pipeline(open_project(shop), Settings.read(shop), run, (), (), broken_step)

    metrics = f"select outcome from ops.pipeline_metrics where run_id = '{run.id}' and step = 'run'"
    assert ask(shop, metrics) == [("failed",)]


def test_pipeline_seconds_name_every_stage(shop: Path) -> None:
    """The outcome tells how long every stage took, under the names a person understands."""
    seconds = run_shop(shop).seconds

    assert list(seconds)[:3] == ["plan", "gate raw.orders", "land orders"]
    assert {"build marts.daily_orders", "gate marts", "publish release"} <= set(seconds)
