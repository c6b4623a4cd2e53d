"""The pages about the platform: drawn after every run however it ended, linked with each other, and masked."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from flows.chores import export_chore
from lake.errors import ModelError
from reports.links import page_link
from reports.page import read_page
from tests.browser import open_browser, open_page
from tests.platform_parts import (
    FIRST,
    PLATFORM_PAGES,
    SECRET,
    ask,
    chore_at,
    deliver,
    health_at,
    run_at,
    sync_at,
    write_platform_shop,
)

HOUR = timedelta(hours=1)
LINK = re.compile(r'href="([^"#]+\.html)')
ADDRESS = "ravi.iyer@example.in"  # in a field that no contract restricts


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with a history: a good run, measurements, a failed gate, a held batch, a day's export."""
    root = write_platform_shop(tmp_path_factory.mktemp("pages") / "shop", PLATFORM_PAGES)
    assert run_at(root, FIRST).failure is None
    health_at(root, FIRST + HOUR)
    sync_at(root, FIRST + 2 * HOUR)
    deliver(root, 2, "B1,2026-11-19,-7.00,", f"B2,2026-11-19,{ADDRESS},")
    assert run_at(root, FIRST + 40 * HOUR).failure is not None  # 19 November in London, 20 November in India
    chore_at(root, FIRST + 42 * HOUR, export_chore(None, None))
    return root


@pytest.fixture(scope="module")
def folder(shop: Path) -> Path:
    return shop / "lake/data/pages"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


def figure(page: Page, name: str):
    return page.locator(f'[data-figure="{name}"]')


def test_platform_pages_stand_after_a_failed_run(folder: Path) -> None:
    """Each page is drawn although the last run failed, says so, and withholds nothing."""
    for name in PLATFORM_PAGES:
        text = (folder / f"{name}.html").read_text(encoding="utf-8")
        assert "The last run did not publish" in text
        assert "1 failed" in text
        assert "Withheld." not in text


def test_platform_pages_are_drawn_without_any_release(tmp_path: Path) -> None:
    """A first run that fails leaves pages, too: before there is anything to show of marts."""
    root = write_platform_shop(tmp_path / "shop", PLATFORM_PAGES)
    deliver(root, 2, "B1,2026-11-19,-7.00,")

    outcome = run_at(root, FIRST)

    assert outcome.failure is not None
    assert outcome.release is None
    assert ask(root, "select subject, details from ops.audit_log where event = 'page-undrawn'") == []
    assert {page.name for page in outcome.pages} == set(PLATFORM_PAGES)


def test_platform_pages_one_that_is_broken_stops_no_other(tmp_path: Path) -> None:
    """A page that cannot be drawn is noted with file and line, and the run and all other pages are as they were."""
    root = write_platform_shop(tmp_path / "shop", ("index", "data_docs"))
    broken = root / "reports/pages/data_docs.html.j2"
    broken.write_text(broken.read_text().replace("ops.validation_results", "ops.nothing", 1), encoding="utf-8")

    outcome = run_at(root, FIRST)

    ((subject, error),) = ask(
        root, "select subject, details ->> 'error' from ops.audit_log where event = 'page-undrawn'"
    )
    assert outcome.failure is None
    assert [page.name for page in outcome.pages] == ["index"]
    assert subject == "data_docs"
    assert re.search(r"data_docs\.html\.j2:\d+: .*\[page-query\]", str(error))


def test_platform_pages_that_cannot_be_written_stop_no_run(tmp_path: Path) -> None:
    """A page that cannot be written leaves the run as good as it was, and says so in the audit log."""
    root = write_platform_shop(tmp_path / "shop", ("index",))
    (root / "lake/data").mkdir(parents=True)
    (root / "lake/data/pages").symlink_to("/dev/full")

    outcome = run_at(root, FIRST)

    assert outcome.failure is None
    assert outcome.is_new_release
    assert ask(root, "select subject from ops.audit_log where event = 'page-undrawn'") == [("index",)]


def test_platform_pages_link_to_pages_that_are_there(folder: Path) -> None:
    """Every link of a page leads to a file beside it, and the contents name every page there is."""
    for name in PLATFORM_PAGES:
        links = set(LINK.findall((folder / f"{name}.html").read_text(encoding="utf-8")))
        assert {link for link in links if not (folder / link).is_file()} == set()
    listed = set(LINK.findall((folder / "index.html").read_text(encoding="utf-8")))
    assert listed == {f"{name}.html" for name in PLATFORM_PAGES if name != "index"}


def test_platform_pages_mail_has_no_relative_link(folder: Path) -> None:
    """The daily mail of the errors leads nowhere that is not in it, and is sent once for a day."""
    mail = (folder / "error_dashboard.mail.html").read_text(encoding="utf-8")
    sent = list(folder.parent.glob("outbox/ingestion-errors-*.eml"))

    assert LINK.findall(mail) == []
    assert "Success and failure by source" in mail
    assert len(sent) == 1
    assert not list(folder.glob("index.mail.html")), "what is mailed to nobody has no mail body"


def test_platform_pages_show_no_restricted_value(shop: Path) -> None:
    """The planted address is in no page, mail, export, log or database; an address elsewhere is masked on pages."""
    kept = [path for path in (shop / "lake/data").rglob("*") if path.is_file()]
    shown = [path for path in kept if path.suffix in (".html", ".csv", ".eml", ".log", ".duckdb")]

    assert len(shown) > 10
    assert [path.name for path in shown if SECRET.encode() in path.read_bytes()] == []
    pages = [path.name for path in shown if path.suffix == ".html" and ADDRESS.encode() in path.read_bytes()]
    assert pages == []


