"""When the marts of people and spend are made: the deployments of this project."""

import shutil
from pathlib import Path

import pytest

from flows.planning import expect_known, make_plan
from lake.marked_yaml import read_yaml
from lake.project import open_project
from tests.people_parts import MARTS, PAGES, ROOT, run

DEPLOYMENTS = {
    each["name"]: each for each in read_yaml((ROOT / "prefect.yaml").read_text("utf-8")).value["deployments"]
}
STANDING = {"catalogue", "data_docs", "error_dashboard", "index", "platform_operations"}  # drawn after every run
TIMES = {
    "leave-daily": "0 2 * * *",
    "incidents-weekly": "0 3 * * 0",
    "expenses-monthly": "0 4 1 * *",
    "locums-daily": "0 1 * * *",
    "incidents-watch": "20 * * * *",
}


@pytest.mark.parametrize("name", TIMES)
def test_people_deployments_run_when_they_are_asked_to(name: str) -> None:
    """Each runs at its hour in India, for marts and pages that are there, never twice at once."""
    deployment = DEPLOYMENTS[name]
    [schedule] = deployment["schedules"]
    assert (schedule["cron"], schedule["timezone"], schedule["active"]) == (TIMES[name], "Asia/Kolkata", True)
    assert deployment["concurrency_limit"]["limit"] == 1
    asked = deployment["parameters"]
    expect_known(open_project(ROOT), asked["marts"], asked.get("pages", []))


def test_people_deployments_leave_no_mart_and_no_page_out() -> None:
    """Every mart is made and every page is sent by one of them."""
    asked = [DEPLOYMENTS[name]["parameters"] for name in TIMES]
    assert {mart for each in asked for mart in each["marts"]} == set(MARTS)
    assert {page for each in asked for page in each.get("pages", [])} == set(PAGES)


def test_people_deployments_watch_incidents_without_a_page() -> None:
    """The hourly look tells managers who is late and draws nothing."""
    plan = make_plan(open_project(ROOT), DEPLOYMENTS["incidents-watch"]["parameters"]["marts"], ())
    assert plan.pages == ()
    assert "incident_past_sla" in plan.alerts


def test_people_deployments_run_alone_on_an_empty_lake(tmp_path: Path) -> None:
    """One deployment is good before any other ran and before anything came: it needs no table of another's."""
    project = tmp_path / "project"
    for part in ("sql", "checks", "lake/contracts", "reports/pages"):
        shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    asked = DEPLOYMENTS["locums-daily"]["parameters"]
    outcome = run(project, asked["marts"], asked["pages"])
    assert outcome.failure is None
    about_marts = [page.name for page in outcome.pages if page.name not in STANDING]
    assert about_marts == ["locums"]
