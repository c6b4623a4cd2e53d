"""Every page of the demo in every form: on a phone, in the dark, on paper, as a mail; its figures against the marts."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from playwright.sync_api import Browser, Page, expect

from checks.gate import run_gate
from checks.page_figures import read_figures
from checks.suites import find_suites
from checks.verdict import CheckResult
from flows.demonstrating import served
from flows.paging import FIGURE_COLUMNS
from flows.reading import Reading, open_lake
from flows.workplace import Workplace
from lake.demo.bodies import deliver_demo
from lake.engine import EngineLimits, Session, literal
from lake.project import open_project
from reports.links import without_neighbours
from reports.page import find_pages
from tests.browser import open_browser, open_page
from tests.commerce_parts import ROOT, make_project, run_marts
from tests.page_looks import WIDTH, faint_texts, spoilt_charts, unreadable

ROWS = 4_000
PAGES = find_pages(ROOT / "reports/pages")
RELEASED = sorted(name for name, page in PAGES.items() if page.drawn == "release")
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK = {"width": 1280, "height": 900}
SIDEWAYS = """() => [...document.querySelectorAll(".scroll")].filter((each) => each.scrollWidth > each.clientWidth + 1)
    .map((each) => each.getAttribute("aria-labelledby"))"""
PAPER = {"width": 703, "height": 1000}  # A4 upright within its margins
YEAR = re.compile(r"\b20\d\d\b")
LINK = re.compile(r'href="([^"#]+\.html)')


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole project with a small demo, run once."""
    root = make_project(tmp_path_factory.mktemp("demo"), tuple(PAGES))
    with Session(EngineLimits("512MB", 2)) as session:
        given = deliver_demo(session, root, open_project(root).contracts(), rows=ROWS, seed=7)
    with served(given) as addresses:
        (root / ".env").write_text("".join(f"{name}={value}\n" for name, value in addresses.items()), encoding="utf-8")
        assert run_marts(root, (), ()).failure is None
    return root


@pytest.fixture(scope="module")
def folder(project: Path) -> Path:
    return project / "lake/data/pages"


@pytest.fixture(scope="module")
def lake(project: Path) -> Iterator[Reading]:
    """What readers of the demo see, with the figures of its pages as they were drawn."""
    with open_lake(Workplace(project)) as lake:
        drawn = "select subject, details ->> 'figures' from ops.audit_log where event = 'page-rendered'"
        rows = [
            {"page": page, "figure": figure, "value": value}
            for page, figures in lake.session.rows(drawn)
            for figure, value in json.loads(figures).items()
        ]
        lake.session.register("page_figures", pa.Table.from_pylist(rows, FIGURE_COLUMNS))
        lake.session.execute("create table ops.page_figures as from page_figures")
        yield lake


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


# Every form


def open_parts(page: Page) -> Iterator[str]:
    """Opens each part of a page in turn and gives its name; a part that is alone has no tab and is open."""
    tabs = page.get_by_role("tab").all()
    for tab in tabs:
        tab.click()
        yield tab.inner_text()
    if not tabs:
        yield page.get_by_role("heading", level=1).inner_text()


@pytest.mark.parametrize("name", PAGES)
def test_demo_page_fits_every_form(browser: Browser, folder: Path, name: str) -> None:
    """On a phone, bright and dark, and on paper: nothing scrolls sideways, every text stands out and can be read.

    At a desk no table scrolls sideways either.

    Charts are drawn, without letters cut or on each other. Nothing errs or asks. Screen readers can say all of it.
    """
    with open_page(browser, folder / f"{name}.html", **PHONE) as page:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for part in open_parts(page):
                assert page.evaluate(WIDTH) <= 390, (scheme, part)
                assert faint_texts(page) == [], (scheme, part)
                assert spoilt_charts(page) == []
        assert unreadable(page) == {}
        page.set_viewport_size(DESK)
        assert {part: wide for part in open_parts(page) if (wide := page.evaluate(SIDEWAYS))} == {}
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        page.set_viewport_size(PAPER)
        assert page.evaluate(WIDTH) <= PAPER["width"]
        assert faint_texts(page) == []
        assert spoilt_charts(page) == []
        wide = "each => each.scrollWidth > each.clientWidth + 1"
        assert page.locator(".plot").evaluate_all(f"plots => plots.filter({wide}).length") == 0


@pytest.mark.parametrize("name", RELEASED)
def test_demo_page_says_of_what_time_its_figures_are(folder: Path, name: str) -> None:
    """The words of a page name a year, or its months or days: nobody has to guess of what time its figures are."""
    text = (folder / f"{name}.mail.html").read_text(encoding="utf-8")
    said = re.findall(r"<p(?: [^>]*)?>(.*?)</p>", text.split("Release", 1)[1].split("</p>", 1)[1], flags=re.DOTALL)
    assert any(YEAR.search(words) for words in said), said


@pytest.mark.parametrize("name", RELEASED)
def test_demo_page_is_a_mail(browser: Browser, folder: Path, name: str) -> None:
    """The mail body is not clipped, leads nowhere, shows each picture and has words for it, and fits a phone."""
    path = folder / f"{name}.mail.html"
    text = path.read_text(encoding="utf-8")
    assert len(re.sub(r'(?<=<img src=")data:[^"]*', "cid:some-picture", text).encode()) < 100_000
    assert "<script" not in text
    assert LINK.findall(text) == []
    assert all('alt="' in image for image in re.findall(r"<img [^>]*>", text))
    with open_page(browser, path, **PHONE) as page:
        assert page.locator("img").evaluate_all("pictures => pictures.filter((each) => !each.naturalWidth).length") == 0
        assert page.evaluate(WIDTH) <= 390
        assert faint_texts(page) == []
        assert unreadable(page) == {}


