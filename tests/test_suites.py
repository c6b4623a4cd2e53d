"""Check files and generated checks: what is read, what is refused with file and line, what a contract implies."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from checks.contract_suite import contract_suite
from checks.gate import run_gate, verify_suites
from checks.suites import Suite, find_suites
from checks.verdict import CheckResult
from lake.contract import Column, Contract, RowRule, Server, TableRule
from lake.engine import EngineLimits, Session
from lake.errors import ContractError, ModelError

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_suites_are_found_by_stage_and_table(tmp_path: Path) -> None:
    """Every file becomes the suite of its folder's stage and its own name, in the order of the stages."""
    write(tmp_path, "marts/sales_daily.yml", "checks for sales_daily:\n  - row_count > 0\n")
    write(tmp_path, "raw/sales.yaml", "checks for raw.sales:\n  - row_count > 0\n")
    write(tmp_path, "pipeline/totals.yml", "checks for ops.batches:\n  - row_count > 0\n")
    write(tmp_path, "marts/notes.md", "not a check")
    found = find_suites(tmp_path, {"marts.sales_daily", "raw.sales"})
    assert [(suite.stage, suite.table_name) for suite in found] == [
        ("raw", "raw.sales"),
        ("marts", "marts.sales_daily"),
        ("pipeline", "pipeline.totals"),
    ]
    verify_suites(found)
    assert find_suites(tmp_path / "nowhere") == []


BROKEN_FILES = [
    ("marts/a.yml", "checks for a:\n  - row_count > 0\n bad: [", r"a.yml:\d: This is no YAML", "check-file-invalid"),
    ("marts/a.yml", "- row_count > 0\n", "a.yml:1: A check file holds sections", "check-file-invalid"),
    (
        "marts/a.yml",
        "checks for a:\n  - x\nchecks for a:\n  - y\n",
        "a.yml:3: .*key 'checks for a' stands twice; first on line 1",
        "check-file-invalid",
    ),
    ("marts/a.yml", "checks for b:\n  - row_count > 0\n", "a.yml:1: .*'marts.a'.*'b'", "check-table-mismatch"),
    ("marts/a.yml", "\nprofile columns:\n  columns: [a]\n", "a.yml:2: .*'profile columns'", "check-section-unknown"),
    ("marts/a.yml", "variables:\n  x: 1\n", "a.yml:1: .*'variables'", "check-section-unknown"),
    ("mart/a.yml", "checks for a:\n  - row_count > 0\n", "folder 'mart' is no stage", "check-stage-unknown"),
    ("a.yml", "checks for a:\n  - row_count > 0\n", "is no stage", "check-stage-unknown"),
    ("marts/typo.yml", "checks for typo:\n  - row_count > 0\n", "typo.yml:1: .*'marts.typo'", "check-table-unknown"),
    ("pipeline/p.yml", "checks for a:\n  - row_count > 0\n", "p.yml:1: .*'a' may be any", "check-table-unqualified"),
]


