"""Alerts about the platform itself, on a real lake: each told once, again when it worsens, and when it is over."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flows.chores import HEALTH, Chore
from flows.job import Job
from flows.rework import refuse_batch, replay_batch
from flows.workplace import Workplace
from lake.platform_views import MEASURED
from tests.platform_parts import FIRST, ROOT, ask, chore_at, deliver, health_at, run_at, told, write_platform_shop

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = write_platform_shop(tmp_path / "shop")
    assert run_at(root, FIRST).failure is None
    return root


def measured_at(shop: Path, instant: datetime, *measures: tuple[str, str, float]) -> None:
    """Has measurements noted as the health chore notes its own: nobody can fill a disk for a test."""

    def work(job: Job) -> list[str]:
        rows = [[metric, subject, str(value), "count"] for metric, subject, value in measures]
        job.run.note(MEASURED, job.project.root.name, len(rows), rows=rows)
        return []

    chore_at(shop, instant, Chore(HEALTH, work))


def break_gate(shop: Path) -> None:
    deliver(shop, 2, "B1,2026-11-19,-7.00,")


def mend_gate(shop: Path) -> None:
    check = shop / "checks/marts/daily_orders.yml"
    check.write_text(check.read_text().replace(">= 0", ">= -100"), encoding="utf-8")


def test_platform_alerts_failed_run_is_told_until_a_good_one(shop: Path) -> None:
    """A failure is told at once, again when failures in a row have more than doubled, and when a run went well."""
    break_gate(shop)

    states = []
    for hour in range(1, 5):
        outcome = run_at(shop, FIRST + hour * HOUR)
        assert outcome.failure is not None
        states.append([state for state, _ in told(shop, "run_failed")])
    mend_gate(shop)
    assert run_at(shop, FIRST + 5 * HOUR).failure is None

    assert states == [["open"], ["open"], ["open", "worse"], ["open", "worse"]]
    assert told(shop, "run_failed") == [(state, "shop tester") for state in ("open", "worse", "over")]
    assert told(shop, "run-failed") == [], "told by the rule, not once more beside it"
    assert list((shop / "lake/data/outbox").glob("critical-a-check-failed-*.eml"))


def test_platform_alerts_another_ones_success_does_not_end_a_failure(shop: Path) -> None:
    """A failing deployment stays told as failing, whatever somebody else runs; chores say nothing of the pipeline."""
    break_gate(shop)
    run_at(shop, FIRST + HOUR, "prefect orders-daily")
    mend_gate(shop)

    run_at(shop, FIRST + 2 * HOUR, "somebody")
    health_at(shop, FIRST + 3 * HOUR)

    assert told(shop, "run_failed") == [("open", "shop prefect orders-daily")]


def test_platform_alerts_failed_check_names_file_and_line(shop: Path) -> None:
    """The alert of a closed gate says which check failed, where it is written, and when the table passes again."""
    break_gate(shop)
    run_at(shop, FIRST + HOUR)

    ((message,),) = ask(shop, "select message from ops.alert_history where rule = 'gate_failed'")
    mend_gate(shop)
    run_at(shop, FIRST + 2 * HOUR)

    assert message == 'Check "no negative day" failed, measured -7 (checks/marts/daily_orders.yml:2).'
    key = "marts marts.daily_orders no negative day"
    assert told(shop, "gate_failed") == [("open", key), ("over", key)]


def test_platform_alerts_failed_check_is_told_again_when_more_rows_fail(shop: Path) -> None:
    """A gate that stays closed is told once, again when more than half as many rows fail, and when it opens."""
    check = shop / "checks/marts/daily_orders.yml"
    rows = "failed rows:\n      fail query: select * from marts.daily_orders where amount < 0"
    check.write_text(check.read_text().replace("min(amount) >= 0:", rows), encoding="utf-8")
    break_gate(shop)
    for hour in (1, 2):
        run_at(shop, FIRST + hour * HOUR)
    once = told(shop, "gate_failed")
    deliver(shop, 3, "C1,2026-11-20,-1.00,")
    run_at(shop, FIRST + 3 * HOUR)
    check.write_text(check.read_text().replace("< 0", "< -100"), encoding="utf-8")
    assert run_at(shop, FIRST + 4 * HOUR).failure is None

    key = "marts marts.daily_orders no negative day"
    assert once == [("open", key)]
    assert told(shop, "gate_failed") == [(state, key) for state in ("open", "worse", "over")]


def test_platform_alerts_held_batch_is_told_until_decided(shop: Path) -> None:
    """A held batch is told once, however often the source is visited, and is over when a person has decided."""
    contract = shop / "lake/contracts/orders.yaml"
    rule = '    quality:\n      - {type: custom, name: worth, engine: soda, implementation: "avg(amount) > 1"}\n'
    contract.write_text(contract.read_text().replace("    properties:\n", f"{rule}    properties:\n"))
    deliver(shop, 3, "C1,2026-11-19,0.01,")

    assert run_at(shop, FIRST + HOUR).failure is not None
    run_at(shop, FIRST + 2 * HOUR)
    ((batch_id,),) = ask(shop, "select batch_id from ops.ingestion_log where status = 'held'")
    refuse_batch(Workplace(shop), str(batch_id), "no use")
    health_at(shop, FIRST + 3 * HOUR)

    assert told(shop, "batch_held") == [("open", f"orders {batch_id}"), ("over", f"orders {batch_id}")]


def test_platform_alerts_silent_source_is_late(shop: Path) -> None:
    """A source may be silent for its frequency and latency; then it is told, again when later still, and when over."""
    health_at(shop, FIRST + 26 * HOUR)
    assert told(shop, "source_stale") == []

    for hours in (27, 27.5, 55):
        health_at(shop, FIRST + hours * HOUR)
    deliver(shop, 4, "D1,2026-11-20,3.00,")
    run_at(shop, FIRST + 56 * HOUR)
    health_at(shop, FIRST + 57 * HOUR)

    assert told(shop, "source_stale") == [(state, "orders") for state in ("open", "worse", "over")]


def test_platform_alerts_missed_schedule_is_told(shop: Path) -> None:
    """A deployment whose cron time is more than an hour past is told, again five times later, and over once it ran."""
    noon = FIRST + 2 * HOUR  # 12:00 in India, the cron line's time
    health_at(shop, noon + HOUR / 2, is_deployed=True)
    assert told(shop, "schedule_overdue") == []

    for hours in (2, 3, 7):
        health_at(shop, noon + hours * HOUR, is_deployed=True)
    run_at(shop, noon + 8 * HOUR, "prefect orders-daily")
    for hours in (9, 23):
        health_at(shop, noon + hours * HOUR, is_deployed=True)

    assert told(shop, "schedule_overdue") == [(state, "orders-daily") for state in ("open", "worse", "over")]


def test_platform_alerts_schedule_nobody_deployed_is_not_missed(shop: Path) -> None:
    """Without a scheduler, only deployments that have run before are held to their times."""
    health_at(shop, FIRST + 5 * HOUR)
    assert told(shop, "schedule_overdue") == []

    run_at(shop, FIRST + 6 * HOUR, "prefect orders-daily")
    health_at(shop, FIRST + 2 * HOUR + DAY + 2 * HOUR)
    assert told(shop, "schedule_overdue") == [("open", "orders-daily")]


def test_platform_alerts_many_refused_records_of_a_day(shop: Path) -> None:
    """A source with more than a tenth refused within 24 hours is told, with both numbers, and over a day later."""
    ((message,),) = ask(shop, "select message from ops.alert_history where rule = 'ingestion_errors'")
    health_at(shop, FIRST + 25 * HOUR)

    assert message == "1 of 4 records were refused (25.0 %); allowed are 10 %."
    assert told(shop, "ingestion_errors") == [("open", "orders"), ("over", "orders")]


def test_platform_alerts_errors_of_a_day_are_told_until_they_are_replayed(shop: Path) -> None:
    """A day's refused records are told once, when the day is over; replaying the last of them ends it."""
    shutil.copy(ROOT / "sql/alerts/ingestion_errors_daily.sql", shop / "sql/alerts")
    health_at(shop, FIRST + HOUR)
    assert told(shop, "ingestion_errors_daily") == []

    for hours in (15, 16):
        health_at(shop, FIRST + hours * HOUR)
    assert told(shop, "ingestion_errors_daily") == [("open", "2026-11-18")]

    ((batch_id,),) = ask(shop, "select batch_id from ops.ingestion_log")
    mended = shop / "mended.csv"
    mended.write_text("line,ordered_on\n5,2026-11-18\n", encoding="utf-8")
    replay_batch(Workplace(shop), str(batch_id), mended)
    health_at(shop, FIRST + 17 * HOUR)
    assert told(shop, "ingestion_errors_daily") == [("open", "2026-11-18"), ("over", "2026-11-18")]


