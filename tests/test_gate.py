"""The gate: every kind of check with a table that passes and one that fails, and everything that must not pass."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from checks.gate import run_gate
from checks.quality_score import score
from checks.suites import Stage, Suite
from checks.verdict import CheckResult, GateResult, require_passed
from lake.engine import EngineLimits, Session
from lake.errors import GateFailed, ModelError

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
COLUMNS = "order_id varchar, region varchar, units integer, revenue_inr decimal(14, 2), sold_at timestamptz"
GOOD = """
    ('a', 'North', 2, 10.50, timestamptz '2026-11-21 05:00:00+00'),
    ('b', 'O''Brien', 4, 20.25, timestamptz '2026-11-20 05:00:00+00')
"""


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(EngineLimits()) as opened:
        opened.execute(f"create table marts.sales ({COLUMNS})")
        opened.execute("create table reference.regions as select unnest(['North', 'O''Brien']) as name")
        yield opened


def suite(checks: str, stage: Stage = "marts", table: str = "sales") -> Suite:
    lines = "".join(f"  {line}\n" for line in checks.strip("\n").splitlines())
    return Suite(stage, f"{stage}.{table}", f"checks for {table}:\n{lines}", Path(f"checks/{stage}/{table}.yml"))


def check(session: Session, checks: str, **masked: frozenset[str]) -> tuple[CheckResult, ...]:
    masks = {name.replace("__", "."): columns for name, columns in masked.items()}
    return run_gate(session, "marts", [suite(checks)], masks, now=NOW).results


def only(results: tuple[CheckResult, ...]) -> CheckResult:
    assert len(results) == 1, results
    return results[0]


BAD_ROW = {
    "nothing": "delete from marts.sales",
    "late": "delete from marts.sales where sold_at > timestamptz '2026-11-21 00:00:00+00'",
    "missing": "insert into marts.sales values ('c', null, 1, 1, null)",
    "repeated": "insert into marts.sales values ('a', 'North', 1, 1, null)",
    "negative": "insert into marts.sales values ('c', 'North', -1, -1.00, null)",
    "elsewhere": "insert into marts.sales values ('c', 'Atlantis', 1, 1, null)",
    "retyped": "alter table marts.sales alter units type varchar",
    "dropped": "alter table marts.sales drop column units",
}
KINDS = [
    # kind, check without its threshold, what the threshold is broken by, statement that breaks it, measured, failed
    ("volume", "row_count", "< 2", "nothing", 0, None),
    ("freshness", "freshness(sold_at)", "> 12h", "late", 25 * 3600, None),
    ("completeness", "missing_count(region)", "> 0", "missing", 1, 1),
    ("completeness", "missing_percent(region)", "> 0", "missing", 33.33, 1),
    ("uniqueness", "duplicate_count(order_id)", "> 0", "repeated", 1, 1),
    ("uniqueness", "duplicate_percent(order_id)", "> 0", "repeated", 33.33, 1),
    ("validity", "invalid_count(region):\n    valid values: [North, O'Brien]", "> 0", "elsewhere", 1, 1),
    ("validity", "invalid_percent(units):\n    valid min: 0", "> 0", "negative", 33.33, 1),
    ("validity", "invalid_count(region):\n    valid regex: ^[A-Z'a-z]{1,7}$", "> 0", "elsewhere", 1, 1),
    ("rule", "failed rows:\n    fail condition: revenue_inr < 0", "> 0", "negative", 1, 1),
    ("rule", "failed rows:\n    fail query: select * from marts.sales where units < 0;", "> 0", "negative", 1, 1),
    ("rule", "total:\n    total query: select sum(revenue_inr) from marts.sales", "< 30.75", "negative", 29.75, None),
    ("rule", "least:\n    least expression: min(revenue_inr)", "< 0", "negative", -1, None),
    ("statistic", "min(revenue_inr)", "< 0", "negative", -1, None),
    ("statistic", "stddev(units)", "> 2", "negative", 2.5166114784235836, None),
]


def with_threshold(written: str, level: str, broken_by: str) -> str:
    first, *rest = written.split("\n")
    return "\n".join([f"- {first.removesuffix(':')}:", *rest, f"    {level}: when {broken_by}"])


@pytest.mark.parametrize("level", ["warn", "fail"])
@pytest.mark.parametrize(("kind", "written", "broken_by", "damage", "measured", "failed"), KINDS)
def test_gate_kind_passes_good_table_and_stops_bad_one(
    session: Session, level: str, kind: str, written: str, broken_by: str, damage: str, measured: float, failed: int
) -> None:
    """Every kind of check passes a good table and gives its warn or fail outcome, with its numbers, on a bad one."""
    session.execute(f"insert into marts.sales values {GOOD}")
    checks = with_threshold(written, level, broken_by)
    good = only(check(session, checks))
    assert (good.kind, good.outcome, good.sample) == (kind, "pass", ())
    session.execute(BAD_ROW[damage])
    bad = only(check(session, checks))
    assert (bad.kind, bad.outcome) == (kind, level)
    assert bad.measured == pytest.approx(measured)
    assert (bad.failed_count, bad.threshold) == (failed, f"{level} when {broken_by}")


SHAPES = [
    ("schema", "schema:\n    fail:\n      when required column missing: [units]", "dropped", 1, 1),
    ("schema", "schema:\n    fail:\n      when wrong column type: {units: int, sold_at: timestamptz}", "retyped", 1, 1),
    ("referential", "values in (region) must exist in reference.regions (name)", "elsewhere", 1, 1),
    ("reconciliation", "row_count same as reference.regions", "elsewhere", 1, None),
    ("completeness", "missing_count(region) = 0", "missing", 1, 1),
    ("volume", "row_count between 2 and 2", "negative", 3, None),
    ("freshness", "freshness(sold_at) < 12h", "late", 25 * 3600, None),
    ("rule", "failed rows:\n    fail condition: units < 0", "negative", 1, 1),
]


@pytest.mark.parametrize(("kind", "written", "damage", "measured", "failed"), SHAPES)
def test_gate_shape_passes_good_table_and_fails_bad_one(
    session: Session, kind: str, written: str, damage: str, measured: float, failed: int
) -> None:
    """Checks that carry their condition in themselves pass a good table and fail a bad one."""
    session.execute(f"insert into marts.sales values {GOOD}")
    good = only(check(session, f"- {written}"))
    assert (good.kind, good.outcome) == (kind, "pass"), good
    session.execute(BAD_ROW[damage])
    bad = only(check(session, f"- {written}"))
    assert (bad.kind, bad.outcome, bad.measured, bad.failed_count) == (kind, "fail", measured, failed)
    assert bad.threshold


def test_gate_both_thresholds_warn_before_they_fail(session: Session) -> None:
    """A check with a warn and a fail threshold warns between the two and fails beyond."""
    checks = "- missing_count(region):\n    warn: when > 0\n    fail: when > 1"
    session.execute(BAD_ROW["missing"])
    warned = only(check(session, checks))
    session.execute(BAD_ROW["missing"])
    failed = only(check(session, checks))
    assert (warned.outcome, failed.outcome) == ("warn", "fail")
    assert failed.threshold == "warn when > 0, fail when > 1"


def test_gate_missing_column_costs_no_other_check_its_answer(session: Session) -> None:
    """A check of a column that is not there is an error that says so; the checks beside it are evaluated."""
    session.execute(f"insert into marts.sales values {GOOD}")
    gate = run_gate(
        session,
        "marts",
        [suite("- missing_count(region) = 0\n- missing_count(nowhere) = 0\n- max(units) < 3\n- row_count = 2")],
        {},
        now=NOW,
    )
    outcomes = {result.check_name: result.outcome for result in gate.results}
    assert outcomes == {
        "missing_count(region) = 0": "pass",
        "missing_count(nowhere) = 0": "error",
        "max(units) < 3": "fail",
        "row_count = 2": "pass",
    }
    assert not gate.passed
    error = next(result for result in gate.failures if result.outcome == "error")
    assert '"nowhere" not found' in error.details
    assert error.measured is None


UNEVALUATED = [
    "missing_percent(nowhere) < 5",
    "duplicate_percent(nowhere) < 5",
    "duplicate_count(nowhere) = 0",
    "avg(units) > 0",
    "freshness(region) < 1d",
    "values in (nowhere) must exist in reference.regions (name)",
    "values in (region) must exist in reference.nowhere (name)",
    "row_count same as raw.nowhere",
    "total = 0:\n    total query: select sum(units) from marts.sales where units > 100",
    "total = 0:\n    total query: select 'many'",
    "failed rows:\n    fail query: select * from marts.nowhere",
    "failed rows:\n    fail condition: nowhere < 0",
    "failed rows:\n    fail condition: ${unknown} < 0",
    "schema:\n    fail:\n      when wrong column type: {units: no_such_type}",
]


@pytest.mark.parametrize("written", UNEVALUATED)
def test_gate_unevaluated_check_fails_the_gate(session: Session, written: str) -> None:
    """A check that could not be evaluated is an error with a reason, and the gate is closed."""
    session.execute("insert into marts.sales values ('a', 'North', null, 1, null)")
    gate = run_gate(session, "marts", [suite(f"- {written}\n- row_count = 1")], {}, now=NOW)
    assert sorted(result.outcome for result in gate.results) == ["error", "pass"], gate.results
    assert not gate.passed
    assert gate.failures[0].details


@pytest.mark.parametrize("written", ["row_count > 0", "schema:\n    fail:\n      when required column missing: [a]"])
def test_gate_missing_table_fails_the_gate(session: Session, written: str) -> None:
    """Checks of a table that is not in the session are errors."""
    gate = run_gate(session, "marts", [suite(f"- {written}", table="nowhere")], {}, now=NOW)
    assert [result.outcome for result in gate.results] == ["error"]
    assert gate.results[0].table_name == "marts.nowhere"


def test_gate_freshness_is_measured_against_the_instant_given(session: Session, monkeypatch: Any) -> None:
    """The same table is fresh or old by the instant handed in, whatever clock or environment there is."""
    monkeypatch.setenv("NOW", "1999-01-01T00:00:00+00:00")
    session.execute(f"insert into marts.sales values {GOOD}")
    checks = [suite("- freshness(sold_at) < 2h")]
    early = run_gate(session, "marts", checks, {}, now=NOW)
    late = run_gate(session, "marts", checks, {}, now=NOW + timedelta(days=1))
    assert (early.results[0].outcome, late.results[0].outcome) == ("pass", "fail")
    assert early.results[0].measured == timedelta(hours=1).total_seconds()


def test_gate_freshness_of_nothing_fails_unless_it_only_warns(session: Session) -> None:
    """A table without rows is not fresh: a failure where freshness may fail, a warning where it may only warn."""
    results = check(session, "- freshness(sold_at) < 1d\n- freshness(sold_at):\n    warn: when > 1d")
    assert [result.outcome for result in results] == ["fail", "warn"]
    assert {result.measured for result in results} == {None}


def test_gate_without_suites_passes_and_says_so(session: Session) -> None:
    """No checks give a passed gate with no results that says that nothing was proved."""
    gate = run_gate(session, "staging", [], {}, now=NOW)
    assert gate.passed
    assert gate.results == ()
    assert str(gate) == "staging: no checks, so nothing was proved"
    empty = run_gate(session, "marts", [Suite("marts", "marts.sales", "# later\n", Path("sales.yml"))], {}, now=NOW)
    assert (empty.passed, empty.results) == (True, ())


def test_gate_samples_five_rows_and_masks_restricted_values(session: Session) -> None:
    """At most five failing rows are kept, JSON-safe, with restricted columns masked and the others shown."""
    session.execute(
        "insert into marts.sales select 'o' || n, 'secret', -n, -n, timestamptz '2026-01-01 00:00:00+00'"
        " from range(1, 40) as t(n)"
    )
    checks = """
