"""What a contract says of an API, typed; `lake/odcs/servers/api.py` has checked it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from lake.contract import Contract
from lake.errors import SourceError
from lake.odcs.servers.address import address_fault, named_in
from lake.secrets import Lookup

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


def find_address(contract: Contract, lookup: Lookup) -> str | None:
    """Gives where the API of a contract is here; None where that is not set and the contract says to skip it then.

    Raises SourceError when it is not set otherwise, or is set to what is no address for such an API.
    """
    location, options = contract.server.path, contract.server.options
    name = named_in(location)
    if name is None:
        return location
    value = lookup(name)
    if not value and options.get("whenUnset") == "skip":
        return None
    if not value:
        message = f"The source {contract.source!r} is at ${{{name}}}, and {name} is not set."
        cure = f"Set {name} in the environment or .env to where the API is, or write 'whenUnset: skip' in the contract."
        raise SourceError("address-unset", message, cure=cure, path=contract.path)
    address = value.rstrip("/") + location.removeprefix(f"${{{name}}}")
    fault = address_fault(address, options)
    if fault is not None:
        raise SourceError("address-unfit", f"What {name} is set to {fault[0]}.", cure=fault[1], path=contract.path)
    return address


def read_endpoint(contract: Contract, address: str) -> Endpoint:
    """Gives the API of a contract, found at an address."""
    options = contract.server.options
    size = options.get("pageSize")
    return Endpoint(
        url=httpx.URL(address),
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
