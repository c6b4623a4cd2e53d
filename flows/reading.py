"""Reading the lake for a command: a private session on the current release and the newest `ops` views."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flows.workplace import Workplace
from lake.catalogue import restricted_in, show_release
from lake.engine import Session
from lake.operations import show_operations
from lake.releases import current_release
from lake.table_versions import Store
from lake.time_travel import release_as_of, show_release_as_of


@dataclass(frozen=True)
class Reading:
    """A session that sees the lake as readers do, restricted columns masked, and the lake's place."""

    session: Session
    store: Store


@contextmanager
def open_lake(workplace: Workplace, as_of: str | None = None) -> Iterator[Reading]:
    """Opens the lake of a project for reading, as of a release or an instant (None: as it is now)."""
    store = workplace.settings.store
    contracts = list(workplace.place.sound_contracts().values())
    with Session(workplace.settings.limits, store) as session:
        restricted = restricted_in(session, store, contracts)
        show_operations(session, store, restricted.received)
        if as_of is not None:
            past = release_as_of(session, store, as_of, workplace.settings.timezone)
            show_release_as_of(session, store, past, restricted)
        elif (release := current_release(session, store)) is not None:
            show_release(session, store, release, restricted)
        yield Reading(session, store)
