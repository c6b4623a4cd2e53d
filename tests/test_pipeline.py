"""The pipeline as one composition of plain functions, on a small shop."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from flows.outcome import Outcome
from flows.pipeline import run_pipeline
from flows.reading import open_lake
from flows.rework import admit_batch, refuse_batch
from flows.steps import plain_step
from flows.workplace import Workplace
from lake.project import open_project
from lake.run import begin_run
from lake.settings import Settings
from tests.shop_project import deliver_negative_orders, deliver_worthless_orders, write_shop

SELDOM = {"soda", "prefect", "plotly", "matplotlib", "polars", "httpx", "psycopg2", "confluent_kafka"}


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


def test_pipeline_refused_delivery_stops_no_other(shop: Path) -> None:
    """A delivery that cannot be taken fails the run and stays archived; those beside it have landed all the same."""
    contract = shop / "lake/contracts/orders.yaml"
    contract.write_text(contract.read_text().replace("orders-*.csv", "orders-*"))
    (shop / "incoming/orders-0.csv.gz").write_bytes(b"no gzip at all")

    outcome = run_shop(shop)

    assert outcome.failure is not None
    assert outcome.failure.code == "file-unreadable"
    statuses = "select status, read_count from ops.ingestion_log order by status"
    assert ask(shop, statuses) == [("landed", 4), ("refused", None)]
    assert run_shop(shop).failure is None, "what was refused stays so, and is said once"


HEADER = "/*\ndescription: d\ngrain: one row per ordered_on\nowner: Shop\n*/\n"
ALERT = """/*
title: Big day
severity: info
description: A day above 1.
*/
select 'big' as subject, ordered_on::varchar as breach_key, amount::double as measured, 1.0 as threshold,
    'big' as message
from marts.big_days
"""
FIGURES = """checks:
  - failed rows:
      name: the page shows the big days
      fail query: select page from ops.page_figures where (select count(*) from marts.big_days) < 0
"""
PAGE = """---
title: Orders
description: d
audience: a
owner: o
recipients: []
---
{% set days = query("select ordered_on, amount from marts.daily_orders order by ordered_on") %}
{{ table("Days", days) }}
"""


def test_pipeline_rules_about_marts_nobody_asked_for_wait(shop: Path) -> None:
    """Alert rules and checks of pages about a mart no release has yet stop nothing; once it is there, they count."""
    for name, text in {
        "sql/marts/big_days.sql": f"{HEADER}select * from marts.daily_orders where amount > 1",
        "sql/alerts/big_day.sql": ALERT,
        "checks/pipeline/big_figures.yml": FIGURES,
        "reports/pages/orders.html.j2": PAGE,
    }.items():
        (shop / name).parent.mkdir(parents=True, exist_ok=True)
        (shop / name).write_text(text, encoding="utf-8")

    narrow = run_shop(shop, "daily_orders")
    assert (narrow.failure, narrow.alerts) == (None, ())

    whole = run_shop(shop)
    assert whole.failure is None
    assert len(whole.alerts) == 2
    figures = "select outcome from ops.validation_results where table_name = 'pipeline.big_figures'"
    assert ask(shop, figures) == [("pass",)]


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
    assert outcome.deliveries
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


def test_pipeline_held_batch_fails_its_run_once(shop: Path) -> None:
    """A batch whose raw gate fails is archived and not in raw; the next run goes on without it, and says it waits."""
    run_shop(shop)
    deliver_worthless_orders(shop)

    held = run_shop(shop)
    after = run_shop(shop)

    assert held.failure is not None
    assert held.failure.code == "batch-held"
    assert ask(shop, "select count(*) from raw.orders") == [(3,)]
    assert after.failure is None
    assert after.sources[0].waiting_batches == held.sources[0].held_batches
    assert ask(shop, "select count(*) from ops.ingestion_log where status = 'held'") == [(1,)]


def test_pipeline_admitted_batch_lands(shop: Path) -> None:
    """A person's word lets a held batch in, with its ledger; a refused one never comes back."""
    deliver_worthless_orders(shop)
    (batch,) = run_shop(shop).sources[0].held_batches

    admitted = admit_batch(Workplace(shop, is_quiet=True), batch[:8])

    assert (admitted.status, admitted.accepted_count) == ("landed", 100)
    assert run_shop(shop).failure is None
    assert ask(shop, "select sum(order_count) from marts.daily_orders") == [(103,)]


def test_pipeline_refused_batch_stays_out(shop: Path) -> None:
    """A batch refused by a person is never landed by a later run."""
    deliver_worthless_orders(shop)
    (batch,) = run_shop(shop).sources[0].held_batches

    assert refuse_batch(Workplace(shop, is_quiet=True), batch[:8], "a test delivery").status == "refused"

    again = run_shop(shop)
    assert again.failure is None
    assert again.sources[0].waiting_batches == ()
    assert ask(shop, "select sum(order_count) from marts.daily_orders") == [(3,)]


def test_pipeline_two_runs_at_once_lose_nothing(shop: Path) -> None:
    """The slower of two runs of one mart builds and gates again, and the release holds what both landed."""
    run_shop(shop)
    (shop / "incoming" / "orders-4.csv").write_text(
        "order_id,ordered_on,amount\nE1,2026-11-24,2.00\n", encoding="utf-8"
    )
    late = shop / "incoming" / "orders-5.csv"
    overtaken: list[Outcome] = []

    def overtaking(name: str, work):  # type: ignore[no-untyped-def]
        def with_overtaker(*args: object) -> object:
            if name == "publish release" and not overtaken:
                late.write_text("order_id,ordered_on,amount\nF1,2026-11-25,3.00\n", encoding="utf-8")
                overtaken.append(run_shop(shop))
            return work(*args)

        return with_overtaker

    slower = run_pipeline(open_project(shop), Settings.read(shop), begin_run("slower"), (), (), overtaking)

    assert (overtaken[0].failure, slower.failure) == (None, None)
    assert ask(shop, "select sum(order_count) from marts.daily_orders") == [(5,)]
    assert ask(shop, "select count(*) from ops.audit_log where event = 'build-outrun'") == [(1,)]


def test_pipeline_writes_lineage_and_quality_down(shop: Path) -> None:
    """Every column of a mart is traced to where it comes from, and every gated table has its quality score."""
    run_shop(shop)

    edges = (
        "select from_table, from_column from ops.lineage where to_table = 'marts.daily_orders' and to_column = 'amount'"
    )
    scores = "select value from ops.data_metrics where table_name = 'marts.daily_orders' and metric = 'quality_score'"
    assert ask(shop, edges) == [("staging.stg_orders", "amount")]
    assert ask(shop, scores) == [(Decimal(1),)]


def test_pipeline_restricted_column_reaches_no_mart(shop: Path) -> None:
    """A mart that would show a restricted column, under whatever name, is refused before it is published."""
    contract = shop / "lake" / "contracts" / "orders.yaml"
    text = contract.read_text(encoding="utf-8")
    contract.write_text(text.replace("description: Its day.", "description: Its day., classification: restricted"))

    outcome = run_shop(shop)

    assert outcome.failure is not None
    assert outcome.failure.code == "restricted-column-leaks"
    assert "raw.orders.ordered_on" in outcome.failure.message
    assert outcome.release is None


def test_pipeline_import_leaves_alone_what_a_run_may_not_need() -> None:
    """Loading the pipeline loads no library that only some runs use: each costs a tenth of a second or more."""
    code = "import flows.pipeline, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "flows.pipeline" in loaded
    assert SELDOM.isdisjoint(loaded)
