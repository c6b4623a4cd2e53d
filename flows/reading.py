"""Reading the lake for a command: a private session on the current release and the newest `ops` views."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flows.workplace import Workplace
from lake.catalogue import restricted_of, show_release
from lake.engine import Session
from lake.operations import show_operations
from lake.releases import current_release
from lake.table_versions import Store


@dataclass(frozen=True)
class Reading:
    """A session that sees the lake as readers do, restricted columns masked, and the lake's place."""

    session: Session
    store: Store


@contextmanager
def open_lake(workplace: Workplace) -> Iterator[Reading]:
    """Opens the lake of a project for reading."""
    store = workplace.settings.store
    restricted = restricted_of(list(workplace.place.contracts().values()))
    with Session(workplace.settings.limits, store) as session:
        release = current_release(session, store)
        show_operations(session, store, restricted.received)
        if release is not None:
            show_release(session, store, release, restricted)
        yield Reading(session, store)
