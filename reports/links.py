"""Links from page to page: relative, so that they work wherever the output folder is carried to."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lake.errors import ModelError
from reports.data import Result

PAGE = re.compile(r"([a-z][a-z0-9_]*)(#[\w=.-]*)?")
HOME = re.compile(r'<nav class="home".*?</nav>', flags=re.DOTALL)
BESIDE = re.compile(r'<a class="beside" href="[^"]*">(.*?)</a>')


def page_link(page: str) -> str:
    """Gives the address of a page, such as `catalogue.html#table=marts.sales_daily`; raises ModelError for no page."""
    found = PAGE.fullmatch(page)
    if found is None:
        message = f"'{page}' names no page."
        raise ModelError("page-link", message, cure="Write the page's name, and if wanted #choice=value behind it.")
    return f"{found[1]}.html{found[2] or ''}"


def without_neighbours(html: str) -> str:
    """Gives a page as it is sent: without its frame's links to pages that stand beside it in the output folder."""
    return BESIDE.sub(r"\1", HOME.sub("", html))


def page_targets(
    links: Mapping[str, str], result: Result, rows: Sequence[tuple[Any, ...]]
) -> dict[str, tuple[str | None, ...]]:
    """Gives, for every column that leads to pages, the address of each row; None where a row names no page."""
    for name in links:
        result.position(name)
    for name in links.values():
        for value in result.values(name):
            _expect_page(value)
    places = {name: result.position(target) for name, target in links.items()}
    return {
        name: tuple(None if row[place] is None else page_link(str(row[place])) for row in rows)
        for name, place in places.items()
    }


def _expect_page(value: object) -> None:
    if value is not None:
        page_link(str(value))
