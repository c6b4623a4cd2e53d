"""The sales page in a real browser: tabs, drill-down, comparison, export, themes, print.

How every page looks on a phone, in the dark and on paper is in test_demo_pages.py.
"""

import csv
import re
from collections.abc import Iterator
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from lake.engine import EngineLimits, Session
from reports.drawing import render
from reports.formats import Formatter
from reports.page import find_pages, read_page
from tests.browser import open_browser, open_page
from tests.page_data import make_context, open_sales_lake
from tests.page_looks import WIDTH, spoilt_charts

PAGES = Path(__file__).parent.parent / "reports" / "pages"
ODD_PAGE = """---
title: Odd
description: Values that are easily written wrong.
audience: testers
owner: data team
recipients: []
---
{% set odd = query("select * from marts.odd order by id") %}
{{ table("Odd", odd, totals=["revenue_inr"], page_rows=20) }}
{{ chart("By note", odd, x="note", y="revenue_inr", kind="across", select="all", in_mail=false) }}
{{ table("Few", query("select id, note, revenue_inr from marts.odd order by id", limit=4), totals=["revenue_inr"]) }}
{{ table("Told", query("select id, message from marts.odd order by id"), formats={"message": "sentence"}) }}
"""
HOSTILE = ("</script><script>alert(1)</script>{{ 7 * 7 }}", "שלום \u202eevil 🙂 {% raw %}", "＝cmd")


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with open_sales_lake() as opened:
        yield opened


