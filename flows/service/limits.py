"""How much a key may send: a bucket of requests and one of rows, filled evenly, that hold a minute's worth each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

MINUTE = 60.0


@dataclass
class Bucket:
    """What may still be sent: `level` of `capacity` at the instant `seen_at`, of a clock that only goes forward."""

    capacity: int
    level: float
    seen_at: float

    def fill(self, now: float) -> None:
        """Adds what the time since brought."""
        self.level = min(self.capacity, self.level + (now - self.seen_at) * self.capacity / MINUTE)
        self.seen_at = now

    def seconds_until(self, wanted: float) -> int:
        """Gives after how many whole seconds so much is there."""
        return max(0, ceil((wanted - self.level) * MINUTE / self.capacity))


@dataclass
class Limits:
    """The buckets of all keys, requests and rows each. The loop's thread alone uses it."""

    buckets: dict[str, dict[str, Bucket]] = field(default_factory=dict)

    def take_request(self, key: str, capacities: Mapping[str, int], now: float) -> int:
        """Takes one request of a key; gives 0, or, taking nothing, after how many seconds to try again.

        How many rows a request has is known only once it is read, so rows may be overdrawn by one request; the next
        one waits until that is paid.
        """
        found = self._of(key, capacities, now)
        wait = max(found["requests"].seconds_until(1), found["rows"].seconds_until(1))
        if wait == 0:
            found["requests"].level -= 1
        return wait

    def take_rows(self, key: str, count: int) -> None:
        """Takes the rows of a request that was let in."""
        if key in self.buckets:
            self.buckets[key]["rows"].level -= count

    def headers(self, key: str) -> dict[str, str]:
        """Gives the RateLimit headers of a key's answer."""
        found = self.buckets.get(key, {})
        policy = [f'"{name}";q={bucket.capacity};w={MINUTE:.0f}' for name, bucket in found.items()]
        left = [
            f'"{name}";r={max(0, int(bucket.level))};t={bucket.seconds_until(bucket.capacity)}'
            for name, bucket in found.items()
        ]
        return {"RateLimit-Policy": ", ".join(policy), "RateLimit": ", ".join(left)} if found else {}

    def _of(self, key: str, capacities: Mapping[str, int], now: float) -> dict[str, Bucket]:
        found = self.buckets.setdefault(key, {})
        for name, capacity in capacities.items():
            bucket = found.get(name)
            if bucket is None or bucket.capacity != capacity:
                found[name] = Bucket(capacity, capacity, now)
            found[name].fill(now)
        return found