# Links


@pytest.mark.parametrize("name", PAGES)
def test_demo_page_leads_on(folder: Path, name: str) -> None:
    """Each page leads to the contents, and to the checks and tables behind it, all there; as mailed, nowhere."""
    text = (folder / f"{name}.html").read_text(encoding="utf-8")
    links = set(LINK.findall(text))
    assert {link for link in links if not (folder / link).is_file()} == set()
    wanted = {"catalogue.html", "data_docs.html", *(["index.html"] if name != "index" else [])}
    assert wanted <= links
    if name in RELEASED:
        assert LINK.findall(without_neighbours(text)) == []


def test_demo_contents_lead_to_a_page_and_on_to_a_table(browser: Browser, folder: Path) -> None:
    """From the contents to a page, from its checks to the catalogue, which opens at that table, and back again."""
    with open_page(browser, folder / "index.html") as page:
        page.get_by_role("link", name="Leave").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Leave")
        expect(page.locator(".page-foot")).to_contain_text("Release 1, published")
        page.locator("#to-gates").click()
        page.locator("#gates").get_by_role("link", name="marts.leave_summary").click()
        expect(page.get_by_label("Table", exact=True)).to_have_value("marts.leave_summary")
        page.get_by_role("link", name="All pages").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Contents")


# The catalogue


def test_demo_catalogue_has_every_table(lake: Reading, folder: Path) -> None:
    """Every table of the release has its words, its owner and its columns, a table of ours the way it came, too."""
    bare = """
        select table_name from ops.tables
        where release_id is not null and (
            description is null or owner is null or row_count is null and kind = 'table'
            or table_name not in (select table_name from ops.columns)
            or layer in ('staging', 'marts') and table_name not in (select to_table from ops.lineage)
        )
    """
    assert lake.session.rows(bare) == []
    text = (folder / "catalogue.html").read_text(encoding="utf-8")
    tables = [name for (name,) in lake.session.rows("select table_name from ops.tables where release_id is not null")]
    assert len(tables) > 60
    assert [name for name in tables if f'"{name}"' not in text] == []


def test_demo_pages_show_nothing_restricted(project: Path, folder: Path) -> None:
    """No value of a restricted column that was delivered stands in any page or mail body."""
    shown = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
    assert len(shown) > 20
    seen = 0
    for contract in open_project(project).contracts().values():
        names = [column.source_name for column in contract.columns if column.privacy == "restricted"]
        for name in names:
            secrets = _delivered(project, contract.source, name)
            seen += len(secrets)
            assert [(page, each) for page, text in shown.items() for each in secrets if each in text] == []
    assert seen > 40


def _delivered(project: Path, source: str, name: str) -> list[str]:
    """Gives values of a column as they were delivered, long enough not to be found by chance."""
    (path,) = (project / f"lake/data/inbox/{source}").iterdir()
    read = "read_parquet" if path.suffix == ".parquet" else "read_json" if path.suffix == ".jsonl" else "read_csv"
    options = (
        "" if read == "read_parquet" else ", ignore_errors = true" if read == "read_json" else ", all_varchar = true"
    )
    with Session(EngineLimits("512MB", 2)) as session:
        rows = session.rows(
            f"select distinct {name}::varchar from {read}({literal(str(path))}{options})"
            f" where length({name}::varchar) > 9 order by all limit 8"
        )
    return [value for (value,) in rows]


# Figures


@pytest.mark.parametrize("name", RELEASED)
def test_demo_page_figures_are_those_of_the_marts(lake: Reading, name: str) -> None:
    """Each page of a release has its figures reconciled: one that is a paisa off is caught, by name; so is each."""
    path = ROOT / f"checks/pages/{name}.yml"
    figures = list(read_figures(path, path.read_text(encoding="utf-8")))
    assert len(figures) >= 5
    assert judge(lake, name).outcome == "pass"

    harm(lake, f"page = {literal(name)} and figure = {literal(figures[0])}")
    result = judge(lake, name)
    assert (result.outcome, [row["figure"] for row in result.sample]) == ("fail", figures[:1])

    harm(lake, f"page = {literal(name)} and figure <> {literal(figures[0])}")
    assert judge(lake, name).failed_count == len(figures)


def test_demo_page_figure_that_is_not_shown_is_caught(lake: Reading) -> None:
    """A figure that a page has lost, by another title perhaps, fails its check."""
    lake.session.execute("delete from ops.page_figures where page = 'site_traffic' and figure = 'days-kept'")
    assert "days-kept" in [row["figure"] for row in judge(lake, "site_traffic").sample]


def judge(lake: Reading, name: str) -> CheckResult:
    """Gives what the check of a page's figures says."""
    (suite,) = (each for each in find_suites(ROOT / "checks") if each.path == ROOT / f"checks/pages/{name}.yml")
    return run_gate(lake.session, "pipeline", [suite], {}, now=datetime(2026, 1, 5, tzinfo=UTC)).results[0]


def harm(lake: Reading, where: str) -> None:
    """Makes figures a paisa more than they are."""
    lake.session.execute(
        f"update ops.page_figures set value = (value::decimal(38, 6) + 0.01)::varchar"
        f" where {where} and try_cast(value as decimal(38, 6)) is not null"
    )
