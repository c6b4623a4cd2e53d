"""What a page is told about the state it shows: the release, the run, the gates. Nothing here reads a clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class GateCount:
    """How many checks of one stage passed, warned and failed on one table; an error counts as failed."""

    stage: str
    table_name: str
    passed: int
    warned: int
    failed: int


@dataclass(frozen=True)
class FailedRun:
    """The newest run, when it did not publish: its id and the sentence it failed with."""

    run_id: str
    reason: str


@dataclass(frozen=True)
class PageContext:
    """Everything a page states that is not in its queries.

    `release_id` is None before the first release. `gates` are the results for the tables as the page reads them: a
    figure that reads a table with a failed check is withheld. `previous_figures` are those of the rendering
    before, by name; `previous_label` says which that was, such as `release 41`. Instants are UTC or carry a zone. A
    page about the run itself, which shows no candidate of it, `withholds` nothing.
    """

    run_id: str
    release_id: int | None
    published_at: datetime | None
    data_as_of: datetime | None
    gates: tuple[GateCount, ...] = ()
    timezone: str = "UTC"
    currency: str = "INR"
    failed_run: FailedRun | None = None
    previous_figures: Mapping[str, Decimal] = field(default_factory=dict)
    previous_label: str = "previous release"
    withholds: bool = True

    @property
    def failed_tables(self) -> frozenset[str]:
        """Gives the tables that a figure must not show."""
        return frozenset(gate.table_name for gate in self.gates if gate.failed and self.withholds)

    def count(self, outcome: str) -> int:
        """Gives how many checks `passed`, `warned` or `failed` in all gates."""
        return sum(int(getattr(gate, outcome)) for gate in self.gates)