@pytest.fixture(scope="module")
def path(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "sales.html"
    file.write_text(render(find_pages(PAGES)["sales_controls"], session, make_context()).html, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, path: Path) -> Iterator[Page]:
    with open_page(browser, path) as opened:
        yield opened


def figure(page: Page, name: str):
    return page.locator(f'[data-figure="{name}"]')


def read_csv(page: Page, name: str) -> list[dict[str, str]]:
    with page.expect_download() as download:
        figure(page, name).get_by_role("button", name="as CSV").click()
    assert download.value.suggested_filename.endswith(f"-{name}-release-41.csv")
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    return list(csv.DictReader(StringIO(text)))


def read_money(text: str) -> Decimal:
    return Decimal(re.sub(r"[₹,]", "", text))


# Moving about


def test_browser_tabs_move_by_keyboard(page: Page) -> None:
    """Arrow keys, Home and End move between parts; one tab at a time takes the focus, and the address follows."""
    page.get_by_role("tab", name="Sales").focus()
    for key, name in (
        ("ArrowRight", "Data quality"),
        ("End", "Controls"),
        ("ArrowRight", "Sales"),
        ("ArrowLeft", "Controls"),
    ):
        page.keyboard.press(key)
        expect(page.get_by_role("tab", name=name)).to_be_focused()
        expect(page.get_by_role("tabpanel")).to_have_count(1)
        expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
    assert page.url.endswith("#part-controls")
    assert page.locator('[role="tab"][tabindex="0"], [role="tab"]:not([tabindex])').count() == 1
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_browser_opens_the_part_the_address_names(browser: Browser, path: Path) -> None:
    """A link to a part opens it at the head of the page, and an unknown one opens the first."""
    with open_page(browser, path, fragment="#part-exceptions") as page:
        expect(page.get_by_role("tabpanel", name="Exceptions")).to_be_visible()
        assert page.evaluate("scrollY") == 0
    with open_page(browser, path, fragment="#nowhere") as page:
        expect(page.get_by_role("tabpanel", name="Sales")).to_be_visible()


HIDDEN = """() => {
  const focused = document.activeElement, { left, top, width, height } = focused.getBoundingClientRect();
  if (focused === document.body || height > innerHeight / 2) return null;
  const seen = document.elementFromPoint(left + Math.min(width / 2, 20), top + height / 2);
  return seen && (focused.contains(seen) || seen.contains(focused)) ? null : focused.outerHTML.slice(0, 90);
}"""


def test_browser_focus_is_never_hidden(page: Page) -> None:
    """Going through a part by keyboard, whatever has the focus can be seen: the tabs that stay above cover nothing."""
    page.set_viewport_size({"width": 1280, "height": 420})  # less than a table
    page.get_by_role("tab", name="Controls").click()
    hidden = []
    for _ in range(40):
        page.keyboard.press("Tab")
        hidden.append(page.evaluate(HIDDEN))
    assert [each for each in hidden if each] == []


def test_browser_skip_link_comes_first(page: Page) -> None:
    """The first key press offers to skip to the figures."""
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the figures")).to_be_focused()


def test_browser_shows_the_checks_without_leaving_the_part(page: Page) -> None:
    """The link in the head opens the list of checks and leaves the part as it is."""
    page.get_by_role("tab", name="Controls").click()
    page.get_by_role("link", name="11 passed").click()
    expect(page.get_by_role("cell", name="staging.stg_sales").last).to_be_visible()
    expect(page.get_by_role("tabpanel", name="Controls")).to_be_visible()


def test_browser_draws_every_chart_when_its_part_is_shown(page: Page) -> None:
    """No chart stays empty."""
    for tab in page.get_by_role("tab").all():
        tab.click()
        for plot in page.locator('[role="tabpanel"]:visible [data-role="plot"]').all():
            expect(plot.locator("svg.main-svg").first).to_be_visible()
            assert plot.locator(".point, .scatterlayer .js-line").count() > 0


# Drill-down


def test_browser_drills_from_month_to_day_to_rows(session: Session, page: Page) -> None:
    """A choice narrows what follows, and the total below is the exact sum of those rows."""
    figure(page, "revenue-by-month").locator("select").select_option("Aug 2026")
    expect(figure(page, "revenue-by-day").locator("h3")).to_contain_text("Aug 2026")
    assert figure(page, "revenue-by-day").locator(".barlayer .point").count() == 31
    figure(page, "revenue-by-day").locator("select").select_option("17 Aug 2026")
    expect(figure(page, "daily-sales").locator("h3")).to_contain_text("Aug 2026, 17 Aug 2026")
    count, revenue = session.rows(
        "select count(*), sum(revenue_inr) from marts.sales_daily where sold_on = date '2026-08-17'"
    )[0]
    foot = figure(page, "daily-sales").locator("tfoot td")
    expect(foot.first).to_have_text(f"{count} rows")
    assert read_money(foot.nth(5).inner_text()) == revenue


def test_browser_drills_by_clicking_bars(session: Session, page: Page) -> None:
    """A click on a bar picks it, another click lets it go; a new month forgets the day."""
    bars = figure(page, "revenue-by-month").locator(".barlayer .point")
    click_bar(page, "revenue-by-month", 1)
    expect(figure(page, "revenue-by-day").locator("h3")).to_contain_text("May 2026")
    click_bar(page, "revenue-by-day", 4)
    expect(figure(page, "daily-sales").locator("h3")).to_contain_text("May 2026, 5 May 2026")
    click_bar(page, "revenue-by-month", 2)
    expect(figure(page, "daily-sales").locator(".narrowed")).to_have_text("Jun 2026")
    click_bar(page, "revenue-by-month", 2)
    count = session.value("select count(*) from marts.sales_daily")
    expect(figure(page, "daily-sales").locator("tfoot td").first).to_have_text(f"All {count:,} rows")
    assert bars.count() == 8


def click_bar(page: Page, name: str, place: int) -> None:
    bar = figure(page, name).locator(".barlayer .point").nth(place)
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def test_browser_drill_narrows_by_several_charts(session: Session, page: Page) -> None:
    """Month, region and group narrow together."""
    figure(page, "revenue-by-month").locator("select").select_option("Jul 2026")
    figure(page, "revenue-by-region").locator("select").select_option("North")
    figure(page, "revenue-by-product-group").locator("select").select_option("Home")
    revenue = session.value("""
        select sum(revenue_inr) from marts.sales_daily
        where sold_month = date '2026-07-01' and region = 'North' and product_group = 'Home'
    """)
    assert read_money(figure(page, "daily-sales").locator("tfoot td").nth(5).inner_text()) == revenue


# Tables


def test_browser_sorts_a_table_by_number(page: Page) -> None:
    """A heading sorts up, then down, by value and not by spelling, and says so."""
    table = figure(page, "products")
    table.get_by_role("button", name="Revenue", exact=True).click()
    assert read_column(table, 4) == sorted(read_column(table, 4))
    table.get_by_role("button", name="Revenue", exact=True).click()
    assert read_column(table, 4) == sorted(read_column(table, 4), reverse=True)
    expect(table.locator("th").nth(4)).to_have_attribute("aria-sort", "descending")


def read_column(table, place: int) -> list[Decimal]:
    return [read_money(row.locator("td").nth(place).inner_text()) for row in table.locator("tbody tr").all()]


def test_browser_pages_through_a_table_by_keyboard(page: Page) -> None:
    """The pager goes on and back, keeps the focus, and stops at the ends."""
    table = figure(page, "products")
    on = table.get_by_role("button", name="Later rows")
    on.focus()
    page.keyboard.press("Enter")
    expect(table.get_by_role("status")).to_have_text("13–24 of 30")
    expect(on).to_be_focused()
    page.keyboard.press("Enter")
    expect(table.get_by_role("status")).to_have_text("25–30 of 30")
    expect(on).to_be_disabled()
    expect(table.get_by_role("button", name="Earlier rows")).to_be_focused()


def test_browser_filters_and_searches_a_table(session: Session, page: Page) -> None:
    """A filter and a search narrow together; nothing found is said."""
    table = figure(page, "products")
    table.locator('[data-filter="product_group"]').select_option("Beauty")
    count = session.value("select count(distinct product) from marts.sales_product where product_group = 'Beauty'")
    expect(table.locator("tfoot td").first).to_have_text(f"{count} rows")
    table.get_by_role("searchbox").fill("beauty a")
    expect(table.locator("tbody tr")).to_have_count(1)
    table.get_by_role("searchbox").fill("no such product")
    expect(table.locator("tbody")).to_have_text("No row matches.")


def test_browser_audit_log_filters_by_event(page: Page) -> None:
    """The audit trail can be narrowed to one kind of event."""
    page.get_by_role("tab", name="Audit trail").click()
    table = figure(page, "audit-log")
    table.locator('[data-filter="event"]').select_option("gate-passed")
    expect(table.locator("tbody tr")).to_have_count(7)


# Export


def test_browser_export_equals_the_data(session: Session, page: Page) -> None:
    """The CSV of a table holds every row and every digit of what the mart holds."""
    figure(page, "revenue-by-month").locator("select").select_option("All 8")
    rows = read_csv(page, "daily-sales")
    wanted = session.rows("""
        select
            sold_on::varchar, region, product_group, order_count::varchar, unit_count::varchar, revenue_inr::varchar,
            revenue_per_unit_inr::varchar,
        from marts.sales_daily
        order by sold_on desc, region, product_group
    """)
    assert [tuple(row.values()) for row in rows] == wanted


def test_browser_export_follows_filter_and_sort(page: Page) -> None:
    """What is exported is what is shown, all pages of it."""
    table = figure(page, "products")
    table.locator('[data-filter="product_group"]').select_option("Home")
    table.get_by_role("button", name="Units").click()
    rows = read_csv(page, "products")
    assert {row["product_group"] for row in rows} == {"Home"}
    units = [int(row["unit_count"]) for row in rows]
    assert units == sorted(units)


@pytest.mark.parametrize("part", ["sales", "data-quality", "exceptions", "audit-trail", "controls"])
def test_browser_every_figure_exports(browser: Browser, path: Path, part: str) -> None:
    """Each chart, table, map and comparison can be saved, and is not empty (Chromium asks after ten in one page)."""
    with open_page(browser, path, fragment=f"#part-{part}") as page:
        shown = page.locator('[role="tabpanel"]:visible [data-figure]').all()
        assert [
            name for name in (each.get_attribute("data-figure") for each in shown) if not read_csv(page, name)
        ] == []
        assert 1 < len(shown) < 11


def test_browser_chart_gives_its_rows(session: Session, page: Page) -> None:
    """A chart's numbers can be read without seeing the picture."""
    chart = figure(page, "revenue-by-region")
    chart.get_by_role("button", name="Show the numbers").click()
    cells = chart.locator("tbody tr").first.locator("td").all_inner_texts()
    region, revenue = session.rows(
        "select region, sum(revenue_inr) as revenue_inr from marts.sales_daily group by region order by 2 desc limit 1"
    )[0]
    assert (cells[0], read_money(cells[1])) == (region, revenue)


# Comparison of runs


def test_browser_comparison_changes_with_the_runs_chosen(session: Session, page: Page) -> None:
    """Other runs give other numbers; a run compared with itself does not differ."""
    page.get_by_role("tab", name="Controls").click()
    shown = figure(page, "comparison-of-runs")
    runs = [run for (run,) in session.rows("select run_id from runs order by run_id desc")]
    expect(shown.locator('[data-role="after"]')).to_have_value(runs[0])
    expect(shown.locator('[data-role="before"]')).to_have_value(runs[1])
    shown.locator('[data-role="before"]').select_option(runs[3])
    shown.locator('[data-role="changed"]').check()
    row = shown.locator("tbody tr", has_text="volume within 20% of usual").locator("td")
    assert row.nth(3).inner_text() == "fail"
    assert row.nth(4).inner_text() == "pass"
    old, new = session.rows(f"""
        select measured::decimal(9, 4) from ops.validation_results
        where check_name like 'volume%' and run_id in ('{runs[3]}', '{runs[0]}') order by run_id
    """)
    assert row.nth(7).inner_text().startswith("fail → pass, ")
    moved = Decimal(row.nth(7).inner_text().split(", ")[1].replace("−", "-"))
    assert moved == new[0] - old[0]
    shown.locator('[data-role="before"]').select_option(runs[0])
    expect(shown.locator('[data-role="summary"]')).to_have_text("0 of 12 differ")
    expect(shown.locator("tbody tr")).to_have_count(0)


# Looks


def test_browser_theme_follows_the_system_and_the_toggle(browser: Browser, path: Path) -> None:
    """Dark by the system's wish or by the button; charts are redrawn in the theme's colours."""
    ground = "getComputedStyle(document.body).backgroundColor"
    with open_page(browser, path, color_scheme="dark") as page:
        expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
        dark = page.evaluate(ground)
    with open_page(browser, path) as page:
        light, bar = page.evaluate(ground), figure(page, "revenue-by-region").locator(".point path").first
        before = bar.evaluate("each => getComputedStyle(each).fill")
        page.get_by_role("button", name="Dark").click()
        assert page.evaluate(ground) == dark != light
        assert bar.evaluate("each => getComputedStyle(each).fill") != before
        page.get_by_role("button", name="Dark").click()
        assert page.evaluate(ground) == light


def test_browser_prints_every_part(browser: Browser, path: Path) -> None:
    """Paper shows all parts with charts, short tables whole, of others what is left out; then all is as before."""
    with open_page(browser, path) as page:
        figure(page, "products").get_by_role("button", name="Later rows").click()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        expect(figure(page, "products").locator("tbody tr")).to_have_count(30)
        expect(figure(page, "products").locator(".paper")).to_have_count(0)
        daily = figure(page, "daily-sales").locator('[data-role="pager"]')
        expect(daily).to_contain_text("Rows 1–12 of", use_inner_text=True)
        expect(daily).to_contain_text("the others are on the page itself, sales_controls.html", use_inner_text=True)
        expect(page.locator(".part:visible")).to_have_count(5)
        expect(page.locator("h2:visible")).to_have_count(5)
        empty = page.locator('[data-role="plot"]:not(:has(svg))').count()
        assert empty == 0
        expect(page.get_by_role("tab")).to_have_count(0)
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        expect(page.locator(".part:visible")).to_have_count(1)
        expect(figure(page, "products").get_by_role("status")).to_have_text("13–24 of 30")
        expect(daily.get_by_role("status")).to_be_visible()


def test_browser_without_script_reads_all_the_same(browser: Browser, path: Path) -> None:
    """Without JavaScript the parts stand one below the other, with the first rows of their tables."""
    with open_page(browser, path, java_script_enabled=False) as page:
        expect(page.locator(".part:visible")).to_have_count(5)
        assert figure(page, "products").locator("tbody tr").count() == 12


# Values that are easily written wrong


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Session, Path]]:
    folder = tmp_path_factory.mktemp("odd")
    (folder / "odd.html.j2").write_text(ODD_PAGE, encoding="utf-8")
    with Session(EngineLimits(memory="256MB", threads=1)) as session:
        session.execute("""
            create table marts.odd as
            select
                id, note, revenue_inr::decimal(38, 2) as revenue_inr, share_ratio::double as share_ratio,
                weight::decimal(12, 4) as weight, (id * 1000003)::bigint as id_count,
                took_seconds::double as took_seconds,
                date '2026-01-31' + id::integer as sold_on,
                timestamptz '2026-01-31 18:29:59.5+00' + id * interval '1 day' as seen_at,
            from (values
                (1, '=HYPERLINK("x")', '99999999999999999999999.99', 0.12345, '1.00005', 1e-5),
                (2, '-5 degrees', '-1234567.89', -0.0005, '-0.0001', 1234.5678),
                (3, '<b>bold</b> & "quoted", with a comma', '0.01', 1.0, '1234567.8901', 0.1),
                (4, 'two' || chr(10) || 'lines', '0.00', 0.0, '0', 12345678.9),
                (5, '@cmd', null, null, null, null),
                (6, '</script><script>alert(1)</script>{{ 7 * 7 }}', '6', null, null, null),
                (7, 'שלום ' || chr(8238) || 'evil 🙂 {% raw %}', '7', null, null, null),
                (8, '＝cmd', '8', null, null, null)
            ) as given(id, note, revenue_inr, share_ratio, weight, took_seconds);
            alter table marts.odd add column message varchar;
            update marts.odd set message = [
                'INR -1234567.5 of INR 12,345.00, USD 1234567 and EUR 1.5.',
                'INRX 5000 INR 5000',
                'INR 99999.999 INR 1234.5,6'
            ][1 + id % 3];
        """)
        html = render(read_page(folder / "odd.html.j2"), session, make_context()).html
        (folder / "odd.html").write_text(html, encoding="utf-8")
        yield session, folder / "odd.html"