def test_platform_alerts_broken_rule_hides_no_failure(shop: Path) -> None:
    """When no rule can be evaluated, a failed run is told all the same, and the broken rule is in the audit log."""
    (shop / "sql/alerts/broken.sql").write_text(
        "/*\ntitle: t\nseverity: info\ndescription: d\n*/\nselect nothing from ops.ingestion_log", encoding="utf-8"
    )

    run_at(shop, FIRST + HOUR)
    break_gate(shop)
    run_at(shop, FIRST + 2 * HOUR)

    assert told(shop, "run-failed")
    ((count,),) = ask(shop, "select count(*) from ops.audit_log where event = 'alerts-unevaluated'")
    assert count == 2


def test_platform_alerts_undelivered_is_told_by_the_next_run(shop: Path) -> None:
    """An alert that no channel took is not taken for told: the next run tells it."""
    break_gate(shop)

    outcome = run_at(shop, FIRST + HOUR, smtp_host="127.0.0.1", smtp_port=9)
    assert outcome.failure is not None
    assert told(shop, "gate_failed") == []
    run_at(shop, FIRST + 2 * HOUR)

    assert [state for state, _ in told(shop, "gate_failed")] == ["open"]
    assert ask(shop, "select count(*) from ops.audit_log where event = 'alert-undelivered'") == [(1,)]


