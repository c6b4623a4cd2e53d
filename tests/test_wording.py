"""The log of a run: sentences a person reads, and silence about what went as it should."""

from datetime import UTC, datetime

import pytest

from flows.wording import event_line, is_news
from lake.run import Event

AT = datetime(2026, 11, 21, 2, 13, 3, tzinfo=UTC)
COUNTS = {"read_count": 4000, "accepted_count": 3620, "quarantined_count": 300, "duplicate_count": 80}


def event(kind: str, subject: str, record_count: int | None = None, /, **details: object) -> Event:
    return Event("run", AT, "tester", kind, subject, record_count, details)


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (
            event("batch-landed", "sales", 3620, batch_id="8f1c", **COUNTS),
            "sales: landed 3,620 of 4,000 records, 300 quarantined, 80 duplicate",
        ),
        (
            event("batch-archived", "sales", batch_id="8f1c", origin="in/a.csv", byte_count=1_200_000),
            "sales: received in/a.csv, 1.2 MB",
        ),
        (
            event("batch-held", "sales", batch_id="8f1c2553b42a03b4", error="too few"),
            "sales: batch 8f1c2553b42a HELD: too few",
        ),
        (
            event("model-built", "marts.m", 31, decision="partitions", partitions=["a", None, "c", "d", "e"]),
            "marts.m: rebuilt a, null, c, d and 1 more, 31 rows",
        ),
        (
            event("request-retried", "readings", url="u", reason="u answered 503: nothing.", wait_seconds=1.23),
            "readings: u answered 503: nothing. Asking again in 1.2 s",
        ),
        (
            event("source-pulled", "readings", 2500, pages=3, requests=4),
            "readings: 2,500 records in 3 pages, 4 requests",
        ),
        (
            event("source-read", "readings", 2500, batches=3),
            "readings: 2,500 records read, landed in batches: 3",
        ),
        (event("source-unchanged", "readings", batches=1), "readings: what it has is what it had the last time"),
        (event("step-finished", "gate marts", outcome="ok", seconds=0.234), "gate marts: passed in 0.2 s"),
        (event("step-finished", "land sales", outcome="failed", seconds=1.26), "land sales: FAILED after 1.3 s"),
        (event("run-finished", "shop", 0, outcome="ok", seconds=4.537), "shop: run finished in 4.5 s"),
        (event("table-tidied", "ops.events", 12, is_compacted=True), "ops.events: table tidied, 12 records"),
    ],
)
def test_wording_is_a_sentence_without_ids(told: Event, line: str) -> None:
    """An event is told in few words: counts grouped, seconds rounded, an id only where it must be typed."""
    assert event_line(told).startswith(line)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (event("step-started", "plan"), False),
        (event("step-finished", "plan", outcome="ok", seconds=0.2), False),
        (event("step-finished", "plan", outcome="ok", seconds=2.0), True),
        (event("step-finished", "plan", outcome="failed", seconds=0.1), True),
        (event("check-evaluated", "marts.m", outcome="pass"), False),
        (event("check-evaluated", "marts.m", outcome="warn"), True),
        (event("model-built", "marts.m", 3, decision="unchanged"), False),
        (event("batch-landed", "sales", 3620, **COUNTS), True),
    ],
)
def test_wording_tells_news_only(told: Event, wanted: bool) -> None:
    """What passed, stayed, or took no time is left to the log file; what changed, warned, failed or lasted is told."""
    assert is_news(told) is wanted
