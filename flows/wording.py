"""The words of a run's log: what happened as a short sentence, for people; machines read the JSON lines."""

from collections.abc import Callable, Mapping
from textwrap import shorten
from typing import Any

from lake.run import Event

LINE_WIDTH = 160  # of what has no sentence of its own; the log file has all of it
BATCH_DIGITS = 12
MOST_NAMES = 4
KILO = 1000.0
SLOW_STEP_SECONDS = 1.0
# What other lines tell already, or what only a table of the lake needs.
BACKGROUND = {
    "step-started",
    "metric-measured",
    "lineage-traced",
    "batch-judged",
    "records-quarantined",
    "alert-sent",
    "release-told",
    "contract-agreed",
    "project-described",
}

Sentence = Callable[[Event, Mapping[str, Any]], str]


def is_news(event: Event) -> bool:
    """Says whether a person watching wants to hear of an event: not of what went as it should and is told elsewhere."""
    details = event.details
    if event.kind == "step-finished" and details.get("outcome") == "ok":
        return _is_gate(event) or float(str(details["seconds"])) >= SLOW_STEP_SECONDS
    if event.kind == "model-built":
        return details.get("decision") not in ("view", "unchanged")
    if event.kind == "alert-told" and event.subject == "run-failed":
        return False  # the run's end tells it
    return event.kind not in BACKGROUND and details.get("outcome") != "pass"


def event_line(event: Event) -> str:
    """Gives an event as one line, such as `sales: landed 3,620 of 4,000 records, 300 quarantined, 80 duplicate`."""
    sentence = SENTENCES.get(event.kind, _any_event)
    return sentence(event, event.details)


def _is_gate(event: Event) -> bool:
    """Whether a step is a gate that closes by failing; a raw gate holds its batch back instead, which is told."""
    return event.subject.startswith("gate ") and not event.subject.startswith("gate raw.")


def _step(event: Event, told: Mapping[str, Any]) -> str:
    if told["outcome"] != "ok":
        return f"{event.subject}: FAILED after {told['seconds']:.1f} s"
    return f"{event.subject}: {'passed' if _is_gate(event) else 'done'} in {told['seconds']:.1f} s"


def _run(event: Event, told: Mapping[str, Any]) -> str:
    if told["outcome"] == "ok":
        return f"{event.subject}: run finished in {told['seconds']:.1f} s"
    return f"{event.subject}: run FAILED after {told['seconds']:.1f} s: {told.get('error', '')}"


def _archived(event: Event, told: Mapping[str, Any]) -> str:
    return f"{event.subject}: received {told['origin']}, {_size(told['byte_count'])}"


def _landed(event: Event, told: Mapping[str, Any]) -> str:
    return (
        f"{event.subject}: landed {told['accepted_count']:,} of {told['read_count']:,} records, "
        f"{told['quarantined_count']:,} quarantined, {told['duplicate_count']:,} duplicate"
    )


def _set_aside(event: Event, told: Mapping[str, Any]) -> str:
    status = event.kind.removeprefix("batch-").upper()
    return f"{event.subject}: batch {str(told['batch_id'])[:BATCH_DIGITS]} {status}: {told['error']}"


def _schema(event: Event, told: Mapping[str, Any]) -> str:
    return f"{event.subject}: {told['change']}, {len(told['columns'])} columns now"


def _drifted(event: Event, told: Mapping[str, Any]) -> str:
    found = told["findings"]
    named = ", ".join(f"{finding['kind']} {finding['column']}".strip() for finding in found[:MOST_NAMES])
    more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    return f"{event.subject}: the contract differs from its operational schema: {named}{more}"


def _columns_drifted(event: Event, told: Mapping[str, Any]) -> str:
    return f"{event.subject}: {told['change']}"


def _built(event: Event, told: Mapping[str, Any]) -> str:
    rows = "" if event.record_count is None else f", {event.record_count:,} rows"
    if told["decision"] != "partitions":
        return f"{event.subject}: built {told['decision']}{rows}"
    return f"{event.subject}: rebuilt {_names(told.get('partitions', ()))}{rows}"


def _checked(event: Event, told: Mapping[str, Any]) -> str:
    found = "" if told["measured"] is None else f", measured {told['measured']:g}"
    allowed = f" ({told['threshold']})" if told["threshold"] else ""
    return f"{event.subject}: check '{told['check_name']}' {str(told['outcome']).upper()}{found}{allowed}"


def _published(event: Event, told: Mapping[str, Any]) -> str:
    return f"{event.subject}: {told['reason']}, {event.record_count} tables"


def _rendered(event: Event, _told: Mapping[str, Any]) -> str:
    return f"page {event.subject}: drawn, {event.record_count} figures"


def _sent(event: Event, told: Mapping[str, Any]) -> str:
    return f"page {event.subject}: {told['said']}"


def _alert(event: Event, told: Mapping[str, Any]) -> str:
    return f"ALERT ({told['severity']}) {event.subject}, {told['about']}: {told['message']}"


def _retried(event: Event, told: Mapping[str, Any]) -> str:
    return f"{event.subject}: {told['reason']} Asking again in {told['wait_seconds']:.1f} s"


def _pulled(event: Event, told: Mapping[str, Any]) -> str:
    asked = f"{told['pages']:,} pages, {told['requests']:,} requests"
    return f"{event.subject}: {event.record_count or 0:,} records in {asked}"


def _read(event: Event, told: Mapping[str, Any]) -> str:
    return f"{event.subject}: {event.record_count or 0:,} records read, landed in batches: {told['batches']:,}"


def _unchanged(event: Event, _told: Mapping[str, Any]) -> str:
    return f"{event.subject}: what it has is what it had the last time, nothing to land"


def _unconnected(event: Event, told: Mapping[str, Any]) -> str:
    return f"{event.subject}: not asked, {told['unset']} is not set"


def _any_event(event: Event, told: Mapping[str, Any]) -> str:
    records = "" if event.record_count is None else f", {event.record_count:,} records"
    details = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items())
    words = f"{event.subject}: {event.kind.replace('-', ' ')}{records}"
    return f"{words} ({shorten(details, LINE_WIDTH)})" if details else words


SENTENCES: Mapping[str, Sentence] = {
    "step-finished": _step,
    "run-finished": _run,
    "batch-archived": _archived,
    "request-retried": _retried,
    "database-retried": _retried,
    "source-pulled": _pulled,
    "source-read": _read,
    "source-unchanged": _unchanged,
    "source-unconnected": _unconnected,
    "batch-landed": _landed,
    "batch-held": _set_aside,
    "batch-refused": _set_aside,
    "schema-changed": _schema,
    "schema-drifted": _columns_drifted,
    "contract-drifted": _drifted,
    "model-built": _built,
    "check-evaluated": _checked,
    "release-published": _published,
    "page-rendered": _rendered,
    "page-sent": _sent,
    "alert-told": _alert,
}


def _names(values: Any) -> str:
    shown = ["null" if value is None else str(value) for value in values]
    more = f" and {len(shown) - MOST_NAMES} more" if len(shown) > MOST_NAMES else ""
    return ", ".join(shown[:MOST_NAMES]) + more


def _size(count: int) -> str:
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < KILO:
            break
        size, unit = size / KILO, larger
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
