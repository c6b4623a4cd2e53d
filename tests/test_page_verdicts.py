"""What a page says of the checks behind it: its own tables' and those upstream, whatever happens in other domains."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from reports.context import GateCount
from tests.page_data import make_context
from tests.platform_parts import FIRST, ask, deliver, run_at, write_platform_shop

DAY = timedelta(days=1)
PAGE = """---
title: {title}
description: What there was of {mart}.
audience: everybody
owner: Shop
recipients: []
---
{{% set days = query("select * from marts.{mart}") %}}
{{{{ table("{title} by day", days, totals="amount") }}}}
"""
VISITS_MART = """\
/*
description: Visits per day.
grain: one row per visited_on
owner: Shop
*/
select visited_on, sum(amount) as amount from staging.stg_visits group by visited_on
"""
DOUBTFUL = (
    "checks for stg_orders:\n  - row_count:\n      name: many orders\n      warn: when < 100\n      fail: when < 1\n"
)
RECONCILED = """\
checks:
  - failed rows:
      name: every visit is counted
      fail query: |
        select * from (select sum(amount) as amount from raw.visits) as given,
            (select sum(amount) as amount from marts.daily_visits) as shown
        where given.amount <> shown.amount
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Two domains side by side, each with its source, its mart and its page; a check upstream of orders warns."""
    root = write_platform_shop(tmp_path / "shop", ("index",))
    visits = (root / "lake/contracts/orders.yaml").read_text().replace("orders", "visits").replace("order", "visit")
    files = {
        "lake/contracts/visits.yaml": visits,
        "sql/staging/stg_visits.sql": (root / "sql/staging/stg_orders.sql").read_text().replace("order", "visit"),
        "sql/marts/daily_visits.sql": VISITS_MART,
        "checks/staging/stg_orders.yml": DOUBTFUL,
        "checks/pipeline/visits.yml": RECONCILED,
        "reports/pages/orders.html.j2": PAGE.format(title="Orders", mart="daily_orders"),
        "reports/pages/visits.html.j2": PAGE.format(title="Visits", mart="daily_visits"),
        "incoming/visits-1.csv": "visit_id,visited_on,amount,buyer\nV1,2026-11-17,4.00,\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def stated(root: Path, page: str) -> str:
    """Gives what a page says of its checks, and its banner if it has one."""
    text = (root / f"lake/data/pages/{page}.html").read_text(encoding="utf-8")
    found = re.search(r"\d+ passed, \d+ warned, \d+ failed", text)
    banner = re.search(r'<p class="banner" role="alert">(.*?)</p>', text)
    return f"{found[0] if found else None} {re.sub('<.*?>', '', banner[1]) if banner else ''}".strip()


def listed(root: Path) -> dict[str, object]:
    """Gives the verdict on each page of a release, as the contents page reads it."""
    rows = ask(root, "select page, warned_count, held_back from ops.page_verdicts order by page")
    return {str(page): (warned, held) for page, warned, held in rows}


def test_page_verdict_is_of_what_the_page_reads(shop: Path) -> None:
    """A check that warned upstream of one page is told by that page, and by the contents of that page, alone."""
    assert run_at(shop, FIRST).failure is None

    assert " 1 warned, 0 failed" in stated(shop, "orders")
    assert " 0 warned, 0 failed" in stated(shop, "visits")
    assert listed(shop) == {"orders": (1, []), "visits": (0, [])}
    text = (shop / "lake/data/pages/orders.html").read_text(encoding="utf-8")
    assert "staging.stg_orders" in text
    assert "stg_visits" not in text
    assert "pipeline.visits" in (shop / "lake/data/pages/visits.html").read_text(encoding="utf-8")


def test_page_verdict_stays_when_a_run_leaves_its_tables_alone(shop: Path) -> None:
    """A run that finds orders as they were judges them no second time; their page still tells what was said of them."""
    run_at(shop, FIRST)
    before = stated(shop, "orders")
    (shop / "incoming/visits-2.csv").write_text("visit_id,visited_on,amount,buyer\nV2,2026-11-18,5.00,\n")

    assert run_at(shop, FIRST + DAY).is_new_release

    assert stated(shop, "orders") == before
    assert " 1 warned, 0 failed" in before


def test_page_says_that_newer_figures_are_held_back_until_they_are_not(shop: Path) -> None:
    """When a gate stops one domain, its page keeps its figures and says why; the others' pages say nothing of it."""
    run_at(shop, FIRST)
    quiet, mails = stated(shop, "visits"), set((shop / "lake/data/outbox").iterdir())
    deliver(shop, 2, "B1,2026-11-19,-7.00,")

    assert run_at(shop, FIRST + DAY).failure is not None

    assert listed(shop) == {"orders": (1, ["marts.daily_orders"]), "visits": (0, [])}
    told = stated(shop, "orders")
    assert " 1 warned, 0 failed Newer figures are held back. A check failed on marts.daily_orders." in told
    assert "These figures are of release 1, data as of 18 Nov 2026" in told
    assert "-7.00" not in (shop / "lake/data/pages/orders.html").read_text(encoding="utf-8")
    assert stated(shop, "visits") == quiet
    assert not [mail for mail in set((shop / "lake/data/outbox").iterdir()) - mails if mail.name.startswith("orders-")]
    index = (shop / "lake/data/pages/index.html").read_text(encoding="utf-8")
    assert index.count('class="pill pill-fail"') == 1
    assert "marts.daily_orders" in index

    (shop / "incoming/orders-3.csv").write_text("order_id,ordered_on,amount,buyer\nB2,2026-11-19,70.00,\n")

    assert run_at(shop, FIRST + 2 * DAY).failure is None
    assert listed(shop) == {"orders": (1, []), "visits": (0, [])}
    assert "held back" not in stated(shop, "orders")


def test_page_figure_is_withheld_when_something_upstream_failed() -> None:
    """A failed check keeps back what is made from its table, at any distance, and a reconciliation what it compares."""
    gates = (
        GateCount("staging", "staging.a", 1, 0, 1),
        GateCount("pipeline", "pipeline.p", 0, 0, 1, frozenset({"raw.b"})),
    )
    inputs = {"marts.a": {"intermediate.a"}, "intermediate.a": {"staging.a"}, "marts.b": {"raw.b"}}
    context = make_context(gates=gates, inputs=inputs)

    assert context.withheld({"marts.a", "ops.runs"}) == ("staging.a",)
    assert context.withheld({"marts.b"}) == ("pipeline.p",)
    assert context.withheld({"marts.c"}) == ()
    assert make_context(gates=gates, inputs=inputs, withholds=False).withheld({"marts.a"}) == ()
