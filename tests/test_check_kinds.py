"""Every domain is watched in every way there is: each kind of check stands in the files of its tables."""

import re
from pathlib import Path

import pytest

from checks.suites import find_suites
from sql.models import find_models, upstream

ROOT = Path(__file__).parents[1]
MODELS = find_models(ROOT / "sql")
DOMAINS = {  # the marts of each, and the name of its reconciliation
    "sales": (("sales_daily", "sales_regional", "sales_product", "sales_monthly"), "sales"),
    "leave": (("leave_summary",), "leave"),
    "incidents": (("incident_summary", "incidents_open"), "incident"),
    "spend": (("expense_summary", "monthly_spend"), "spend"),
    "locums": (("locum_summary",), "locum"),
    "footprint": (
        ("carbon_footprint", "paper_usage", "device_utilisation", "electricity_daily", "electricity_reconciliation",
         "sustainability_measures"),
        "footprint",
    ),
    "commerce": (
        ("dim_customers", "dim_products", "fct_orders", "mart_customer_analytics", "mart_product_analytics",
         "mart_daily_summary"),
        "commerce",
    ),
    "events": (("events_daily",), "events"),
}  # fmt: skip
NOT_OF_OTHERS = {"sales", "events"}  # a line of theirs names no record of another table
KINDS = {
    "volume": r"- row_count",
    "schema": r"- schema",
    "freshness": r"- freshness\(|name: freshness - ",
    "completeness": r"- missing_count",
    "uniqueness": r"- duplicate_count",
    "valid values": r"valid values: ",
    "threshold": r"warn: when .*\n +fail: when ",
}


def files_of(domain: str) -> dict[str, str]:
    """Gives the checks of a domain's own tables, departments and staff left out, by table."""
    marts, reconciliation = DOMAINS[domain]
    own = {model.name for model in upstream(MODELS, [f"marts.{mart}" for mart in marts])}
    own -= {"staging.stg_departments", "staging.stg_staff"}
    wanted = {*own, f"pipeline.{reconciliation}_reconciliation"}
    return {suite.table_name: suite.sodacl for suite in find_suites(ROOT / "checks") if suite.table_name in wanted}


def test_check_kinds_leave_no_mart_out() -> None:
    """Every mart is of a domain, and has its own file of checks."""
    marts = {name for name in MODELS if name.startswith("marts.")}
    assert {f"marts.{mart}" for owned, _ in DOMAINS.values() for mart in owned} == marts
    assert marts <= {table for domain in DOMAINS for table in files_of(domain)}


@pytest.mark.parametrize("domain", DOMAINS)
def test_check_kinds_are_all_in_a_domain(domain: str) -> None:
    """Volume, schema, freshness, completeness, uniqueness, values, thresholds, references and reconciliation."""
    files = files_of(domain)
    lacking = {kind for kind, pattern in KINDS.items() if not any(re.search(pattern, text) for text in files.values())}
    assert lacking == set()
    assert f"pipeline.{DOMAINS[domain][1]}_reconciliation" in files
    others = [
        other
        for table, text in files.items()
        if not table.startswith("pipeline.")
        for other in re.findall(r"\b(?:reference|staging|marts)\.\w+", text)
        if other != table
    ]
    assert others or domain in NOT_OF_OTHERS
