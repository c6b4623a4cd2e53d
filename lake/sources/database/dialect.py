"""What differs between databases: how one is opened, what it says of its tables, and how its watermarks compare."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from lake.engine import quote
from lake.errors import SourceError
from lake.odcs.document import did_you_mean
from lake.secrets import Secrets
from lake.sources.database.client import Client
from lake.sources.database.endpoint import Endpoint

QUERY_NAME = "asked"


@dataclass(frozen=True)
class TableColumn:
    """One column as the database has it: its `kind` there, and the SQL that gives it so that nothing is lost."""

    name: str
    kind: str
    select: str
    is_required: bool = False


@dataclass(frozen=True)
class Table:
    """A table, view or query: what a select reads `from`, and its columns."""

    relation: str
    columns: tuple[TableColumn, ...]

    def find(self, name: str) -> TableColumn | None:
        """Gives the column of a name; case matters only where nothing else tells columns apart."""
        exact = [column for column in self.columns if column.name == name]
        near = [column for column in self.columns if column.name.casefold() == name.casefold()]
        return exact[0] if exact else near[0] if len(near) == 1 else None


@dataclass(frozen=True)
class Bounds:
    """Between which watermarks a pass reads, as the database writes them; `upper` None: no row has one.

    `lower` None is the beginning. From `boundary` on the next pass will read again.
    """

    lower: str | None
    boundary: str | None
    upper: str | None


class Dialect(Protocol):
    """One kind of database."""

    def open(self, endpoint: Endpoint, project: Path, secrets: Secrets) -> Client:
        """Gives a connection that sees the database as it is at this moment, until it is closed."""
        ...

    def declared(self, client: Client, endpoint: Endpoint) -> str:
        """Gives SQL that declares the table as the database has it, comments and constraints included."""
        ...

    def describe(self, client: Client, endpoint: Endpoint) -> Table:
        """Gives the table that is meant; raises SourceError when there is none."""
        ...

    def mark(self, column: TableColumn, endpoint: Endpoint) -> str:
        """Gives the SQL by which rows are ordered in the order of their watermarks."""
        ...

    def written(self, bound: str, column: TableColumn, endpoint: Endpoint) -> str:
        """Gives the SQL of a bound that is compared with `mark`."""
        ...

    def bounds(
        self, client: Client, table: Table, column: TableColumn, endpoint: Endpoint, since: str | None
    ) -> Bounds:
        """Gives the bounds of a pass that begins at `since`."""
        ...

    def stream(self, client: Client, query: str, endpoint: Endpoint) -> Iterator[pa.RecordBatch]:
        """Gives the rows of a select over what `describe` gave; an empty batch comes first."""
        ...


def missing_table(endpoint: Endpoint, known: Sequence[str]) -> SourceError:
    """Makes the error of a table that the database lacks, or does not show to this user."""
    return SourceError(
        "database-table-missing",
        f"{endpoint.place} has no table '{endpoint.table}'"
        + (f" in the schema '{endpoint.options['schema']}'." if "schema" in endpoint.options else "."),
        cure=did_you_mean(str(endpoint.table), known, "Check its name and schema in the contract."),
    )


def missing_column(endpoint: Endpoint, name: str, table: Table) -> SourceError:
    """Makes the error of a column without which nothing can be read."""
    known = [column.name for column in table.columns]
    return SourceError(
        "database-column-missing",
        f"{endpoint.origin} has no column '{name}', by which the contract asks for what is new.",
        cure=did_you_mean(name, known, "Check the watermark in the contract."),
    )


def query_relation(endpoint: Endpoint) -> str:
    """Gives what a select reads from when the contract holds a query of its own."""
    return f"({endpoint.query}\n) as {quote(QUERY_NAME)}"  # it may end in a comment