def test_browser_writes_values_as_python_does(browser: Browser, odd: tuple[Session, Path]) -> None:
    """The script's formats and the templates' give the same text, cell by cell, total included."""
    session, path = odd
    with open_page(browser, path, java_script_enabled=False) as page:
        written = page.locator("td").all_inner_texts()
    with open_page(browser, path) as page:
        redrawn = page.locator("td").all_inner_texts()
        figure(page, "odd").get_by_role("searchbox").fill("₹")
        total = figure(page, "odd").locator("tfoot td").nth(2).inner_text()
    assert redrawn == written
    assert "-₹12,34,567.50 of INR 12,345.00, $1,234,567.00 and €1.50." in written
    assert "₹99,99,99,99,99,99,99,99,99,99,999.99" in written
    exact = session.value("select sum(revenue_inr) from marts.odd")
    assert total == Formatter("UTC", "INR").show(exact, "money:INR")


def test_browser_export_disarms_formulas_and_keeps_numbers(browser: Browser, odd: tuple[Session, Path]) -> None:
    """Text that a spreadsheet would run gets an apostrophe; numbers, quotes, commas and line breaks stay exact."""
    with open_page(browser, odd[1]) as page:
        rows = read_csv(page, "odd")
    assert [row["note"] for row in rows] == [
        "'=HYPERLINK(\"x\")", "'-5 degrees", '<b>bold</b> & "quoted", with a comma', "two\nlines", "'@cmd",
        *HOSTILE[:2], f"'{HOSTILE[2]}",
    ]  # fmt: skip
    assert [row["revenue_inr"] for row in rows][:5] == ["99999999999999999999999.99", "-1234567.89", "0.01", "0.00", ""]
    assert rows[0]["seen_at"] == "2026-02-01T23:59:59.500000+05:30"