- invalid_count(units) = 0:
    valid min: 0
- missing_count(region) = 39
- failed rows:
    fail condition: units < 0
- failed rows:
    name: by query
    fail query: select order_id, region as alias, units from marts.sales where units < 0
- values in (region) must exist in reference.regions (name)
- duplicate_count(region) = 0
"""
    results = {result.check_name: result for result in check(session, checks, marts__sales=frozenset({"region"}))}
    assert len(results) == 6
    assert {len(result.sample) for name, result in results.items() if "missing" not in name} == {5}
    for result in results.values():
        text = json.dumps([dict(row) for row in result.sample])
        assert "secret" not in text + result.details
    assert results["failed rows"].failed_count == 39
    assert results["failed rows"].sample[0] == {
        "order_id": "o1",
        "region": "***",
        "units": -1,
        "revenue_inr": "-1.00",
        "sold_at": "2026-01-01T00:00:00+00:00",
    }
    assert results["by query"].sample[0] == {"order_id": "o1", "alias": "***", "units": -1}
    assert results["by query"].failed_count == 39


def test_gate_keeps_no_sample_where_the_author_wants_none(session: Session) -> None:
    """A check with a samples limit of zero counts its failing rows and shows none of them."""
    session.execute(BAD_ROW["negative"])
    checks = """
