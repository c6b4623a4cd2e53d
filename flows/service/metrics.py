"""What Prometheus is told of the service. Labels are sources of the project, statuses and fixed words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flows.service.doors import Doors
from lake.receiving.incoming import all_files
from lake.receiving.segments import all_segments
from lake.run import Clock

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BEGUN = "%Y%m%dT%H%M%SZ"  # how a segment's name tells when it was begun
ELSEWHERE = "none"  # the source of what belongs to no door: unknown paths, pages


class ServiceMetrics:
    """The service's counts since it was started, in a registry of its own."""

    def __init__(self, spool: Path, doors: Doors, clock: Clock) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_SpoolCollector(spool, doors, clock))
        self._doors = doors
        unread = Gauge("sluice_contracts_unread", "1 while changed contracts cannot be read.", registry=self.registry)
        unread.set_function(lambda: float(bool(doors.trouble)))
        self._requests = Counter("sluice_requests", "Requests answered.", ("source", "status"), registry=self.registry)
        self._rows = Counter(
            "sluice_rows", "Rows received, by what was said of them.", ("source", "verdict"), registry=self.registry
        )
        self._bytes = Counter("sluice_received_bytes", "Bytes of bodies received.", ("source",), registry=self.registry)
        self._seconds = Histogram(
            "sluice_request_seconds",
            "From a request's head to its answer.",
            ("source",),
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.refused = Counter("sluice_refused_requests", "Requests not let in.", ("reason",), registry=self.registry)
        for reason in ("key", "scope", "rate"):
            self.refused.labels(reason)

    def tell_request(self, source: str, status: int, seconds: float, byte_count: int) -> None:
        """Counts one answered request."""
        label = source if source in self._doors else ELSEWHERE
        self._requests.labels(label, str(status)).inc()
        self._seconds.labels(label).observe(seconds)
        self._bytes.labels(label).inc(byte_count)

    def tell_rows(self, source: str, counts: Mapping[str, int]) -> None:
        """Counts the rows of one request, by verdict."""
        for verdict, count in counts.items():
            self._rows.labels(source, verdict).inc(count)

    def text(self) -> bytes:
        """Gives everything in Prometheus' text format."""
        return generate_latest(self.registry)


@dataclass(frozen=True)
class Waiting:
    """What of a source waits to be landed: bytes, and for how many seconds the oldest of it has; 0 for nothing."""

    byte_count: int = 0
    oldest_seconds: float = 0.0


class _SpoolCollector(Collector):
    """What waits in the spool, looked up when it is asked for."""

    def __init__(self, spool: Path, doors: Doors, clock: Clock) -> None:
        self._spool, self._doors, self._clock = spool, doors, clock

    def collect(self) -> Iterator[Metric]:
        """Gives the bytes that wait and the age of the oldest, by source."""
        size = GaugeMetricFamily("sluice_spool_bytes", "Bytes that wait to be landed.", labels=("source",))
        age = GaugeMetricFamily("sluice_spool_oldest_seconds", "Age of the oldest that waits.", labels=("source",))
        waiting = waiting_in(self._spool, self._clock())
        for source in self._doors:
            found = waiting.get(source, Waiting())
            size.add_metric((source,), found.byte_count)
            age.add_metric((source,), found.oldest_seconds)
        yield from (size, age)


def waiting_in(spool: Path, now: datetime) -> dict[str, Waiting]:
    """Gives what waits in the spool, by source; the name of a segment, or an upload's receipt, says since when."""
    found: dict[str, Waiting] = {}
    segments = ((source, path.name, path) for source, path in all_segments(spool))
    files = ((source, path.parent.name, path) for source, path in all_files(spool))
    for source, name, path in chain(segments, files):
        try:
            size = path.stat().st_size
            begun = datetime.strptime(name.partition("-")[0], BEGUN).replace(tzinfo=UTC)
        except (FileNotFoundError, ValueError):
            continue  # landed between the listing and the look; or nothing of ours
        if size:
            before = found.get(source, Waiting())
            age = max(before.oldest_seconds, (now - begun).total_seconds())
            found[source] = Waiting(before.byte_count + size, age)
    return found