def test_browser_chart_shows_markup_as_text(browser: Browser, odd: tuple[Session, Path]) -> None:
    """A category that looks like markup, script or a template is written as it is."""
    with open_page(browser, odd[1]) as page:
        chart = figure(page, "by-note")
        names = chart.locator("option").all_text_contents()
        assert "<b>bold</b>" in " ".join(chart.locator(".ytick").all_text_contents())
        assert [name for name in HOSTILE if name not in names] == []
        chart.locator("select").select_option(HOSTILE[0])
        expect(figure(page, "odd").locator("tbody tr")).to_have_count(8)


def test_browser_shows_no_total_of_a_part(browser: Browser, odd: tuple[Session, Path]) -> None:
    """Where rows are left out, a narrowed table has no total: rows that match may be among those left out."""
    with open_page(browser, odd[1]) as page:
        foot = figure(page, "few").locator("tfoot td")
        expect(foot.first).to_have_text("All 8 rows")
        figure(page, "few").get_by_role("searchbox").fill("o")
        expect(foot.first).to_have_text("2 rows on this page")
        expect(foot.last).to_have_text("–")
        figure(page, "few").get_by_role("searchbox").fill("")
        expect(foot.first).to_have_text("All 8 rows")


LONG_PAGE = """---
title: Long
description: Names and sums without end.
audience: testers
owner: data team
recipients: []
---
{% set long = query("select * from marts.long order by id") %}
{% set empty = query("select * from marts.long where false") %}
{% call part("Long") %}
{% call tiles() %}
{{ kpi("Revenue", long, "revenue_inr") }}
{{ kpi("Name", long, "name") }}
{% endcall %}
{{ chart("Lying", long, x="name", y="balance_inr", kind="across", select="all") }}
{% call pair() %}
{{ chart("Standing", long, x="name", y="balance_inr") }}
{{ chart("Lines", long, x="id", y="balance_inr", series="name", kind="line") }}
{% endcall %}
{{ chart("Nothing", empty, x="name", y="balance_inr") }}
{{ table("Rows", long, totals=["revenue_inr"], filters=["name"]) }}
{{ table("No rows", empty, totals=["revenue_inr"]) }}
{{ heat("Map", long, row="name", column="id", value="balance_inr") }}
{% endcall %}
"""


