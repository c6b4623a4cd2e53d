"""What a page is told about the state it shows: the release, the run, the gates. Nothing here reads a clock."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class GateCount:
    """How many checks of one stage passed, warned and failed on one table; an error counts as failed.

    `reads` are the tables a reconciliation compares: it is of no table of its own.
    """

    stage: str
    table_name: str
    passed: int
    warned: int
    failed: int
    reads: frozenset[str] = frozenset()


@dataclass(frozen=True)
class FailedRun:
    """The newest run, when it did not publish: its id and the sentence it failed with."""

    run_id: str
    reason: str


@dataclass(frozen=True)
class PageContext:
    """Everything a page states that is not in its queries.

    `release_id` is None before the first release. `gates` are the results for the tables as the page reads them: a
    figure is withheld when a table it reads, or one upstream of it, has a failed check. `inputs` gives what each table
    is made from, so that a page states the gates behind its own figures only; None states them all. `held_back` names
    what kept newer figures from being published, `pages` the pages that stand beside this one, to be linked to.
    `previous_figures` are those of the rendering before, by name;
    `previous_label` says which that was, such as `release 41`. Instants are UTC or carry a zone. A page about the run
    itself, which shows no candidate of it, `withholds` nothing.
    """

    run_id: str
    release_id: int | None
    published_at: datetime | None
    data_as_of: datetime | None
    gates: tuple[GateCount, ...] = ()
    inputs: Mapping[str, Set[str]] | None = None
    timezone: str = "UTC"
    currency: str = "INR"
    failed_run: FailedRun | None = None
    held_back: tuple[str, ...] = ()
    pages: frozenset[str] = frozenset()
    previous_figures: Mapping[str, Decimal] = field(default_factory=dict)
    previous_label: str = "previous release"
    withholds: bool = True

    def about(self, tables: Set[str]) -> "PageContext":
        """Gives the same with the gates behind some tables only: theirs, and those of everything upstream."""
        if self.inputs is None:
            return self
        behind = self.upstream(tables)
        return replace(self, gates=tuple(gate for gate in self.gates if _is_behind(gate, behind)))

    def withheld(self, tables: Set[str]) -> tuple[str, ...]:
        """Gives whose failed checks keep a figure that reads some tables from being shown."""
        behind = self.upstream(tables)
        failed = {gate.table_name for gate in self.gates if gate.failed and _is_behind(gate, behind)}
        return tuple(sorted(failed)) if self.withholds else ()

    def upstream(self, tables: Set[str]) -> frozenset[str]:
        """Gives some tables and everything they are made from."""
        found: set[str] = set()
        waiting = list(tables)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend((self.inputs or {}).get(name, ()))
        return frozenset(found)

    def count(self, outcome: str) -> int:
        """Gives how many checks `passed`, `warned` or `failed` in all gates."""
        return sum(int(getattr(gate, outcome)) for gate in self.gates)


def _is_behind(gate: GateCount, tables: Set[str]) -> bool:
    return gate.table_name in tables or not gate.reads.isdisjoint(tables)
