"""Pages that are mailed daily: drawn with every release, mailed with the first of a day of the project's zone."""

from datetime import UTC, datetime
from pathlib import Path

from tests.platform_parts import ask, deliver, run_at, write_platform_shop

PAGE = """\
---
title: Orders
description: Orders of each day.
audience: shop
owner: shop
recipients: []
mailed: {mailed}
---
{{% call part("Orders") %}}
{{{{ kpi("Orders", query("select sum(order_count)::bigint as order_count from marts.daily_orders"), "order_count") }}}}
{{% endcall %}}
"""
EVENING = datetime(2026, 11, 18, 18, 0, tzinfo=UTC)  # 23:30 in India
LATER = datetime(2026, 11, 18, 18, 20, tzinfo=UTC)
PAST_MIDNIGHT = datetime(2026, 11, 18, 18, 40, tzinfo=UTC)


def test_mailed_daily_goes_out_once_a_day_and_is_drawn_each_time(tmp_path: Path) -> None:
    """Three releases, the last past midnight in India: two mails of the daily page, three of the other; all drawn."""
    root = write_platform_shop(tmp_path / "shop", pages=())
    for name, mailed in (("often", "release"), ("daily", "daily")):
        (root / f"reports/pages/{name}.html.j2").write_text(PAGE.format(mailed=mailed), encoding="utf-8")
    outcomes = []
    for number, instant in enumerate((EVENING, LATER, PAST_MIDNIGHT), start=2):
        deliver(root, number, f"Z{number},2026-11-18,7.00,")
        outcomes.append(run_at(root, instant))

    assert [(outcome.failure, outcome.is_new_release) for outcome in outcomes] == [(None, True)] * 3
    sent = "select subject, count(*) from ops.audit_log where event = '{}' group by subject order by subject"
    assert ask(root, sent.format("page-sent")) == [("daily", 2), ("often", 3)]
    assert ask(root, sent.format("page-rendered")) == [("daily", 3), ("often", 3)]
    html = [(root / f"lake/data/pages/{name}.html").read_text("utf-8") for name in ("daily", "often")]
    assert all("Release 3" in text or "release 3" in text for text in html)