- failed rows:
    fail condition: units < 0
    samples limit: 0
- failed rows:
    fail query: select * from marts.sales
    samples limit: 0
- invalid_count(units) = 0:
    valid min: 0
    samples limit: 0
"""
    assert [(result.failed_count, result.sample) for result in check(session, checks)] == [(1, ())] * 3


INTERRUPTED = """
import _thread, threading
from datetime import UTC, datetime
from pathlib import Path
from checks.gate import run_gate, verify_suites
from checks.suites import Suite
from lake.engine import EngineLimits, Session
query = "select sum(hash(a.range + b.range)) % 2 from range(1000000) a, range(1000000) b"
suite = Suite("marts", "marts.t", f"checks:\\n  - n = 0:\\n      n query: {query}\\n", Path("t.yml"))
verify_suites([suite])
with Session(EngineLimits()) as session:
    threading.Timer(0.5, _thread.interrupt_main).start()
    try:
        run_gate(session, "marts", [suite], {}, now=datetime.now(UTC))
    except KeyboardInterrupt:
        print("stopped", session.value("select 1"))
"""


def test_gate_interrupt_is_not_taken_for_a_failed_check() -> None:
    """Somebody who stops the run while a gate computes stops the run, at once."""
    command = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("stopped 1\n", "", 0)


def test_gate_error_text_quotes_no_restricted_value(session: Session) -> None:
    """The message of a check that broke on a value does not show it when the table has restricted columns."""
    session.execute(f"insert into marts.sales values {GOOD}")
    checks = "- failed rows:\n    fail condition: cast(region as integer) > 0"
    hidden = only(check(session, checks, marts__sales=frozenset({"region"})))
    shown = only(check(session, checks))
    assert (hidden.outcome, shown.outcome) == ("error", "error")
    assert "North" not in hidden.details
    assert "Could not convert string '***'" in hidden.details
    assert "'North'" in shown.details


def test_gate_same_named_tables_of_two_schemas_are_told_apart(session: Session) -> None:
    """Schema checks look at the stage's own table, not at one of the same name in another schema."""
    session.execute("create table raw.sales (other varchar)")
    checks = "- schema:\n    fail:\n      when required column missing: [other]"
    assert only(check(session, checks)).outcome == "fail"
    gate = run_gate(session, "raw", [suite(checks, "raw")], {}, now=NOW)
    assert only(gate.results).outcome == "pass"