def test_suites_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A check file in another encoding is a ModelError, not a traceback."""
    write(tmp_path, "marts/a.yml", "").write_bytes(b"checks for a: \xff\xfe")
    with pytest.raises(ModelError, match=r"a.yml:1: This is no UTF-8 text: byte 14 "):
        find_suites(tmp_path)


@pytest.mark.parametrize(("name", "text", "message", "code"), BROKEN_FILES)
def test_suites_broken_file_is_refused(tmp_path: Path, name: str, text: str, message: str, code: str) -> None:
    """A file that is no SodaCL, or that no gate would run, is a ModelError with its place."""
    write(tmp_path, name, text)
    with pytest.raises(ModelError, match=message) as caught:
        find_suites(tmp_path, {"marts.a", "marts.b"})
    assert caught.value.code == code
    assert caught.value.path == tmp_path / name


BROKEN_CHECKS = [
    ("- row_count > 0\n  - bogus check here", 3, "Soda does not understand.*bogus check here", "check-not-understood"),
    ("- missing_count(x)", 2, "No threshold", "check-not-understood"),
    ("- missing_count(x) = 0:\n      valid vlues: [a]", 3, "valid vlues", "check-not-understood"),
    ("- failed rows:\n      name: x", 2, "fail condition", "check-not-understood"),
    ("- missing_count(x):\n      warn: if 3", 2, "when", "check-not-understood"),
    ("- row_count > 0\n  - change for row_count < 5", 3, "'change for row_count < 5'.*Soda Cloud", "check-unsupported"),
    ("- anomaly score for row_count < default", 2, "cannot stand in a gate", "check-unsupported"),
    ("- schema:\n      fail:\n        when schema changes: any", 2, "Soda Cloud", "check-unsupported"),
    ("- freshness(x) > 1d", 2, "no longest age", "check-incomplete"),
    ("- invalid_count(x) = 0", 2, "nothing says which values are valid", "check-incomplete"),
    ("- invalid_count(x) = 0:\n      valid format: nonsense", 2, "'nonsense' is no format", "check-incomplete"),
    ("- missing_count = 0", 2, "names no column", "check-incomplete"),
    ("- median(x) > 0", 2, "'median' is no metric", "check-incomplete"),
]


@pytest.mark.parametrize(("checks", "line", "message", "code"), BROKEN_CHECKS)
def test_suites_broken_check_is_refused_with_its_line(
    tmp_path: Path, checks: str, line: int, message: str, code: str
) -> None:
    """A check that is not understood, or that Soda would pass without looking, is a ModelError with its line."""
    path = write(tmp_path, "marts/a.yml", f"checks for a:\n  {checks}\n")
    with pytest.raises(ModelError, match=message) as caught:
        verify_suites(find_suites(tmp_path))
    assert (caught.value.code, caught.value.path) == (code, path)
    assert caught.value.line == line


def test_suites_two_filters_of_one_name_are_refused(tmp_path: Path) -> None:
    """Two files that call different filters of one table by one name are refused, since one would be used for both."""
    text = "filter marts.a [day]:\n  where: x = {}\nchecks for marts.a [day]:\n  - row_count > 0\n"
    write(tmp_path, "pipeline/one.yml", text.format(1))
    write(tmp_path, "pipeline/two.yml", text.format(2))
    with pytest.raises(ModelError, match=r"Two filters of 'marts.a' are called 'day'"):
        verify_suites(find_suites(tmp_path))


def test_suites_column_configuration_says_what_is_valid(tmp_path: Path) -> None:
    """Valid values may stand once for a column, apart from the checks that use them."""
    text = "configurations for a:\n  valid values for x: [1, 2]\nchecks for a:\n  - invalid_count(x) = 0\n"
    write(tmp_path, "marts/a.yml", text)
    verify_suites(find_suites(tmp_path))


CONTRACT = Contract(
    source="sales",
    version="1.0.0",
    path=Path("lake/contracts/sales.yaml"),
    digest="0" * 64,
    description="Sales",
    owner="shop",
    columns=(
        Column("order_id", "Order", "varchar", required=True, pattern="[a-z]'?[0-9]*", line=10),
        Column("sold_at", "Sold", "timestamptz", required=True, minimum="2020-01-01", line=20),
        Column("region", "Region", "varchar", enum=("North", 'O\'Brien "x"'), min_length=2, max_length=20, line=30),
        Column("select", "Units", "integer", minimum="1", maximum="99", line=40),
        Column("revenue_inr", "Revenue", "decimal(14,2)", minimum="0.01", line=50),
        Column("email", "Mail", "varchar", pattern=".*@.*", required=True, privacy="restricted", line=60),
    ),
    key=("order_id",),
    server=Server("local", "in/*.csv", "csv", {}),
    rules=(
        RowRule("cheap is small", 'revenue_inr > 5 or "select" < 50', line=70),
        RowRule("mail of ours", "email like '%@ours'", line=71),
    ),
    table_rules=(TableRule("regions", "- missing_percent(region) < 50:\n    name: few without region", line=80),),
    duplicates="first-wins",
    watermark="sold_at",
    sla={"latency": "2 d"},
)
COLUMNS = (
    'order_id varchar, sold_at timestamptz, region varchar, "select" integer, revenue_inr decimal(14, 2),'
    " email varchar, _run_id varchar"
)
GOOD = [
    "'a1', timestamptz '2026-11-20 12:00:00+00', 'North', 3, 10.50, 'cipher', 'r'",
    "'b''2', timestamptz '2026-11-20 13:00:00+00', 'O''Brien \"x\"', 4, 1.00, 'cipher', 'r'",
    "'c3', timestamptz '2026-11-20 13:00:00+00', null, null, null, 'cipher', 'r'",
]


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(EngineLimits()) as opened:
        opened.execute(f"create table raw.sales ({COLUMNS})")
        for row in GOOD:
            opened.execute(f"insert into raw.sales values ({row})")
        yield opened


def judge(session: Session, contract: Contract = CONTRACT, rows: int | None = None) -> dict[str, CheckResult]:
    gate = run_gate(session, "raw", [contract_suite(contract, candidate_rows=rows)], {}, now=NOW)
    return {result.check_name: result for result in gate.results}


def test_contract_suite_passes_rows_that_keep_the_contract(session: Session) -> None:
    """Every part of the contract becomes a check of its kind, and rows that keep it pass them all."""
    results = judge(session)
    assert {name: (result.kind, result.outcome) for name, result in results.items()} == {
        "columns and types": ("schema", "pass"),
        "has rows": ("volume", "pass"),
        "order_id is present": ("completeness", "pass"),
        "order_id matches its pattern": ("validity", "pass"),
        "sold_at is present": ("completeness", "pass"),
        "sold_at is at least 2020-01-01": ("validity", "pass"),
        "region is a known value": ("validity", "pass"),
        "region has at least 2 characters": ("validity", "pass"),
        "region has at most 20 characters": ("validity", "pass"),
        "select is at least 1": ("validity", "pass"),
        "select is at most 99": ("validity", "pass"),
        "revenue_inr is at least 0.01": ("validity", "pass"),
        "email is present": ("completeness", "pass"),
        "order_id is unique": ("uniqueness", "pass"),
        "cheap is small": ("rule", "pass"),
        "sold_at is at most 2 d old": ("freshness", "pass"),
        "few without region": ("completeness", "pass"),
    }


BREAKS = [
    ("alter table raw.sales drop column region", "columns and types", "fail"),
    ("alter table raw.sales alter revenue_inr type double", "columns and types", "fail"),
    ("delete from raw.sales", "has rows", "warn"),
    ("update raw.sales set order_id = null", "order_id is present", "fail"),
    ("update raw.sales set order_id = 'A1'", "order_id matches its pattern", "fail"),
    ("update raw.sales set sold_at = timestamptz '2019-12-31'", "sold_at is at least 2020-01-01", "fail"),
    ("update raw.sales set region = 'Atlantis'", "region is a known value", "fail"),
    ("update raw.sales set region = 'N'", "region has at least 2 characters", "fail"),
    ("update raw.sales set region = repeat('N', 21)", "region has at most 20 characters", "fail"),
    ('update raw.sales set "select" = 0', "select is at least 1", "fail"),
    ('update raw.sales set "select" = 100', "select is at most 99", "fail"),
    ("update raw.sales set revenue_inr = 0.00", "revenue_inr is at least 0.01", "fail"),
    ("update raw.sales set email = null", "email is present", "fail"),
    ("update raw.sales set order_id = 'a1'", "order_id is unique", "fail"),
    ('update raw.sales set revenue_inr = 1, "select" = 60', "cheap is small", "fail"),
    ("update raw.sales set sold_at = timestamptz '2026-11-01'", "sold_at is at most 2 d old", "warn"),
    ("update raw.sales set region = null", "few without region", "fail"),
]


@pytest.mark.parametrize(("damage", "name", "outcome"), BREAKS)
def test_contract_suite_stops_rows_that_break_the_contract(
    session: Session, damage: str, name: str, outcome: str
) -> None:
    """Each generated check notices the damage it is there for."""
    session.execute(damage)
    assert judge(session)[name].outcome == outcome


def test_contract_suite_lets_an_empty_batch_through_with_warnings(session: Session) -> None:
    """An empty batch keeps its contract: nothing fails, and volume and freshness warn."""
    session.execute("delete from raw.sales")
    outcomes = {name: result.outcome for name, result in judge(session).items() if result.outcome != "pass"}
    assert outcomes == {"has rows": "warn", "sold_at is at most 2 d old": "warn"}


def test_contract_suite_latest_wins_allows_versions_of_a_key(session: Session) -> None:
    """Under latest-wins raw holds every version of a row, so a repeated key is no fault."""
    assert "order_id is unique" not in judge(session, replace(CONTRACT, duplicates="latest-wins"))


def test_contract_suite_compares_a_share_of_the_keys_of_a_large_batch(session: Session) -> None:
    """Beyond a million rows the uniqueness check looks at every n-th key, says so, and sees all rows of those keys."""
    session.execute(
        "insert into raw.sales select 'z' || n, sold_at, region, 1, 9, 'c', 'r' from raw.sales, range(100) as t(n)"
    )
    name = "order_id is unique (1 key in 4)"
    expected = session.value(
        "select count(*) from (select order_id from raw.sales where hash(order_id) % 4 = 0"
        " group by order_id having count(*) > 1)"
    )
    result = judge(session, rows=3_000_001)[name]
    assert 0 < expected < 100
    assert (result.outcome, result.failed_count) == ("fail", expected)


def test_contract_suite_broken_table_rule_is_a_contract_error() -> None:
    """A table rule Soda does not understand names the contract's file and line."""
    broken = replace(CONTRACT, table_rules=(TableRule("x", "missing_percent(region) <> 1 %%", line=80),))
    with pytest.raises(ContractError, match=re.escape("lake/contracts/sales.yaml:80: Soda does not understand")):
        verify_suites([contract_suite(broken)])


def test_contract_suite_broken_table_rule_yaml_is_a_contract_error() -> None:
    """A table rule that is no YAML names the contract's file and line, too."""
    broken = replace(CONTRACT, table_rules=(TableRule("x", "row_count: [", line=80),))
    with pytest.raises(ContractError, match=re.escape("lake/contracts/sales.yaml:80: ")):
        verify_suites([contract_suite(broken)])


@pytest.mark.parametrize("latency", ["soon", "2", "3 fortnights"])
def test_contract_suite_latency_that_is_no_duration_is_refused(latency: str) -> None:
    """An SLA nobody can measure is a ContractError."""
    with pytest.raises(ContractError, match=f"latency '{latency}' is no duration"):
        contract_suite(replace(CONTRACT, sla={"latency": latency}))


def test_suite_line_in_file_maps_generated_lines() -> None:
    """A line of generated YAML stands for a line of the contract, a line of a file for itself."""
    written = Suite("marts", "marts.a", "", Path("a.yml"))
    generated = Suite("raw", "raw.a", "", Path("a.yaml"), (1, 10, 20))
    assert (written.line_in_file(7), written.line_in_file(None)) == (7, None)
    assert [generated.line_in_file(line) for line in (1, 3, 9)] == [1, 20, 20]
