"""One broken file of a project stops the runs that need it, and no other; each of those tells of it."""

from pathlib import Path

import pytest

from tests.crash_parts import run_here
from tests.shop_project import CHECKS, CONTRACT, MART, STAGING, write_shop
from tests.versions_parts import ask, edit, sluice_said

RULE = Path(__file__).resolve().parent.parent / "sql" / "alerts" / "part_broken.sql"
SECRET = "asha.rao@example.in"
LEAVE = CONTRACT.replace("orders", "leave")
LEAVE = LEAVE.replace("description: Its number.,", "description: Its number., classification: restricted,")
PARTS = {  # of the same project: leave, another source with its own models, checks and page
    "lake/contracts/leave.yaml": LEAVE,
    "sql/staging/stg_leave.sql": STAGING.replace("orders", "leave"),
    "sql/marts/daily_leave.sql": MART.replace("stg_orders", "stg_leave"),
    "checks/marts/daily_leave.yml": CHECKS.replace("daily_orders", "daily_leave"),
    "checks/raw/leave.yml": "checks for leave:\n  - row_count >= 0\n",
    "reports/pages/leave.html.j2": (
        "---\ntitle: Leave\ndescription: Days.\naudience: All.\nowner: HR\nrecipients: []\n---\n"
        "{% set days = query('from marts.daily_leave') %}\n"
    ),
    "incoming/leave-1.csv": f"order_id,ordered_on,amount\n{SECRET},2026-11-20,1\n{SECRET},never,1\n",
}
BREAKS = {
    "lake/contracts/leave.yaml": ("kind: DataContract", "kind: [DataContract"),
    "sql/marts/daily_leave.sql": ("group by ordered_on", "group by ("),
    "sql/staging/stg_leave.sql": ("select", "selekt"),
    "checks/marts/daily_leave.yml": ("checks for", "cheques for"),
    "reports/pages/leave.html.j2": ("title: Leave", "title: ["),
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = write_shop(tmp_path / "shop")
    for name, text in PARTS.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("name", BREAKS)
def test_broken_parts_stop_only_who_needs_them(shop: Path, name: str) -> None:
    """The run of another mart goes on and says which file, where and how to mend it; one that needs it fails so."""
    edit(shop / name, BREAKS[name])
    outcome = run_here(shop, "daily_orders")
    assert outcome.is_ok, outcome.failure
    (warning,) = outcome.warnings
    assert f"{shop / name}:" in warning
    assert warning in "\n".join(outcome.as_lines())
    (noted,) = ask(shop, "select subject, details ->> 'error' as error from ops.audit_log where event = 'part-broken'")
    assert noted["subject"] == name
    assert noted["error"] in warning
    for marts in ((), ("daily_leave",)):
        failure = run_here(shop, *marts).failure
        assert failure is not None
        assert str(failure) in warning


def test_broken_parts_of_a_source_that_landed_stay_masked(shop: Path) -> None:
    """B3: what a contract keeps from readers stays so while it cannot be read, in tables and in quarantine."""
    assert run_here(shop).is_ok
    edit(shop / "lake/contracts/leave.yaml", BREAKS["lake/contracts/leave.yaml"])
    assert run_here(shop, "daily_orders").is_ok
    for table in ("raw.leave", "ops.quarantine"):
        code, said = sluice_said(shop, "sql", f"from {table}", "--json")
        assert code == 0, said
        assert '"2026-11-20' in said or "never" in said
        assert SECRET not in said


def test_broken_parts_keep_no_other_source_out(shop: Path) -> None:
    """`sluice land` lands what it can and fails with what it cannot; a source asked for by name hears of its own."""
    edit(shop / "lake/contracts/leave.yaml", BREAKS["lake/contracts/leave.yaml"])
    code, said = sluice_said(shop, "land")
    assert (code, "leave.yaml:" in said) == (1, True), said
    assert ask(shop, "select source from ops.ingestion_log") == [{"source": "orders"}]
    assert sluice_said(shop, "land", "orders")[0] == 0
    code, said = sluice_said(shop, "land", "leave")
    assert (code, "leave.yaml:" in said) == (1, True), said
    runs = "select count(distinct run_id) as runs from ops.audit_log"
    before = ask(shop, runs)
    assert sluice_said(shop, "watch", "orders", "--once") == (0, "")
    assert ask(shop, runs) == before, "a look that finds nothing writes nothing"


def test_broken_parts_are_told_until_they_are_mended(shop: Path) -> None:
    """People hear of a broken file once, and when it is over."""
    (shop / "sql/alerts").mkdir()
    (shop / "sql/alerts/part_broken.sql").write_text(RULE.read_text("utf-8"), encoding="utf-8")
    name = "sql/marts/daily_leave.sql"
    edit(shop / name, BREAKS[name])
    told = [len(run_here(shop, "daily_orders").alerts) for _ in range(2)]
    edit(shop / name, (BREAKS[name][1], BREAKS[name][0]))
    assert [*told, len(run_here(shop, "daily_orders").alerts)] == [1, 0, 1]


def test_broken_parts_are_errors_to_who_checks_contracts(shop: Path) -> None:
    """`sluice contract check` fails on a file that cannot be read, whatever runs make of it."""
    edit(shop / "lake/contracts/leave.yaml", BREAKS["lake/contracts/leave.yaml"])
    code, said = sluice_said(shop, "contract", "check")
    assert (code, "leave.yaml:" in said) == (1, True), said