def test_browser_long_names_and_sums_fit(browser: Browser, tmp_path: Path) -> None:
    """Names of a hundred letters and sums of crores fit a screen, a phone and paper, cut where a chart has no room."""
    (tmp_path / "long.html.j2").write_text(LONG_PAGE, encoding="utf-8")
    with Session(EngineLimits(memory="256MB", threads=1)) as session:
        session.execute(f"""
            create table marts.long as
            select id, name, revenue_inr::decimal(38, 2) as revenue_inr, balance_inr::decimal(18, 2) as balance_inr
            from (values
                (1, 'Institute for {"Cardiothoracic and " * 5}Surgery', 99999999999999.99, 1200.5),
                (2, '{"Donaudampfschifffahrt" * 5}', -99999999999.99, -800),
                (3, 'שלום', 0.01, 3.5),
                (4, 'x', null, null)
            ) as given(id, name, revenue_inr, balance_inr)
        """)
        html = render(read_page(tmp_path / "long.html.j2"), session, make_context(), with_mail=False).html
    (tmp_path / "long.html").write_text(html, encoding="utf-8")
    with open_page(browser, tmp_path / "long.html") as page:
        assert page.evaluate(WIDTH) <= 1280
        assert spoilt_charts(page) == []
        expect(figure(page, "no-rows").locator("tfoot")).to_have_count(0)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 703, "height": 1000})
        assert page.evaluate(WIDTH) <= 703
        assert spoilt_charts(page) == []
    with open_page(browser, tmp_path / "long.html", viewport={"width": 390, "height": 844}, is_mobile=True) as page:
        assert page.evaluate(WIDTH) <= 390
        assert spoilt_charts(page) == []