def test_platform_pages_docs_say_why_and_where(browser: Browser, folder: Path) -> None:
    """The failed check comes first, with what was measured, what is allowed, and the line it is written in."""
    with open_page(browser, folder / "data_docs.html") as page:
        first = figure(page, "checks-as-they-stand").locator("tbody tr").first
        expect(first).to_contain_text("no negative day")
        expect(first).to_contain_text("-7")
        expect(first).to_contain_text(">= 0")
        expect(first).to_contain_text("checks/marts/daily_orders.yml:2")


def test_platform_pages_docs_drill_to_the_history_of_a_check(browser: Browser, folder: Path) -> None:
    """A check chosen by its name shows its verdict in every run, newest first; an emptied field shows all again."""
    with open_page(browser, folder / "data_docs.html", fragment="#part-history") as page:
        field = page.get_by_label("Check", exact=True)
        field.fill("no negative day")
        rows = figure(page, "every-verdict-newest-run-first").locator("tbody tr")
        expect(rows).to_have_count(2)
        expect(rows.nth(0)).to_contain_text("fail")
        expect(rows.nth(1)).to_contain_text("pass")
        field.fill("")
        assert rows.count() > 2


def test_platform_pages_catalogue_opens_at_a_table(browser: Browser, folder: Path) -> None:
    """A link that names a table opens the catalogue at it: its columns, where they come from, what depends on them."""
    with open_page(browser, folder / "catalogue.html", fragment="#table=raw.orders") as page:
        columns = figure(page, "columns-and-examples").locator("tbody tr")
        expect(columns).to_have_count(4)
        expect(columns.nth(3)).to_contain_text("restricted")
        expect(columns.nth(3)).to_contain_text("***")
        expect(columns.nth(0)).to_contain_text("A1 · A2 · A3")
        reached = figure(page, "what-depends-on-it").locator("tbody")
        expect(reached).to_contain_text("marts.daily_orders")
        reached.get_by_role("link", name="marts.daily_orders").first.click()
        expect(page.get_by_label("Table", exact=True)).to_have_value("marts.daily_orders")
        expect(figure(page, "made-from").locator("tbody")).to_contain_text("staging.stg_orders")
        expect(figure(page, "columns-and-examples").locator("tbody")).to_contain_text("What was paid.")


def test_platform_pages_catalogue_searches(browser: Browser, folder: Path) -> None:
    """The search of the columns finds by name, type, privacy and words."""
    with open_page(browser, folder / "catalogue.html") as page:
        page.get_by_label("Search in Columns and examples").fill("restricted")
        expect(figure(page, "columns-and-examples").locator("tbody tr")).to_have_count(1)


def test_platform_pages_lead_from_gate_to_its_checks(browser: Browser, folder: Path) -> None:
    """A click on a closed gate's table opens the data docs at that table."""
    with open_page(browser, folder / "platform_operations.html", fragment="#part-gates-and-quarantine") as page:
        figure(page, "gates-as-they-stand").get_by_role("link", name="marts.daily_orders").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Data docs")
        expect(page.get_by_label("Table", exact=True)).to_have_value("marts.daily_orders")
        expect(figure(page, "checks-as-they-stand").locator("tbody tr")).to_have_count(1)


def test_platform_pages_count_days_of_the_projects_zone(browser: Browser, folder: Path) -> None:
    """What ran and was refused two hours after midnight in India is of that day, as its instants on the page are."""
    with open_page(browser, folder / "platform_operations.html") as page:
        assert days(page, "runs-by-day") == {"18 Nov 2026", "20 Nov 2026"}
    with open_page(browser, folder / "error_dashboard.html") as page:
        assert days(page, "records-by-day") == {"18 Nov 2026", "20 Nov 2026"}
        page.get_by_role("tab", name="Errors").click()
        assert days(page, "errors-by-day") == {"18 Nov 2026", "20 Nov 2026"}


def days(page: Page, name: str) -> set[str]:
    """Gives the days that a chart shows, by its numbers."""
    figure(page, name).get_by_role("button", name="Show the numbers").click()
    return set(figure(page, name).locator("tbody td:first-child").all_inner_texts())


def test_platform_pages_success_and_failure_rates(shop: Path, browser: Browser, folder: Path) -> None:
    """The error page's rates are those of the ledger: of 6 records 4 were taken and 2 refused."""
    ((accepted, refused),) = ask(shop, "select sum(accepted_count), sum(quarantined_count) from ops.ingestion_log")
    assert (accepted, refused) == (4, 2)
    with open_page(browser, folder / "error_dashboard.html") as page:
        row = figure(page, "success-and-failure-by-source").locator("tbody tr")
        expect(row).to_have_count(1)
        expect(row).to_contain_text("66.7%")
        expect(row).to_contain_text("33.3%")


@pytest.mark.parametrize("page", ["https://example.in", "../secret", "javascript:alert(1)", "a b", "Page"])
def test_platform_pages_link_only_to_pages(page: str) -> None:
    """A link is a page's name and nothing else: no address, no path, no script."""
    with pytest.raises(ModelError, match="names no page"):
        page_link(page)


@pytest.mark.parametrize("lines", ["drawn: sometimes", "mailed: hourly", "drawn: always\nmailed: release"])
def test_platform_pages_front_matter_says_what_is_wrong(tmp_path: Path, lines: str) -> None:
    """When a page is drawn and mailed is one of a few words; a page that is always drawn is not mailed each time."""
    path = tmp_path / "odd.html.j2"
    head = "title: t\ndescription: d\naudience: a\nowner: o\nrecipients: []"
    path.write_text(f"---\n{head}\n{lines}\n---\nText", encoding="utf-8")

    with pytest.raises(ModelError, match="front matter's '(drawn|mailed)'"):
        read_page(path)
