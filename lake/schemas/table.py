"""One table of an operational system, whatever its schema is written in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from lake.errors import ContractError

Keys = Mapping[str, object]


@dataclass(frozen=True)
class OperationalColumn:
    """One column as its own system declares it.

    `keys` are the ODCS keys of its type, its options and its enum. `default` is the constant that stands in for a
    missing value (None: there is none, or it differs each time). `refers_to` is the `table.column` of a foreign key.
    `notes` say what could not be carried over.
    """

    name: str
    line: int
    keys: Keys
    required: bool = False
    unique: bool = False
    default: str | None = None
    description: str = ""
    refers_to: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class OperationalRule:
    """A condition on each row, in DuckDB SQL over the names of the schema, in double quotes."""

    name: str
    expression: str
    line: int


@dataclass(frozen=True)
class OperationalTable:
    """What the schema says of one table; `aliases` are its other names, `key` the names of its primary key."""

    name: str
    path: Path
    line: int
    columns: tuple[OperationalColumn, ...]
    key: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    description: str = ""
    rules: tuple[OperationalRule, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class TableDraft:
    """A table while its schema is being read: columns by name, changed by the statements that follow."""

    name: str
    line: int
    columns: dict[str, OperationalColumn] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    description: str = ""
    rules: list[OperationalRule] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def change(self, name: str, **changes: object) -> None:
        """Changes what is known of a column; a name that is no column's is left alone."""
        known = self.find(name)
        if known is not None:
            self.columns[known] = replace(self.columns[known], **changes)  # type: ignore[arg-type]

    def find(self, name: str) -> str | None:
        """Gives a column's name as it was declared; case matters only where nothing else tells columns apart."""
        if name in self.columns:
            return name
        return next((known for known in self.columns if known.lower() == name.lower()), None)

    def rename(self, name: str, new: str) -> None:
        """Gives a column another name, in its place."""
        known = self.find(name)
        self.columns = {
            new if column == known else column: replace(found, name=new) if column == known else found
            for column, found in self.columns.items()
        }
        self.key = tuple(new if column == known else column for column in self.key)

    def note_on(self, name: str, note: str) -> None:
        """Adds a note to a column."""
        known = self.find(name)
        if known is not None:
            self.change(known, notes=(*self.columns[known].notes, note))

    def finished(self, path: Path) -> OperationalTable:
        """Gives the table as it stands: the columns of its key are required."""
        for name in self.key:
            self.change(name, required=True)
        key = tuple(found for name in self.key if (found := self.find(name)) is not None)
        return OperationalTable(
            name=self.name,
            path=path,
            line=self.line,
            columns=tuple(self.columns.values()),
            key=key,
            aliases=self.aliases,
            description=self.description,
            rules=tuple(self.rules),
            notes=tuple(self.notes),
        )


def malformed(path: Path, line: int | None, message: str, cure: str) -> ContractError:
    """Makes the error of a schema that cannot be understood."""
    return ContractError("schema-malformed", message, cure=cure, path=path, line=line)


def string(*, longest: int | None = None, named: str | None = None) -> dict[str, object]:
    """Gives the ODCS keys of a text."""
    options = {"maxLength": longest, "format": named}
    found = {key: value for key, value in options.items() if value is not None}
    return {"logicalType": "string", **({"logicalTypeOptions": found} if found else {})}


def integer(physical: str = "bigint", *, is_unsigned: bool = False) -> dict[str, object]:
    """Gives the ODCS keys of a whole number."""
    options = {"logicalTypeOptions": {"minimum": Decimal(0)}} if is_unsigned else {}
    return {"logicalType": "integer", "physicalType": physical, **options}


def decimal(digits: int, places: int) -> dict[str, object]:
    """Gives the ODCS keys of an exact number."""
    return {"logicalType": "number", "physicalType": f"decimal({digits},{places})"}


def number(physical: str) -> dict[str, object]:
    """Gives the ODCS keys of a measured number: `double` or `float`."""
    return {"logicalType": "number", "physicalType": physical}


def wall_clock() -> dict[str, object]:
    """Gives the ODCS keys of a time without zone."""
    return {"logicalType": "timestamp", "physicalType": "timestamp", "logicalTypeOptions": {"timezone": False}}


def instant() -> dict[str, object]:
    """Gives the ODCS keys of a time with zone; one written without is taken as UTC."""
    return {"logicalType": "timestamp", "logicalTypeOptions": {"defaultTimezone": "Etc/UTC"}}


def json_value(logical: str = "object") -> dict[str, object]:
    """Gives the ODCS keys of a nested value kept as JSON."""
    return {"logicalType": logical, "physicalType": "json"}


def with_option(keys: Keys, name: str, value: object) -> dict[str, object]:
    """Gives keys with one more of the options of their type."""
    options = keys.get("logicalTypeOptions")
    return {**keys, "logicalTypeOptions": {**(options if isinstance(options, Mapping) else {}), name: value}}
