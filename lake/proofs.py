"""Events that a commit proves travel in it: whoever finds the commit can write them down, if its run no longer does."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime

from lake.run import Event
from lake.table_versions import Commit

EVENTS_KEY = "events"
PROVEN = ("batch-landed", "schema-changed")  # of their own run and of who found the commit: readers take them once


def proof_of(events: Sequence[Event]) -> dict[str, str]:
    """Gives events as metadata of the commit that makes them true."""
    return {EVENTS_KEY: json.dumps([asdict(event) for event in events], default=datetime.isoformat)}


def proven_at(version: int, events: Sequence[Event]) -> list[Event]:
    """Gives events as they are written down once the commit that carries them has its version."""
    return [replace(event, details={**event.details, "table_version": version}) for event in events]


def proven_by(commit: Commit) -> list[Event]:
    """Gives the events that a commit carries, as its own run would have written them down."""
    found: list[Mapping[str, object]] = json.loads(commit.metadata.get(EVENTS_KEY, "[]"))
    return proven_at(commit.version, [_event(fields) for fields in found])


def _event(fields: Mapping[str, object]) -> Event:
    return Event(**{**fields, "at": datetime.fromisoformat(str(fields["at"]))})  # type: ignore[arg-type]  # as asdict gave
