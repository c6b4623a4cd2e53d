"""The doors of a service, one for each source that is posted to; they follow the project's contracts as these change.

Contracts count once their files have stood unchanged from one look to the next, so that none is taken up half written.
One that is broken changes nothing: all that counted before does until it is mended, and that is said.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.service.judging import GroupJudge
from lake.contract import Contract
from lake.errors import SluiceError
from lake.project import Project
from lake.receiving.records import RecordJudge

MOST_BODY_BYTES = 10 << 20
MOST_ROWS = 50_000
MOST_FILE_BYTES = 1 << 30
LOOK_SECONDS = 1.0
UNREAD = "The contracts have changed and cannot be read; those from before count until that is mended."

log = logging.getLogger("sluice.service")
MakeJudge = Callable[[Contract], RecordJudge]
States = Mapping[Path, tuple[int, int, int]]


@dataclass(frozen=True)
class Door:
    """One source that is posted to, with the limits of its contract."""

    contract: Contract
    judge: GroupJudge
    most_bytes: int
    most_rows: int
    most_file_bytes: int


class Doors(Mapping[str, Door]):
    """The doors by source. `contracts` are all that count; `trouble` says that newer ones cannot be read, "" if not."""

    def __init__(self, project: Project, make_judge: MakeJudge) -> None:
        """Opens a door for each contract that is posted to; raises ContractError for a contract that is broken."""
        self.trouble = ""
        self._root, self._make_judge = project.root, make_judge
        self._judges: list[RecordJudge] = []
        self._doors: Mapping[str, Door] = {}
        self._read = self._seen = _states(project)
        self.contracts = project.contracts()
        self._doors = self._opened()

    def __getitem__(self, source: str) -> Door:
        return self._doors[source]

    def __iter__(self) -> Iterator[str]:
        return iter(self._doors)

    def __len__(self) -> int:
        return len(self._doors)

    def close(self) -> None:
        """Ends what the judges hold open."""
        for judge in self._judges:
            judge.close()

    def look(self) -> None:
        """Takes up contracts that have changed since, once they stand still; says so, and what cannot be taken up."""
        project = Project(self._root)
        seen = _states(project)
        is_still, self._seen = seen == self._seen, seen
        if not is_still or seen == self._read:
            return
        self._read = seen
        try:
            self.contracts = project.contracts()
        except (SluiceError, OSError) as error:
            self.trouble = UNREAD
            log.error("The contracts are not taken up, those from before count: %s", error)
            return
        self.trouble, before, self._doors = "", self._doors, self._opened()
        _tell(before, self._doors)

    def _opened(self) -> Mapping[str, Door]:
        """Gives the doors of the contracts; those of contracts that are as before stay."""
        pushed = {source: each for source, each in sorted(self.contracts.items()) if each.pushed is not None}
        known = {source: door for source, door in self._doors.items() if door.contract == pushed.get(source)}
        return {source: known.get(source) or self._door(contract) for source, contract in pushed.items()}

    def _door(self, contract: Contract) -> Door:
        options = {} if contract.pushed is None else contract.pushed.options
        judge = self._make_judge(contract)
        self._judges.append(judge)
        return Door(
            contract,
            GroupJudge(judge),
            most_bytes=int(options.get("maxBodyBytes", MOST_BODY_BYTES)),
            most_rows=int(options.get("maxRows", MOST_ROWS)),
            most_file_bytes=int(options.get("maxFileBytes", MOST_FILE_BYTES)),
        )


def _states(project: Project) -> States:
    """Gives what tells that a contract's file was changed."""
    found = {}
    for path in project.contract_files():
        try:
            state = path.stat()
        except FileNotFoundError:  # removed, or being replaced: the next look sees which
            continue
        found[path] = (state.st_ctime_ns, state.st_size, state.st_ino)
    return found


def _tell(before: Mapping[str, Door], now: Mapping[str, Door]) -> None:
    for source in sorted(before.keys() | now.keys()):
        old, new = before.get(source), now.get(source)
        if new is None:
            log.warning("Nothing is posted to '/v1/%s' any more: its contract says so, or is gone.", source)
        elif old is None:
            log.warning("'/v1/%s' is posted to from now on.", source)
        elif old is not new:
            was, is_ = old.contract.version, new.contract.version
            log.warning("The contract of '%s' has changed: version %s counts, before it %s.", source, is_, was)


async def watch(doors: Doors) -> None:
    """Looks for changed contracts, until it is cancelled."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await asyncio.to_thread(doors.look)


def tell_end(watching: "asyncio.Task[None]") -> None:
    """Says when contracts are watched no more though nobody has ended it."""
    error = None if watching.cancelled() else watching.exception()
    if error is not None:
        log.critical("Changed contracts are not noticed any more; start the service again.", exc_info=error)
