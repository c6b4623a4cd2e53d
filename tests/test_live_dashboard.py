"""The live error page of the real service, in a real browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from flows.service.live import mask
from lake.receiving.keys import add_key, make_key
from tests.browser import open_browser
from tests.page_looks import faint_texts, unreadable
from tests.service_parts import Served, land, make_project, row, served

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
SOON = 20_000  # milliseconds; the page looks every three seconds


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("live"))


@pytest.fixture(scope="module")
def token(project: Path) -> str:
    token, key = make_key("desk", ["visits"], datetime.now(UTC))
    add_key(project / ".sluice" / "keys.json", key)
    other, key = make_key("other", ["elsewhere"], datetime.now(UTC))
    add_key(project / ".sluice" / "keys.json", key)
    (project / "other.txt").write_text(other)
    return token


@pytest.fixture(scope="module")
def service(project: Path, token: str) -> Iterator[Served]:
    with served(project, is_open=False) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@contextmanager
def signed_in(browser: Browser, service: Served, token: str, **options) -> Iterator[Page]:
    """The live page in a fresh profile, reached by signing in; fails on any error, or request to elsewhere."""
    context = browser.new_context(**options)
    page, troubles = context.new_page(), []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: message.type in ("error", "warning") and troubles.append(message.text))
    page.on("request", lambda request: request.url.startswith((service.url, "data:")) or troubles.append(request.url))
    page.goto(service.url)
    page.get_by_label("Key").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Live errors")).to_be_visible()
    yield page
    context.close()
    assert troubles == []


def post(service: Served, token: str, *rows: dict) -> httpx.Response:
    return service.post(list(rows), headers={"x-api-key": token})


def test_live_dashboard_shows_a_new_error_by_itself(
    browser: Browser, service: Served, token: str, project: Path
) -> None:
    """An error shows on the open page while its row waits, and as quarantined once it is landed; nobody reloads."""
    with signed_in(browser, service, token) as page:
        page.evaluate("window.untouched = true")
        assert post(service, token, row("good"), row("wrong", came_on="planted-value")).status_code == 202
        line = page.locator("table.errors tbody tr").first
        expect(line).to_contain_text("came_on is not of type date", timeout=SOON)
        expect(line).to_contain_text("waiting")
        land(project)
        expect(line).to_contain_text("in quarantine", timeout=SOON)
        expect(page.locator(".tile").first).to_contain_text("50.0%")
        assert page.evaluate("window.untouched")
        assert "planted-value" not in page.content()


def test_live_dashboard_says_when_the_service_is_gone(browser: Browser, service: Served, token: str) -> None:
    """A page that gets no answer any more says that what it shows is old."""
    context = browser.new_context(extra_http_headers={"x-api-key": token})
    page = context.new_page()
    page.goto(service.url)
    context.set_offline(True)
    expect(page.get_by_text("The service does not answer.")).to_be_visible(timeout=SOON)
    context.close()


def test_live_dashboard_works_without_script(service: Served, token: str) -> None:
    """Without script the page reloads itself, and holds all there is."""
    text = httpx.get(service.url, headers={"x-api-key": token}).text
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in text
    assert "visits" in text and "Newest errors" in text


def test_live_dashboard_fits_a_phone(browser: Browser, service: Served, token: str) -> None:
    """Nothing is wider than a phone; every text stands out, bright and dark, and can be said by a screen reader."""
    post(service, token, row("phone", came_on="never"))
    with signed_in(browser, service, token, **PHONE) as page:
        expect(page.locator("table.errors tbody tr").first).to_be_visible(timeout=SOON)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert faint_texts(page) == []
        assert unreadable(page) == {}


def test_live_dashboard_is_for_those_with_a_key(service: Served, token: str, project: Path) -> None:
    """Who has no key is led to the sign-in; who has one sees the sources it is for, and no others."""
    asked = httpx.get(service.url, headers={"accept": "text/html"})
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in")
    assert httpx.get(f"{service.url}/metrics").status_code == 401
    refused = httpx.post(f"{service.url}/sign-in", data={"key": "nonsense"})
    assert (refused.status_code, "no valid key" in refused.text) == (401, True)
    other = httpx.get(service.url, headers={"x-api-key": (project / "other.txt").read_text()}).text
    assert "visits" not in other


def test_live_dashboard_cookie_is_no_key(service: Served, token: str) -> None:
    """What a browser keeps is no key, is out of scripts' reach, and opens nothing that is posted to."""
    answer = httpx.post(f"{service.url}/sign-in", data={"key": token})
    cookie = answer.headers["set-cookie"]
    assert token not in cookie and "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    given = {"cookie": cookie.partition(";")[0]}
    assert httpx.get(service.url, headers=given).status_code == 200
    assert service.post([row("x")], headers=given).status_code == 401


def test_live_dashboard_has_a_strict_policy(service: Served, token: str) -> None:
    """Nothing but the service's own style and script is let into the page, and no frame around it."""
    policy = httpx.get(service.url, headers={"x-api-key": token}).headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy


def test_live_dashboard_masks_what_looks_like_a_person() -> None:
    """Addresses and long numbers in a reason are masked, whoever wrote the reason."""
    assert mask("asha@example.in called +919876543210 on line 12") == "••• called ••• on line 12"
