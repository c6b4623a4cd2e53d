"""What a format gives to the landing pass: rows of text in the order received, and where each stands."""

from dataclasses import dataclass
from typing import Protocol

from lake.engine import Session

# A column of readings whose records stand for themselves: the keys of each that its contract does not know, or null.
UNKNOWN_KEYS = "unknown keys of the record"


@dataclass(frozen=True)
class Located:
    """Where the loaded rows stand in the delivery.

    `numbered` is a select over the loaded table that adds `_ordinal` (0-based, as loaded) and `_line` (1-based; for
    Parquet and JSON arrays the number of the record). `broken` names a table of records that could not be read into
    columns: `_line, rule, category, message, raw_data`; None when there are none.
    """

    numbered: str
    broken: str | None = None


class Reading(Protocol):
    """One way to read one working file."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The received columns, as the source names them."""
        ...

    def select(self) -> str:
        """Gives SQL for one text column per received column, a row per record, in the order received."""
        ...

    def sample(self) -> str:
        """Gives SQL as `select` does, for a look at the first rows that leaves nothing behind for `locate`."""
        ...

    def locate(self, session: Session, loaded: str) -> "Located | None":
        """Says where the rows of the loaded table stand; None when rows and lines do not add up."""
        ...

    def careful(self, session: Session) -> "Reading":
        """Gives a slower reading of the same file that accounts for every line."""
        ...

    def raw_data(self, session: Session, wanted: str, target: str) -> None:
        """Creates table `target` (`_line`, `raw_data`): the wanted lines as received, as JSON by received column."""
        ...
