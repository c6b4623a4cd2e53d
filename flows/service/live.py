"""What the live page tells: what the lake says of the last hour and day, and what the spool still holds.

The lake is read by one thread at a time, at most every few seconds, in an engine of its own with one core and a small
memory limit: however many look, those who post do not notice. What was refused at the door since the service was
started is told at once, until a landing has taken it and the lake tells it.
"""

import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flows.service.doors import Doors
from flows.service.metrics import Waiting, waiting_in
from lake.catalogue import restricted_in
from lake.engine import EngineError, EngineLimits, Session
from lake.errors import SluiceError
from lake.operations import show_operations
from lake.receiving.segments import find_segment, segment_of
from lake.receiving.verdicts import Verdicts
from lake.run import Clock
from lake.settings import Settings

FRESH_SECONDS = 3
NOTHING = Waiting()
MOST_ERRORS = 50
MOST_SEGMENTS = 100  # whose refusals are remembered
MOST_ROWS_A_REQUEST = 20  # bad rows of one request that are remembered one by one
LONGEST_FIELD = 100  # characters of a field's name that are remembered
LIMITS = EngineLimits(memory="300MB", threads=1)
DAY_HOURS = 24
LIKE_A_PERSON = re.compile(r"[\w.%+-]+@[\w.-]+|\+?\d{10,}")  # an e-mail address, a telephone or card number
SOURCES = """
    select
        source,
        coalesce(sum(accepted_count) filter (ended_at > {hour}), 0)::bigint as hour_good,
        coalesce(sum(quarantined_count) filter (ended_at > {hour}), 0)::bigint as hour_bad,
        coalesce(sum(accepted_count) filter (ended_at > {day}), 0)::bigint as day_good,
        coalesce(sum(quarantined_count) filter (ended_at > {day}), 0)::bigint as day_bad,
        count(*) filter (status = 'held') as held_count,
        max(ended_at) filter (status = 'landed') as landed_at,
    from ops.ingestion_log where kind <> 'replay'
    group by source order by source
"""
HOURS = """
    select source, least(23, (epoch({now} - ended_at) // 3600)::integer) as ago, sum(quarantined_count)::bigint as bad
    from ops.ingestion_log where kind <> 'replay' and ended_at > {day} and ended_at <= {now}
    group by source, ago
"""
ERRORS = """
    select quarantined_at, source, origin, line, category, column_name, details
    from ops.ingestion_errors where quarantined_at > {day} and category <> 'DUPLICATE_RECORD'
    order by quarantined_at desc, source, line limit {most}
"""


@dataclass(frozen=True)
class LiveError:
    """One refused row: when, of which source, where it stands, and what is wrong. It holds no value of the row."""

    at: datetime
    source: str
    place: str
    category: str
    field: str | None
    message: str
    is_waiting: bool = False


@dataclass(frozen=True)
class LiveSource:
    """One source: rows taken and refused in the last hour and day, by hour (newest last), and what waits."""

    name: str
    hour_good: int = 0
    hour_bad: int = 0
    day_good: int = 0
    day_bad: int = 0
    held_count: int = 0
    landed_at: datetime | None = None
    hours: tuple[int, ...] = (0,) * DAY_HOURS
    waiting: Waiting = NOTHING
    waiting_bad: int = 0


@dataclass(frozen=True)
class LiveState:
    """Everything the page tells, at an instant; `trouble` says what of it could not be read and is older."""

    at: datetime
    sources: tuple[LiveSource, ...] = ()
    errors: tuple[LiveError, ...] = ()
    trouble: str = ""


@dataclass
class _Refused:
    """What was refused of one segment that is not landed yet."""

    source: str
    bad_count: int = 0
    errors: deque[LiveError] = field(default_factory=lambda: deque(maxlen=MOST_ERRORS))