def test_gate_pipeline_checks_see_every_schema(session: Session) -> None:
    """Checks of the pipeline stage name tables of any schema, and belong to the table they name or to their file."""
    session.execute(f"insert into marts.sales values {GOOD}")
    text = """
checks for marts.sales:
  - row_count same as reference.regions
  - schema:
      fail:
        when required column missing: [order_id]
checks:
  - lost_paise = 0:
      lost_paise query: select 100 * (sum(revenue_inr) - 30.75) from marts.sales
"""
    pipeline = Suite("pipeline", "pipeline.reconciliation", text, Path("checks/pipeline/reconciliation.yml"))
    gate = run_gate(session, "pipeline", [pipeline], {}, now=NOW)
    assert gate.passed, gate.failures
    assert sorted(result.table_name for result in gate.results) == [
        "marts.sales",
        "marts.sales",
        "pipeline.reconciliation",
    ]


def test_gate_several_suites_share_one_stage(session: Session) -> None:
    """Suites of several tables, and two of one table, are judged together, each result under its table."""
    session.execute("create table marts.other as select 1 as units")
    session.execute(f"insert into marts.sales values {GOOD}")
    suites = [suite("- row_count > 0"), suite("- row_count > 5"), suite("- row_count = 1", table="other")]
    gate = run_gate(session, "marts", suites, {}, now=NOW)
    assert sorted((result.table_name, result.check_name, result.outcome) for result in gate.results) == [
        ("marts.other", "row_count = 1", "pass"),
        ("marts.sales", "row_count > 0", "pass"),
        ("marts.sales", "row_count > 5", "fail"),
    ]


def test_gate_two_expressions_of_one_name_are_measured_apart(session: Session) -> None:
    """Two checks that call different expressions, or opposite references, by one name get an answer each."""
    session.execute(f"insert into marts.sales values {GOOD}")
    checks = """
- n = 2:
    n expression: count(*)
- n = 6:
    n expression: sum(units)
- values in (region) must exist in reference.regions (name)
- values in (region) must not exist in reference.regions (name)
"""
    assert [result.outcome for result in check(session, checks)] == ["pass", "pass", "pass", "fail"]