def test_platform_alerts_of_disk_and_files_are_told_once_when_worse_and_when_over(shop: Path) -> None:
    """At the threshold nothing is said; beyond it once, not for a little more, again when much worse, and when over."""
    steps = [(0.1, 200), (0.08, 250), (0.078, 290), (0.05, 301), (0.2, 10)]
    found = []
    for hour, (free, files) in enumerate(steps, start=1):
        disk, small = ("disk_free_ratio", "disk", free), ("table_small_file_count", "raw.orders", files)
        measured_at(shop, FIRST + hour * HOUR, disk, small)
        found.append([len(told(shop, rule)) for rule in ("disk_low", "many_small_files")])

    assert found == [[0, 0], [1, 1], [1, 1], [2, 2], [3, 3]]
    assert told(shop, "disk_low") == [(state, "disk") for state in ("open", "worse", "over")]
    assert told(shop, "many_small_files") == [(state, "raw.orders") for state in ("open", "worse", "over")]
    first = "select message from ops.alert_history where rule in ('disk_low', 'many_small_files') and state = 'open'"
    assert sorted(ask(shop, first)) == [("250 of its files are small.",), ("8.0 % of the disk is free.",)]


def test_platform_alerts_more_refused_records_are_told_again(shop: Path) -> None:
    """A source told for its refused records is told again when what is beyond a tenth grew by half, not for less."""
    deliver(shop, 2, "B1,2026-11-19,1.00,", "B2,2026-11-19,1.00,", "B3,never,1.00,")
    run_at(shop, FIRST + HOUR)
    deliver(shop, 3, "C1,never,1.00,", "C2,never,1.00,")
    run_at(shop, FIRST + 2 * HOUR)

    shares = (
        "select state, round(measured, 3) from ops.alert_history as told where rule = 'ingestion_errors' order by all"
    )
    assert ask(shop, shares) == [("open", 0.25), ("worse", 0.444)]
