"""What an answer of an API says about where its records are and how to ask for more."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

DEEPEST = 5
NEXT_LINKS = ("next", "next_url", "nextUrl", "next_link", "nextLink", "@odata.nextLink", "next_page_url", "next_href")
CURSORS = (
    *("next_cursor", "nextCursor", "cursor", "next_page_token", "nextPageToken", "next_token", "nextToken"),
    *("end_cursor", "endCursor", "continuation_token", "continuationToken", "after"),
)
CURSOR_PARAMETERS: Mapping[str, str] = {"page_token": "pageToken", "token": "nextToken"}
MORE = ("has_more", "hasMore", "has_next", "hasNext", "has_next_page", "hasNextPage", "more")
PAGES = ("page", "page_number", "pageNumber", "current_page", "currentPage")
OFFSETS = ("offset", "skip", "start")
LIMITS = ("limit", "per_page", "perPage", "page_size", "pageSize", "count")
RECORD_NAMES = ("data", "items", "results", "records", "rows", "value", "values", "entries", "content")
LINK_NEXT = re.compile(r'<[^>]*>\s*;[^,]*\brel="?next"?', re.IGNORECASE)


def find_records(body: object) -> str | None:
    """Gives the keys that lead to the largest list of objects, joined by points; None when there is none.

    An answer that is such a list itself, or a single record, has the path "".
    """
    lists = list(_lists(body, ()))
    if lists:
        return ".".join(max(lists, key=lambda found: found[1])[0])
    if not isinstance(body, dict):
        return None
    empty = next((name for name in RECORD_NAMES if body.get(name) == []), "")
    return empty if body else None


def records_at(body: Any, path: str) -> list[Any]:
    """Gives the records that stand there."""
    for key in path.split(".") if path else ():
        body = body[key]
    return body if isinstance(body, list) else [body]


def propose_paging(body: object, link: str, parameters: Mapping[str, str]) -> dict[str, object]:
    """Gives the custom properties that ask for the next pages, as the answer hints; {} when it hints at none.

    `parameters` are those the answer was asked with.
    """
    if LINK_NEXT.search(link):
        return {"paging": "header-link"}
    fields = dict(_scalars(body, ()))
    for path, value in fields.items():
        if path[-1] in NEXT_LINKS and isinstance(value, str) and _is_link(value):
            return {"paging": "body-link", "nextPath": ".".join(path)}
    more = next((path for path in fields if path[-1] in MORE), None)
    for path, value in fields.items():
        if path[-1] in CURSORS and isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            parameter = _cursor_parameter(path[-1])
            found = {"paging": "cursor", "cursorParam": parameter, "cursorPath": ".".join(path)}
            return {**found, **({} if more is None else {"morePath": ".".join(more)})}
    return _numbered(fields, more, parameters)


def _numbered(
    fields: Mapping[tuple[str, ...], object], more: tuple[str, ...] | None, parameters: Mapping[str, str]
) -> dict[str, object]:
    names = {path[-1] for path, value in fields.items() if isinstance(value, int) and not isinstance(value, bool)}
    ends = {} if more is None else {"morePath": ".".join(more)}
    page = next((name for name in PAGES if name in names or name in parameters), None)
    if page is not None:
        number = next((value for path, value in fields.items() if path[-1] == page), parameters.get(page, "1"))
        first = {"firstPage": 0} if str(number) == "0" else {}
        return {"paging": "page", "pageParam": page, **first, **_size(fields, parameters, "pageSizeParam"), **ends}
    offset = next((name for name in OFFSETS if name in names or name in parameters), None)
    if offset is not None:
        return {"paging": "offset", "offsetParam": offset, **_size(fields, parameters, "limitParam"), **ends}
    return {}


def _size(fields: Mapping[tuple[str, ...], object], parameters: Mapping[str, str], key: str) -> dict[str, object]:
    for name in LIMITS:
        value = parameters.get(name) or next((found for path, found in fields.items() if path[-1] == name), None)
        if value is not None and re.fullmatch(r"[1-9]\d*", str(value)):
            return {key: name, "pageSize": int(str(value))}
    return {}


def _cursor_parameter(name: str) -> str:
    """Gives the parameter that a cursor most likely goes into: `next_cursor` → `cursor`."""
    if name in ("endCursor", "end_cursor"):
        return "after"
    plain = re.sub(r"^next_?", "", name)
    return plain[:1].lower() + plain[1:] if plain else name


def _is_link(value: str) -> bool:
    return value.startswith(("http://", "https://", "/", "?")) or bool(parse_qs(urlsplit(value).query))


def _lists(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Gives the lists of objects with where they stand and how long they are, not those inside records."""
    if isinstance(value, list):
        if value and all(isinstance(entry, dict) for entry in value):
            yield path, len(value)
    elif isinstance(value, dict) and len(path) < DEEPEST:
        for key, inside in value.items():
            if "." not in key:
                yield from _lists(inside, (*path, key))


def _scalars(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, dict) and len(path) < DEEPEST:
        for key, inside in value.items():
            yield from _scalars(inside, (*path, key))
    elif not isinstance(value, list) and path:
        yield path, value
