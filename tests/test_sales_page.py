"""The sales page: its five parts, its figures against the marts, its masked records."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lake.engine import Session
from reports.context import GateCount
from reports.drawing import RenderedPage, render
from reports.page import find_pages
from tests.page_data import make_context, open_sales_lake

PAGES = Path(__file__).parent.parent / "reports" / "pages"
PARTS = ["Sales", "Data quality", "Exceptions", "Audit trail", "Controls"]


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with open_sales_lake() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(session: Session) -> RenderedPage:
    return render(find_pages(PAGES)["sales_controls"], session, make_context())


@pytest.fixture(scope="module")
def parcel(page: RenderedPage) -> dict[str, Any]:
    return json.loads(re.search(r'id="parcel">(.*?)</script>', page.html, flags=re.DOTALL)[1])


def test_sales_page_has_its_five_parts(page: RenderedPage) -> None:
    """Each part is a tab of the page and a heading of mail and text."""
    assert re.findall(r'role="tab" [^>]*>([^<]+)<', page.html) == PARTS
    assert re.findall(r"<h2[^>]*>([^<]+)<", page.mail_html) == PARTS
    assert all(part.upper() + "\n" in page.text for part in PARTS)


def test_sales_page_figures_equal_the_marts(session: Session, page: RenderedPage) -> None:
    """Every figure of sales is the marts' own, to the last paisa."""
    shown = {each.figure: each.value for each in page.figures}
    revenue, orders, units = session.rows(
        "select sum(revenue_inr), sum(order_count), sum(unit_count) from marts.sales_daily"
    )[0]
    assert isinstance(shown["revenue"], Decimal)
    for figure in ("revenue", "daily-sales.revenue_inr", "products.revenue_inr"):
        assert shown[figure] == revenue
    for figure in ("orders", "daily-sales.order_count", "products.order_count"):
        assert shown[figure] == orders
    for figure in ("units", "daily-sales.unit_count", "products.unit_count"):
        assert shown[figure] == units
    assert shown["revenue-per-unit"] == (revenue / units).quantize(Decimal("0.0001"))
    assert shown["daily-sales.rows"] == session.value("select count(*) from marts.sales_daily")


def test_sales_page_figures_equal_the_ledger(session: Session, page: RenderedPage) -> None:
    """Every figure of controls and exceptions is what the lake's own books say, and nothing is unaccounted for."""
    shown = {each.figure: each.value for each in page.figures}
    counts = session.rows("""
        select sum(read_count), sum(accepted_count), sum(quarantined_count), sum(duplicate_count)
        from ops.ingestion_log
    """)[0]
    names = ("records-read", "records-accepted", "records-quarantined", "duplicates")
    assert tuple(shown[name] for name in names) == counts
    assert shown["records-unaccounted-for"] == 0
    repeated = "select count(*) from ops.exceptions where category = 'DUPLICATE_RECORD'"
    assert shown["repeated-records"] == session.value(repeated) > 0
    assert shown["records-refused"] + shown["repeated-records"] == session.value("select count(*) from ops.exceptions")
    assert shown["set-aside-by-rule.record_count"] == shown["records-refused"] + shown["repeated-records"]
    assert shown["events-recorded"] == session.value("select count(*) from ops.audit_log")


def test_sales_page_would_show_an_unbalanced_ledger() -> None:
    """A record lost in one batch and one too many in another do not cancel out."""
    with open_sales_lake() as session:
        session.execute("""
            update ops.ingestion_log set accepted_count = accepted_count - 1 where table_version = 1;
            update ops.ingestion_log set accepted_count = accepted_count + 1 where table_version = 2;
        """)
        page = render(find_pages(PAGES)["sales_controls"], session, make_context())
    assert "Records unaccounted for: 2" in page.text


def test_sales_page_draws_the_same_bytes_again(session: Session, page: RenderedPage) -> None:
    """Two renderings of one release are the same bytes in every medium, pictures included."""
    assert render(find_pages(PAGES)["sales_controls"], session, make_context()) == page


def test_sales_page_masks_records(page: RenderedPage) -> None:
    """No address and no telephone number of a refused record is in any medium."""
    everything = page.html + page.mail_html + page.text
    assert "•••@•••" in everything
    assert "asha.rao" not in everything
    assert "9812345678" not in everything


def test_sales_page_states_release_and_gates(page: RenderedPage) -> None:
    """Each medium says which release it shows, as of when, and what the checks said."""
    for medium in (page.html, page.mail_html, page.text):
        assert "21 Nov 2026, 02:00 IST" in medium
        assert "20 Nov 2026, 23:00 IST" in medium
        assert "11 passed, 1 warned, 0 failed" in medium


def test_sales_page_writes_rupees_the_indian_way(session: Session, page: RenderedPage) -> None:
    """Revenue is grouped by lakh and crore in every medium."""
    revenue = session.value("select sum(revenue_inr) from marts.sales_daily")
    whole, paise = f"{revenue:.2f}".split(".")
    head, groups = whole[:-3], []
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    written = f"₹{','.join([*groups, whole[-3:]])}.{paise}"
    assert all(written in medium for medium in (page.html, page.mail_html, page.text))


def test_sales_page_holds_the_rows_behind_each_month(session: Session, parcel: dict[str, Any]) -> None:
    """The rows one drills down to are all there, exact, for this much data."""
    data = parcel["datasets"][parcel["figures"]["daily-sales"]["data"]]
    assert data["left_out"] == 0
    place = data["columns"].index("revenue_inr")
    assert sum(Decimal(row[place]) for row in data["rows"]) == session.value(
        "select sum(revenue_inr) from marts.sales_daily"
    )


def test_sales_page_withholds_one_mart_and_keeps_the_rest(session: Session) -> None:
    """When the daily mart fails its gate, its figures go and the monthly ones stay."""
    gates = (GateCount("marts", "marts.sales_daily", 3, 0, 1), GateCount("marts", "marts.sales_monthly", 3, 0, 0))
    page = render(find_pages(PAGES)["sales_controls"], session, make_context(gates=gates))
    assert {"Revenue by day", "Daily sales", "Revenue by region", "Revenue this month"} <= set(page.withheld)
    shown = {each.figure for each in page.figures}
    assert "revenue" in shown
    assert not any(name.startswith("daily-sales") for name in shown)


def test_sales_page_fits_a_mail(page: RenderedPage) -> None:
    """The mail body is not clipped, each picture it names is there, and the whole is small."""
    assert len(page.mail_html.encode()) < 100_000
    assert set(re.findall(r'src="cid:([^"]+)"', page.mail_html)) == set(page.images)
    assert sum(len(png) for png in page.images.values()) < 600_000
    assert len(page.html.encode()) < 2_500_000


def test_sales_page_of_a_new_lake_is_a_page() -> None:
    """Before the first row there are no figures, and no error either."""
    with open_sales_lake() as session:
        names = session.rows("select table_schema || '.' || table_name from information_schema.tables")
        session.execute(";".join(f"delete from {name}" for (name,) in names))
        page = render(find_pages(PAGES)["sales_controls"], session, make_context(release_id=None, gates=()))
    assert page.images == {}
    assert "Revenue: –" in page.text
