"""From one page to the next: by number, offset, cursor or link. A place in an API is a small mapping of text."""

from collections.abc import Callable, Mapping

import httpx

from lake.errors import SourceError
from lake.sources.http.endpoint import Endpoint, origin_of
from lake.sources.http.faults import Loop
from lake.sources.http.pages import NOT_THERE, Page

Place = Mapping[str, str]
FULL = "full"  # of a place: a page before it was full, so the size asked for is the size given


def first_place(endpoint: Endpoint) -> Place:
    """Gives the place of the first page."""
    if endpoint.paging == "page":
        return {"page": endpoint.options.get("firstPage", "1")}
    return {"offset": "0"} if endpoint.paging == "offset" else {}


def address_of(endpoint: Endpoint, place: Place, asked: Mapping[str, str]) -> httpx.URL:
    """Gives the URL of a place, without secrets; `asked` are parameters such as since, which a link carries itself."""
    if "link" in place:
        return httpx.URL(place["link"])
    options, given = endpoint.options, {**endpoint.query, **asked}
    for name, key in (("pageParam", "page"), ("offsetParam", "offset"), ("cursorParam", "cursor")):
        if name in options and key in place:
            given[options[name]] = place[key]
    for name in ("pageSizeParam", "limitParam"):
        if name in options:
            given[options[name]] = options["pageSize"]
    return endpoint.url.copy_merge_params(given) if given else endpoint.url


def next_place(endpoint: Endpoint, place: Place, page: Page, before: Page | None) -> Place | None:
    """Gives the place after a page, None when it was the last; `before` is the page that came before it.

    Raises Loop when the API does not get on, SourceError for a link that leads to another server.
    """
    following = NEXT[endpoint.paging](endpoint, place, page)
    if following is None:
        return None
    if before is not None and page.count and page.is_same(before):
        raise loop_at(page, "it holds the very records of the page before")
    if following == place:
        raise loop_at(page, "its next page is itself")
    return following


def loop_at(page: Page, why: str) -> Loop:
    """Makes the error of an API that leads in a circle."""
    return Loop(
        "paging-loop",
        f"{page.url} leads in a circle: {why}.",
        cure="Is the paging parameter in the contract the API's own? Nothing of this page was landed.",
    )


def _no_next(_endpoint: Endpoint, _place: Place, _page: Page) -> Place | None:
    return None


def _next_number(endpoint: Endpoint, place: Place, page: Page) -> Place | None:
    if _is_last(endpoint, place, page):
        return None
    return {"page": str(int(place["page"]) + 1), **_fullness(endpoint, place, page)}


def _next_offset(endpoint: Endpoint, place: Place, page: Page) -> Place | None:
    if _is_last(endpoint, place, page):
        return None
    return {"offset": str(int(place["offset"]) + page.count), **_fullness(endpoint, place, page)}


def _next_cursor(endpoint: Endpoint, place: Place, page: Page) -> Place | None:
    cursor = page.value(endpoint.options["cursorPath"])
    if _is_nothing(cursor) or _says_more(endpoint, page) is False:
        return None
    if isinstance(cursor, dict | list):
        raise SourceError(
            "cursor-unfit",
            f"{page.url} has a {type(cursor).__name__} at {endpoint.options['cursorPath']!r}, which is no cursor.",
            cure="Mend `cursorPath` in the contract.",
        )
    following = {"cursor": str(cursor)}
    return None if page.count == 0 and following == place else following  # a feed that waits for more


def _next_header_link(endpoint: Endpoint, _place: Place, page: Page) -> Place | None:
    answer = httpx.Response(200, headers=page.answer)
    found = next((link for rel, link in answer.links.items() if rel and "next" in rel.lower().split()), None)
    return None if found is None else {"link": _same_origin(endpoint, page, found["url"])}


def _next_body_link(endpoint: Endpoint, _place: Place, page: Page) -> Place | None:
    link = page.value(endpoint.options["nextPath"])
    return None if _is_nothing(link) else {"link": _same_origin(endpoint, page, str(link))}


NEXT: Mapping[str, Callable[[Endpoint, Place, Page], Place | None]] = {
    "none": _no_next,
    "page": _next_number,
    "offset": _next_offset,
    "cursor": _next_cursor,
    "header-link": _next_header_link,
    "body-link": _next_body_link,
}


def _is_nothing(value: object) -> bool:
    """Says whether an API says by a value that there is no further page; 0 is a cursor like any other."""
    return value is None or value is NOT_THERE or value is False or value == ""


def _is_last(endpoint: Endpoint, place: Place, page: Page) -> bool:
    """Says whether numbering ends here: where the API says so, at an empty page, at a short one after a full one.

    A first page that is short proves nothing: many servers give fewer records than they are asked for, in silence.
    """
    more = _says_more(endpoint, page)
    if more is not None:
        return not more
    return page.count == 0 or (FULL in place and endpoint.page_size is not None and page.count < endpoint.page_size)


def _fullness(endpoint: Endpoint, place: Place, page: Page) -> Place:
    is_full = endpoint.page_size is not None and page.count >= endpoint.page_size
    return {FULL: "yes"} if is_full or FULL in place else {}


def _says_more(endpoint: Endpoint, page: Page) -> bool | None:
    """Gives what the API itself says of further pages; None when it is not asked to."""
    path = endpoint.options.get("morePath")
    if path is None:
        return None
    more = page.value(path)
    if not isinstance(more, bool):
        raise SourceError(
            "more-unfit",
            f"{page.url} has {'nothing' if more is NOT_THERE else repr(more)} at {path!r}, not true or false.",
            cure="Mend `morePath` in the contract.",
        )
    return more


def _same_origin(endpoint: Endpoint, page: Page, link: str) -> str:
    """Gives a link as a whole URL without the API's key; raises SourceError when it leads to another server."""
    try:
        url = page.url.join(link)
    except httpx.InvalidURL as error:
        raise SourceError(
            "next-link-unfit", f"{page.url} has a next link that is no URL.", cure="Ask the provider."
        ) from error
    own = endpoint.origin
    if (url.scheme, url.host, url.port) == ("http", own[1], None) and own[0] == "https":
        url = url.copy_with(scheme="https", port=endpoint.url.port)  # a server behind a proxy knows no better
    if origin_of(url) != own:
        raise SourceError(
            "next-link-foreign",
            f"{page.url} leads on to {url.scheme}://{url.host}, another server than the contract's.",
            cure="Credentials are sent to no other server. Mend `location`, or ask the provider.",
        )
    url = url.copy_with(fragment=None)
    is_keyed = endpoint.auth == "query-key"
    return str(url.copy_remove_param(endpoint.options["keyName"]) if is_keyed else url)
