"""One visit of a run to a source: what the source is asked for, and what the lake has of it already."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Protocol

from lake.contract import Contract, Server
from lake.ledger import BatchRecord
from lake.run import Run
from lake.secrets import Secrets
from lake.sources.delivery import BATCH_ID_DIGITS, Delivery

ORDINAL = "ordinal"


@dataclass(frozen=True)
class Visit:
    """What a source is handed. `known` are the batches the lake knows of it, by id; `scratch` holds its files.

    `pause` waits some seconds. `since` is the greatest watermark in raw less the contract's lateness, as DuckDB writes
    it; None before there is one. A source that reads on from where it stood finds that in `position`, and gives with
    each delivery the position that is true once the delivery is in the lake; `anew` asks it to begin from what it has
    now, whatever its position. `look` gives what the lake knows by now, for a source that has waited. `spool` is where
    the ingestion service keeps what was posted. `lake` names the lake among others. `may_wait` says that another look
    follows soon. `find_gone` takes a Parquet file with every key that the source has, writes a second one with a
    deletion for each other key that stands in raw, and says how many these are.
    """

    contract: Contract
    project: Path
    scratch: Path
    run: Run
    secrets: Secrets
    pause: Callable[[float], None]
    known: Mapping[str, BatchRecord] = field(default_factory=dict)
    since: str | None = None
    spool: Path = Path("spool")
    lake: str = ""
    anew: bool = False
    may_wait: bool = False
    look: Callable[[], Mapping[str, BatchRecord]] | None = None
    find_gone: Callable[[Path, Path], int] | None = None

    def at(self, server: Server) -> "Visit":
        """Gives the visit to one of the contract's servers."""
        return replace(self, contract=self.contract.at(server))

    def again(self) -> "Visit":
        """Gives the visit with what the lake knows by now."""
        return self if self.look is None else replace(self, known=self.look())

    def has_landed(self, origin: str, state: str) -> bool:
        """Says whether what is at a place is in the lake already, and untouched since: it need not be read again."""
        return (origin, state) in self._landed_states

    def has_decided(self, origin: str, state: str) -> bool:
        """Says whether what is at a place is untouched since it landed, or was held or refused under this contract."""
        return self.has_landed(origin, state) or (origin, state) in self._refused_states

    @property
    def position(self) -> Mapping[str, str]:
        """Where the source stands by what is in raw; empty before its first landing."""
        landed = [record for record in self._positioned if record.status == "landed"]
        return position_of(max(landed, key=ordinal_of)) if landed else {}

    @property
    def last_landed_at(self) -> datetime | None:
        """When a delivery of a source that has positions landed last."""
        return max((record.ended_at for record in self._positioned if record.status == "landed"), default=None)

    @property
    def next_ordinal(self) -> int:
        """The number of the next delivery of a source that has positions; refused ones have had theirs."""
        return max((ordinal_of(record) for record in self._positioned), default=0) + 1

    @property
    def waits_for(self) -> BatchRecord | None:
        """The held batch that a source with positions cannot be read past, None when there is none."""
        return next((record for record in self._positioned if record.status == "held"), None)

    @cached_property
    def _landed_states(self) -> frozenset[tuple[str, str | None]]:
        return frozenset((found.origin, found.file_state) for found in self.known.values() if found.status == "landed")

    @cached_property
    def _refused_states(self) -> frozenset[tuple[str, str | None]]:
        """The places and states that an earlier run has held back or refused under this very contract."""
        return frozenset(
            (found.origin, found.file_state)
            for found in self.known.values()
            if found.contract_digest == self.contract.digest and found.run_id != self.run.id
        )

    @property
    def _positioned(self) -> list[BatchRecord]:
        return [record for record in self.known.values() if record.position]


class Source(Protocol):
    """Gives what a source has that the lake does not, oldest first; asked for one at a time, landed before the next."""

    def __call__(self, visit: Visit) -> Iterator[Delivery]: ...


def position_of(record: BatchRecord) -> Mapping[str, str]:
    """Gives the position that is true once a batch is in raw."""
    found: dict[str, str] = json.loads(record.position or "{}")
    return found


def ordinal_of(record: BatchRecord) -> int:
    """Gives the number of a batch among those of its source, 0 for one without position."""
    return int(position_of(record).get(ORDINAL, 0))


def numbered_batch(contract: Contract, ordinal: int) -> str:
    """Gives the id of a source's n-th batch: two runs that read it at once make the same, and one of them lands it."""
    return hashlib.sha256(f"{contract.source} {ordinal}".encode()).hexdigest()[:BATCH_ID_DIGITS]
