"""The address of an API: what it may look like, and the name in its place that each environment gives a meaning."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

HERE = ("localhost", "127.0.0.1", "::1")  # where plain HTTP leaves no machine
NAMED = re.compile(r"\$\{([A-Za-z][A-Za-z0-9_]{0,99})\}(/[^?#\s]*)?")


def without_password(address: str) -> str:
    """Gives an address as a message may quote it: nothing of what stands before an `@` or behind a `?`."""
    bare = address.partition("?")[0]
    scheme, mark, rest = bare.rpartition("://")
    return f"{scheme}{mark}***@{rest.rpartition('@')[2]}" if "@" in rest else bare


def named_in(location: str) -> str | None:
    """Gives the name a location such as `${METERS_URL}/v1/readings` begins with, None for one that is an address."""
    found = NAMED.fullmatch(location)
    return found[1] if found else None


def address_fault(address: str, options: Mapping[str, str]) -> tuple[str, str] | None:
    """Gives what is wrong with the address of an API that has such options, and the cure; None for a good one.

    An address must be one, must not hold what belongs elsewhere, and must not show a secret on its way.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "is no address of an API", "Write 'https://…'."
    if parts.username or parts.password:
        return "holds a user, and a contract is no place for a password", "Use the custom property 'auth: basic'."
    if parts.query or parts.fragment:
        return f"holds a '{'?' if parts.query else '#'}'", "Write parameters under the custom property 'query'."
    is_plain = parts.scheme == "http" and parts.hostname not in HERE
    if is_plain and options.get("auth", "none") != "none" and options.get("allowPlainHttp") != "true":
        return (
            "is plain HTTP, over which a secret would travel for all to read",
            "Write 'https://…', or 'allowPlainHttp: true'.",
        )
    return None