def test_gate_two_threads_at_once_each_get_their_own_verdict() -> None:
    """Gates of two sessions running at the same time do not mix, although Soda has one log for all."""
    verdicts: dict[int, set[tuple[str, ...]]] = {}

    def judge(rows: int, checks: str) -> None:
        with Session(EngineLimits(threads=1)) as own:
            own.execute(f"create table marts.sales as select n as units from range({rows}) as t(n)")
            gates = [run_gate(own, "marts", [suite(checks)], {}, now=NOW) for _ in range(25)]
            verdicts[rows] = {tuple(result.outcome for result in gate.results) for gate in gates}

    tasks = [(1, "- row_count = 1\n- max(units) < 1"), (2, "- row_count = 1\n- max(nowhere) < 1")]
    threads = [threading.Thread(target=judge, args=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == {1: {("pass", "pass")}, 2: {("fail", "error")}}


def test_gate_error_no_check_accounts_for_closes_the_gate(session: Session) -> None:
    """When Soda reports an error but every check passed, the gate is closed all the same and says why."""
    text = "configurations for sales:\n  valid format for region: nonsense\nchecks for sales:\n"
    checks = Suite("marts", "marts.sales", f"{text}  - invalid_count(region) = 0\n", Path("sales.yml"))
    gate = run_gate(session, "marts", [checks], {}, now=NOW)
    assert not gate.passed
    assert [failure.details for failure in gate.failures] == ["Format nonsense is not supported."]


def test_gate_leaves_the_session_usable(session: Session) -> None:
    """A gate that failed and erred leaves the session's own connection as it was."""
    session.execute("set TimeZone = 'Asia/Kolkata'")
    check(session, "- row_count > 5\n- missing_count(nowhere) = 0")
    assert session.value("select current_setting('TimeZone')") == "Asia/Kolkata"
    session.execute(f"insert into marts.sales values {GOOD}")
    assert session.value("select count(*) from marts.sales") == 2


def test_gate_filter_restricts_the_rows_checked(session: Session) -> None:
    """A named filter narrows the rows its checks look at."""
    session.execute(f"insert into marts.sales values {GOOD}")
    text = "filter sales [north]:\n  where: region = 'North'\nchecks for sales [north]:\n  - row_count = 1\n"
    gate = run_gate(session, "marts", [Suite("marts", "marts.sales", text, Path("sales.yml"))], {}, now=NOW)
    assert only(gate.results).outcome == "pass"


def test_gate_broken_check_is_a_model_error(session: Session) -> None:
    """A check nobody can read stops the gate before it judges, with file and line."""
    with pytest.raises(ModelError, match=r"checks/marts/sales.yml:3: Soda does not understand.*bogus check"):
        check(session, "- row_count > 0\n- bogus check here")


RESULT = CheckResult("marts", "marts.sales", "rows", "volume", "pass", 2.0, "> 0", None, (), "")


def test_verdict_require_passed_names_the_failures() -> None:
    """A closed gate raises GateFailed naming its checks; a passed one lets through."""
    require_passed(GateResult("marts", (RESULT,)))
    place = Path("checks/marts/sales.yml")
    failed = CheckResult("marts", "marts.sales", "no row", "rule", "fail", 3.0, "= 0", 3, (), "", place, 7)
    with pytest.raises(
        GateFailed, match=r"sales.yml:7: The marts gate is closed: marts.sales: no row: fail, measured 3"
    ):
        require_passed(GateResult("marts", (RESULT, failed)))


def test_quality_score_weighs_kinds_and_credits_outcomes() -> None:
    """The score is the documented weighted share: 1 for a pass, one half for a warning, nothing for the rest."""
    results = [
        RESULT,
        CheckResult("marts", "marts.sales", "a", "schema", "fail", 1, "", 1, (), ""),
        CheckResult("marts", "marts.sales", "b", "validity", "warn", 1, "", 1, (), ""),
        CheckResult("marts", "marts.other", "c", "freshness", "error", None, "", None, (), ""),
    ]
    assert score(results) == {"marts.sales": Decimal("0.3333"), "marts.other": Decimal("0.0000")}
    assert score([]) == {}


def test_gate_names_the_line_of_each_check(session: Session) -> None:
    """A result says in which file and line its check was written."""
    session.execute(f"insert into marts.sales values {GOOD}")
    results = check(session, "- row_count > 5\n- missing_count(region) = 0")
    assert [(result.path, result.line) for result in results] == [
        (Path("checks/marts/sales.yml"), 2),
        (Path("checks/marts/sales.yml"), 3),
    ]
