"""What each custom property of a server of type `api` may hold, and what to write when it does not."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

SPAN = re.compile(r"[1-9][0-9]* ?(second|minute|hour)s?")
SECONDS: Mapping[str, int] = {"second": 1, "minute": 60, "hour": 3600}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "intake": ("push",),
    "format": ("json", "jsonl", "csv"),
    "paging": ("none", "page", "offset", "cursor", "header-link", "body-link"),
    "auth": ("none", "bearer", "basic", "header-key", "query-key", "oauth2"),
    "clientAuth": ("header", "body"),
    "lastPageRepeats": ("true", "false"),
    "allowPlainHttp": ("true", "false"),
    "whenUnset": ("fail", "skip"),
}


@dataclass(frozen=True)
class Kind:
    """What a property may hold: a text of a pattern, or a mapping of texts; and the cure when it does not."""

    cure: str
    pattern: re.Pattern[str] = re.compile(r".+")
    is_mapping: bool = False


_CHOICE = Kind("Take one of those listed.")
_PARAMETER = Kind("Write the name of a query parameter.", re.compile(r"[^\s&=?#]+"))
_SECRET = Kind(
    "Write the name under which the secret is kept (never the secret), e.g. 'WEATHER_KEY'.",
    re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}"),
)
_COUNT = Kind("Write a whole number from 1 on.", re.compile(r"[1-9][0-9]*"))
_SPAN = Kind("Write a number and a unit, e.g. '30 seconds' or '10 minutes'.", SPAN)

KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(CHOICES, _CHOICE),
    **dict.fromkeys(("pageParam", "pageSizeParam", "offsetParam", "limitParam", "cursorParam"), _PARAMETER),
    **dict.fromkeys(("sinceParam", "untilParam"), _PARAMETER),
    **dict.fromkeys(("tokenSecret", "userSecret", "passwordSecret", "keySecret"), _SECRET),
    **dict.fromkeys(("clientIdSecret", "clientSecret"), _SECRET),
    **dict.fromkeys(("pageSize", "pagesPerBatch", "bytesPerBatch"), _COUNT),
    **dict.fromkeys(("requestsPerMinute", "requestsPerSecond"), _COUNT),
    **dict.fromkeys(("timeout", "giveUpAfter"), _SPAN),
    **dict.fromkeys(("query", "headers"), Kind("Write a mapping.", is_mapping=True)),
    **dict.fromkeys(
        ("cursorPath", "nextPath", "morePath"),
        Kind("Write the keys that lead there, joined by points, e.g. 'meta.next'.", re.compile(r"[^$\[\]*\s]+")),
    ),
    "firstPage": Kind("Write the number of the first page, 0 or 1.", re.compile(r"[0-9]+")),
    "endStatus": Kind("Write the status past the last page, e.g. 404.", re.compile(r"4[0-9][0-9]")),
    "keyName": Kind("Write the name of the header or parameter the key goes into.", re.compile(r"[^\s&=?#:]+")),
    "tokenUrl": Kind("Write the address that gives tokens, 'https://…'.", re.compile(r"\S+")),
    "encoding": Kind("Write e.g. 'latin-1'.", re.compile(r"[A-Za-z0-9._-]+")),
    "scope": Kind("Write the scopes, parted by blanks."),
    "startAt": Kind("Write the moment or number to begin with."),
    "sinceFormat": Kind(
        "Write iso, date, epoch-seconds, epoch-millis, or a pattern such as '%Y%m%d'.",
        re.compile(r"iso|date|epoch-seconds|epoch-millis|[^%]*(%[A-Za-z%][^%]*)+"),
    ),
}


def span_seconds(text: str) -> int:
    """Gives how many seconds a span such as `10 minutes` is."""
    number, unit = re.fullmatch(r"(\d+) ?([a-z]+?)s?", text).groups()  # type: ignore[union-attr]  # SPAN has seen it
    return int(number) * SECONDS[unit]
