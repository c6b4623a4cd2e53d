"""What a contract says of an API, typed; `lake/odcs/servers/api.py` has checked it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from lake.contract import Contract

SECONDS_PER_MINUTE = 60.0
DEFAULT_TIMEOUT, DEFAULT_GIVE_UP = "30", "600"
DEFAULT_PAGES, DEFAULT_BYTES = "1000", str(64 << 20)  # of one batch: what a kill may cost, and what landing weighs
DEFAULT_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int | None]


@dataclass(frozen=True)
class Endpoint:
    """One API as one contract reads it.

    `options` are the server's custom properties; what has a type or a default is an attribute. Seconds:
    `least_interval` between two requests, `timeout` without a byte, `give_up_after` on one page.
    """

    url: httpx.URL
    format: str
    paging: str
    auth: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    page_size: int | None
    least_interval: float
    timeout: float
    give_up_after: float
    pages_per_batch: int
    bytes_per_batch: int
    options: Mapping[str, str]

    @property
    def origin(self) -> Origin:
        """Scheme, host and port: what secrets are sent to, and nowhere else."""
        return origin_of(self.url)


def read_endpoint(contract: Contract) -> Endpoint:
    """Gives the API of a contract."""
    options = contract.server.options
    size = options.get("pageSize")
    return Endpoint(
        url=httpx.URL(contract.server.path),
        format=contract.server.format,
        paging=options.get("paging", "none"),
        auth=options.get("auth", "none"),
        query=json.loads(options.get("query", "{}")),
        headers=json.loads(options.get("headers", "{}")),
        page_size=None if size is None else int(size),
        least_interval=_least_interval(options),
        timeout=float(options.get("timeout", DEFAULT_TIMEOUT)),
        give_up_after=float(options.get("giveUpAfter", DEFAULT_GIVE_UP)),
        pages_per_batch=int(options.get("pagesPerBatch", DEFAULT_PAGES)),
        bytes_per_batch=int(options.get("bytesPerBatch", DEFAULT_BYTES)),
        options=options,
    )


def origin_of(url: httpx.URL) -> Origin:
    """Gives scheme, host and port of a URL, the port that goes without saying included."""
    return url.scheme, url.host, url.port or DEFAULT_PORTS.get(url.scheme)


def _least_interval(options: Mapping[str, str]) -> float:
    if "requestsPerSecond" in options:
        return 1 / int(options["requestsPerSecond"])
    if "requestsPerMinute" in options:
        return SECONDS_PER_MINUTE / int(options["requestsPerMinute"])
    return 0.0
