"""What every request is handed: the sources that are posted to, their limits and judges, and the spool."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches

from flows.service.doors import Door, Doors
from lake.errors import SettingsError, SourceError
from lake.project import Project
from lake.receiving.spool import Spool
from lake.settings import Settings

ROOM_BYTES = 256 << 20  # of bodies in memory at any moment


class Room:
    """How many bytes of bodies are held in memory at the moment; a sender who is slow holds only what has come."""

    def __init__(self, most_bytes: int = ROOM_BYTES) -> None:
        self.taken = 0
        self._most_bytes = most_bytes

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """Gives what takes room for more bytes, all of which is given back when the block is left.

        It raises SettingsError when too many are held at the moment.
        """
        mine = 0

        def take(byte_count: int) -> None:
            nonlocal mine
            if self.taken + byte_count > self._most_bytes and self.taken > mine:
                message, cure = "Too many requests are being taken at once.", "Send it again in a second."
                raise SettingsError("service-busy", message, cure=cure)
            mine += byte_count
            self.taken += byte_count

        try:
            yield take
        finally:
            self.taken -= mine


@dataclass(frozen=True)
class Service:
    """The service of one project: its `doors` by source.

    Large bodies are taken apart one at a time (`parting`), and so is the lake asked for receipts (`asking`) and for the
    live page (`looking`): those who wait hold no thread, which those who post would lack.
    """

    project: Project
    settings: Settings
    spool: Spool
    doors: Doors
    room: Room = field(default_factory=Room)
    parting: asyncio.Lock = field(default_factory=asyncio.Lock)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def door(self, source: str) -> Door:
        """Gives the door of a source; raises SourceError, naming near ones, when it is not posted to."""
        found = self.doors.get(source)
        if found is None:
            near = get_close_matches(source, self.doors, n=1)
            cure = f"Did you mean '/v1/{near[0]}'?" if near else f"There are: {', '.join(self.doors) or 'none'}."
            raise SourceError("door-unknown", f"Nothing is posted to '/v1/{source}'.", cure=cure)
        return found
