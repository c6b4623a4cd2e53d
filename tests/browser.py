"""A real browser for pages: Debian's Chromium, which must find every page quiet: no error, no request to anywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OWN_SCHEMES = ("file:", "data:", "blob:")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Starts Chromium and ends it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def open_page(browser: Browser, path: Path, *, fragment: str = "", **options: Any) -> Iterator[Page]:
    """Opens a file in a fresh profile; at the end, fails on any console error, script error or request outside."""
    settings = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light", "accept_downloads": True}
    context = browser.new_context(**{**settings, **options})
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(f"script: {error}"))
    page.on("console", lambda message: message.type in ("error", "warning") and troubles.append(message.text))
    page.on("request", lambda request: request.url.startswith(OWN_SCHEMES) or troubles.append(f"asks {request.url}"))
    page.goto(path.as_uri() + fragment)
    yield page
    context.close()
    assert troubles == []
