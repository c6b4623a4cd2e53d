"""Who may do what: a key for each request of `/v1`, within its limits; for pages a key, or the cookie of a sign-in.

It says who the sender is in `request.state.sender`. No key is ever logged, counted or told back.
"""

import logging
import secrets
import time
from dataclasses import dataclass, field

from fastapi import HTTPException, Request

from flows.service.limits import Limits
from flows.service.metrics import ServiceMetrics
from lake.errors import SettingsError, SourceError
from lake.receiving.keys import EVERY_SOURCE, Key, KeyRing
from lake.run import Clock

COOKIE = "sluice"
SIGNED_IN_SECONDS = 12 * 3600
MOST_SESSIONS = 10_000
CHALLENGE = 'Bearer realm="sluice"'
log = logging.getLogger("sluice.service")
EVERYBODY = Key("", "everybody", "", (EVERY_SOURCE,), "")


@dataclass
class Guard:
    """The keys, what each has sent, and who has signed in. `ring` None lets everybody in, on this machine only."""

    ring: KeyRing | None
    clock: Clock
    metrics: ServiceMetrics
    requests_per_minute: int
    rows_per_minute: int
    limits: Limits = field(default_factory=Limits)
    sessions: dict[str, tuple[str, float]] = field(default_factory=dict)

    def holder(self, token: str) -> Key | None:
        """Gives the valid key that was shown, None when it is none."""
        try:
            return EVERYBODY if self.ring is None else self.ring.find(token, self.clock())
        except SettingsError as error:
            log.error("%s", error)
            raise SettingsError(
                "keys-unusable",
                "The service cannot read its keys.",
                cure="Its operator finds the reason in its log.",
            ) from error

    def expect_key(self, request: Request) -> Key:
        """Gives the valid key of a request; raises SourceError without one."""
        key = self.holder(token_of(request))
        if key is None:
            self.metrics.refused.labels("key").inc()
            raise SourceError(
                "key-refused",
                "No valid key came with the request.",
                cure="Send 'Authorization: Bearer KEY'; the service's operator makes one: sluice key new.",
                headers={"WWW-Authenticate": CHALLENGE},
            )
        return key

    def expect_scope(self, key: Key, source: str) -> None:
        """Raises SourceError when a key is not for a source."""
        if not key.opens(source):
            self.metrics.refused.labels("scope").inc()
            raise SourceError(
                "key-out-of-scope",
                f"This key is not for '{source}'.",
                cure="Ask the service's operator for one that is: sluice key new --sources.",
                headers={"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope"'},
            )

    def expect_room(self, key: Key) -> None:
        """Takes one request of a key; raises SourceError when it has sent too much."""
        capacities = {
            "requests": key.requests_per_minute or self.requests_per_minute,
            "rows": key.rows_per_minute or self.rows_per_minute,
        }
        wait = self.limits.take_request(key.id, capacities, time.monotonic())
        if wait:
            self.metrics.refused.labels("rate").inc()
            told = " and ".join(f"{most} {what}" for what, most in capacities.items())
            raise SourceError(
                "rate-limited",
                f"This key has sent more than {told} a minute.",
                cure=f"Send it again in {wait} s.",
                headers={"Retry-After": str(wait)},
            )

    def sign_in(self, key: Key) -> str:
        """Gives the value of a cookie that stands for a key for some hours, or until the service ends."""
        now = time.monotonic()
        alive = {value: found for value, found in self.sessions.items() if found[1] > now}
        self.sessions = dict(list(alive.items())[-MOST_SESSIONS:])
        value = secrets.token_urlsafe()
        self.sessions[value] = (key.id, now + SIGNED_IN_SECONDS)
        return value

    def viewer(self, request: Request) -> Key | None:
        """Gives the key by which somebody looks at a page: that of the request, else that of its sign-in."""
        if self.ring is None:
            return EVERYBODY
        if "authorization" in request.headers or "x-api-key" in request.headers:
            return self.holder(token_of(request))
        id_, until = self.sessions.get(request.cookies.get(COOKIE, ""), ("", 0.0))
        return self.ring.named(id_, self.clock()) if until > time.monotonic() else None


def token_of(request: Request) -> str:
    """Gives the key that a request shows, "" for none."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else request.headers.get("x-api-key", "")


async def admit(request: Request) -> None:
    """Lets a request in whose key is valid, for its source, and within its limits."""
    guard: Guard = request.app.state.guard
    key = guard.expect_key(request)
    source = request.path_params.get("source")
    if source is not None:
        guard.expect_scope(key, source)
    request.state.sender, request.state.key = key.id, key
    guard.expect_room(key)


async def see(request: Request) -> Key:
    """Lets in who looks at a page; a browser is led to the sign-in, everything else is told by SourceError."""
    guard: Guard = request.app.state.guard
    key = guard.viewer(request)
    if key is not None:
        return key
    if "text/html" in request.headers.get("accept", ""):
        raise HTTPException(303, headers={"Location": "/sign-in"})
    return guard.expect_key(request)