class LiveBoard:
    """The state of the page, looked up when somebody looks."""

    def __init__(self, doors: Doors, settings: Settings, clock: Clock) -> None:
        self._doors, self._settings, self._clock = doors, settings, clock
        self._lock = threading.Lock()  # of looking, which takes its time
        self._noting = threading.Lock()
        self._refused: dict[str, _Refused] = {}
        self._state = LiveState(clock() - timedelta(days=1))

    def note(self, source: str, receipt: str, verdicts: Verdicts) -> None:
        """Remembers what was refused of one request, until it is landed."""
        if not verdicts.bad:
            return
        now = self._clock()
        with self._noting:
            found = self._refused.setdefault(segment_of(receipt), _Refused(source))
            found.bad_count += len(verdicts.bad)
            for row in verdicts.bad[:MOST_ROWS_A_REQUEST]:
                fault, more = row.faults[0], len(row.faults) - 1
                message = fault.message + (f" And {more} more." if more else "")
                place = f"receipt {receipt}, row {row.row}"
                name = None if fault.field is None else mask(fault.field[:LONGEST_FIELD])  # any text its sender likes
                found.errors.append(LiveError(now, source, place, fault.code, name, message, is_waiting=True))
            while len(self._refused) > MOST_SEGMENTS:  # nobody has looked for long
                self._refused.pop(next(iter(self._refused)))

    def state(self) -> LiveState:
        """Gives the state as of some seconds ago at most; blocks while it is looked up."""
        with self._lock:
            now = self._clock()
            if not timedelta() <= now - self._state.at < timedelta(seconds=FRESH_SECONDS):  # a clock may be set back
                try:
                    self._state = self._look(now)
                except (SluiceError, EngineError, OSError) as error:  # a lake that is away takes no page along
                    told = f"The lake cannot be read ({type(error).__name__}); shown is what was read before."
                    self._state = replace(self._state, at=now, trouble=told)
            return self._state

    def _look(self, now: datetime) -> LiveState:
        sources, errors = self._read_lake(now)
        waiting = waiting_in(self._settings.spool, now)
        refused = self._still_refused()
        bad = {name: sum(each.bad_count for each in refused if each.source == name) for name in self._doors}
        for name in {*self._doors, *waiting}:
            known = sources.get(name, LiveSource(name))
            sources[name] = replace(known, waiting=waiting.get(name, NOTHING), waiting_bad=bad.get(name, 0))
        told = [error for each in refused for error in each.errors] + errors
        told.sort(key=lambda error: error.at, reverse=True)
        shown = tuple(sources[name] for name in sorted(sources))
        return LiveState(now, shown, tuple(told[:MOST_ERRORS]), self._doors.trouble)

    def _still_refused(self) -> list[_Refused]:
        """Gives what was refused and is not landed, and forgets the rest."""
        with self._noting:
            for segment in [each for each in self._refused if not _is_in(self._settings.spool, each)]:
                del self._refused[segment]
            return [replace(each, errors=each.errors.copy()) for each in self._refused.values()]

    def _read_lake(self, now: datetime) -> tuple[dict[str, LiveSource], list[LiveError]]:
        store = self._settings.store
        bounds: dict[str, Any] = {
            name: f"timestamptz '{(now - back).isoformat()}'"
            for name, back in (("now", timedelta()), ("hour", timedelta(hours=1)), ("day", timedelta(days=1)))
        }
        with Session(LIMITS, store) as session:
            contracts = list(self._doors.contracts.values())
            show_operations(session, store, restricted_in(session, store, contracts).received)
            hours: dict[str, list[int]] = {}
            for name, ago, count in session.rows(HOURS.format(**bounds)):
                hours.setdefault(name, [0] * DAY_HOURS)[DAY_HOURS - 1 - ago] = count
            found = [LiveSource(*row) for row in session.rows(SOURCES.format(**bounds))]
            sources = {each.name: replace(each, hours=tuple(hours.get(each.name, each.hours))) for each in found}
            rows = session.rows(ERRORS.format(**bounds, most=MOST_ERRORS))
        return sources, [_error(row) for row in rows]


def _error(row: tuple[Any, ...]) -> LiveError:
    at, source, origin, line, category, column, details = row
    return LiveError(at, source, mask(f"{origin}, row {line}"), category, column, mask(details or ""))


def _is_in(spool: Path, segment: str) -> bool:
    return find_segment(spool, f"{segment}-1") is not None


def mask(text: str) -> str:
    """Gives a text without what looks like an e-mail address, a telephone or a card number."""
    return LIKE_A_PERSON.sub("•••", text)


def seen_by(state: LiveState, opens: Mapping[str, bool]) -> LiveState:
    """Gives the part of a state that a key is for."""
    return replace(
        state,
        sources=tuple(each for each in state.sources if opens[each.name]),
        errors=tuple(each for each in state.errors if opens[each.source]),
    )
