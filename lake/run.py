"""One run of the pipeline: its identity, its clock, and the journal of what it does."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Gives the present instant in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Event:
    """One thing a run did; one row of `ops.events`.

    `kind` is a kebab-case name such as `batch-archived`, `subject` what it was done to, `record_count` how many
    records it touched (None where counting has no meaning), `details` values that JSON can hold and that carry no
    restricted data.
    """

    run_id: str
    at: datetime
    actor: str
    kind: str
    subject: str
    record_count: int | None
    details: Mapping[str, object]


Observer = Callable[[Event], None]


@dataclass(frozen=True)
class Run:
    """One run: every row, event and release it makes carries its id.

    `started_at` is the run's instant in UTC; models see it instead of a clock. `observers` are told every event as it
    happens (progress bars, logs); `events` gathers them until the ledger writes them down.
    """

    id: str
    started_at: datetime
    actor: str
    clock: Clock
    observers: tuple[Observer, ...] = ()
    events: list[Event] = field(default_factory=list)

    def note(self, kind: str, subject: str, record_count: int | None = None, /, **details: object) -> None:
        """Records one thing done, at this microsecond, and tells the observers."""
        self.keep(self.event(kind, subject, record_count, **details))

    def event(self, kind: str, subject: str, record_count: int | None = None, /, **details: object) -> Event:
        """Gives one thing that is about to be done, for the commit that will prove it; `keep` records it then."""
        return Event(self.id, self.clock(), self.actor, kind, subject, record_count, details)

    def keep(self, event: Event) -> None:
        """Records an event and tells the observers."""
        self.events.append(event)
        for observe in self.observers:
            observe(event)


def begin_run(actor: str, *, clock: Clock = system_clock, observers: tuple[Observer, ...] = ()) -> Run:
    """Starts a run with an id that sorts by time, such as `20261121T021303Z-6f2a9c`."""
    now = clock()
    return Run(f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}", now, actor, clock, observers)
