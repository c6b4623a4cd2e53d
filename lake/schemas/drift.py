"""A contract beside its operational schema: where the two differ, column by column."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from lake.contract import Column, Contract, SchemaReference
from lake.errors import ContractError
from lake.naming import own_names, snake_case
from lake.odcs.references import DriftKind as Kind
from lake.schemas.properties import contract_columns
from lake.schemas.reading import find_table, read_schema
from lake.schemas.table import OperationalColumn, OperationalTable
from lake.schemas.type_order import compare_types

CURES: Mapping[str, str] = {
    "missing": "Add it to the contract.",
    "extra": "Remove it from the contract, or find out why the system dropped it.",
    "type-narrower": "Widen the contract's type: rows the system allows would be refused.",
    "type-wider": "Narrow the contract's type, unless deliveries hold more than the system does.",
    "type-other": "Take the system's type: values would be refused or changed.",
    "required": "Remove 'required' from the contract: rows the system allows would be refused.",
    "nullable": "Write 'required: true' in the contract: the system promises it.",
    "key": "Give the contract the system's key, or records are told apart wrongly.",
    "enum-added": "Add the values to the contract's enum: rows with them would be refused.",
    "enum-removed": "Remove the values from the contract's enum: the system has them no more.",
    "bound": "Give the contract the system's bound.",
    "unreadable": "Mend the schema, or the contract's 'authoritativeDefinitions'.",
}


@dataclass(frozen=True)
class Finding:
    """One difference: `contract_says` and `schema_says` where, `path:line` each; `cure` is what to do."""

    source: str
    kind: Kind
    column: str
    contract_says: str
    schema_says: str
    contract_place: str
    schema_place: str

    @property
    def cure(self) -> str:
        """What to do about it."""
        return CURES[self.kind]

    @property
    def message(self) -> str:
        """The difference in one sentence."""
        subject = f"{self.source}.{self.column}" if self.column else self.source
        return f"{subject}: {self.kind}: the contract {self.contract_says}, the system {self.schema_says}."

    def record(self) -> dict[str, object]:
        """Gives it as JSON can hold it, the places as path and line."""
        contract_path, _, contract_line = self.contract_place.rpartition(":")
        schema_path, _, schema_line = self.schema_place.rpartition(":")
        return {
            "source": self.source,
            "kind": self.kind,
            "column": self.column,
            "contract_says": self.contract_says,
            "schema_says": self.schema_says,
            "contract_path": contract_path,
            "contract_line": int(contract_line),
            "schema_path": schema_path,
            "schema_line": int(schema_line),
            "message": self.message,
            "cure": self.cure,
        }


Maker = Callable[[Kind, str, str], Finding]


@dataclass(frozen=True)
class _Sides:
    """Both sides of a comparison, and where the files are shown to stand."""

    contract: Contract
    table: OperationalTable
    root: Path

    def finding(self, kind: Kind, column: str, ours: str, theirs: str, our_line: int, their_line: int) -> Finding:
        contract_place = f"{shown_path(self.contract.path, self.root)}:{our_line}"
        schema_place = f"{shown_path(self.table.path, self.root)}:{their_line}"
        return Finding(self.contract.source, kind, column, ours, theirs, contract_place, schema_place)


def shown_path(path: Path, root: Path) -> str:
    """Gives a path as people write it: from the project folder, where it is below it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def schema_drift(contract: Contract, root: Path) -> tuple[Finding, ...]:
    """Gives where a contract and the operational schema it names differ; none when it names none.

    A schema that cannot be read is a finding, too. What the contract accepts by `acceptedDrift` is left out.
    """
    contract = contract.history_of or contract
    reference = contract.schema
    if reference is None:
        return ()
    try:
        found = tuple(compare(contract, named_table(contract, reference, root), root))
    except ContractError as error:
        place = f"{shown_path(contract.path, root)}:{reference.line}"
        where = root / reference.path if error.path is None else Path(error.path)
        there = f"{shown_path(where, root)}:{error.line or 1}"
        words = f"cannot be read: {error.message} {error.cure}".rstrip(" .")
        found = (Finding(contract.source, "unreadable", "", "names its schema", words, place, there),)
    return tuple(
        finding for finding in found if f"{finding.kind} {finding.column}".strip() not in contract.accepted_drift
    )


def named_table(contract: Contract, reference: SchemaReference, root: Path) -> OperationalTable:
    """Gives the operational table that a contract names; raises ContractError when it cannot be read."""
    whole = [column.source_name for column in contract.columns]
    path = root / reference.path
    tables = read_schema(path, dialect=reference.dialect, table=reference.table, whole=whole)
    return find_table(tables, reference.table)


def compare(contract: Contract, table: OperationalTable, root: Path) -> Iterator[Finding]:
    """Gives the differences: first the columns in the schema's order, then those that it lacks, then the key."""
    sides = _Sides(contract, table, root)
    theirs = contract_columns(table, own_names([column.name for column in table.columns]))
    pairs = _pairs(contract.columns, table.columns)
    for column in table.columns:
        ours = pairs.get(column.name)
        if ours is None:
            says = f"has it as {theirs[column.name][0].sql_type}"
            yield sides.finding("missing", column.name, "lacks it", says, contract.columns[0].line, column.line)
        else:
            yield from _compare_column(sides, ours, theirs[column.name][0], column)
    for ours in contract.columns:
        if ours not in pairs.values():
            yield sides.finding(
                "extra", ours.source_name, f"has it as {ours.sql_type}", "lacks it", ours.line, table.line
            )
    key = tuple(pairs[name].name for name in table.key if name in pairs)
    if table.key and set(key) != set(contract.key):
        says = f"has the key {_names(contract.key)}"
        line = next(
            (column.line for column in contract.columns if column.name in contract.key), contract.columns[0].line
        )
        yield sides.finding("key", "", says, f"has the key {_names(table.key)}", line, table.line)


def _pairs(ours: Sequence[Column], theirs: Sequence[OperationalColumn]) -> dict[str, Column]:
    """Gives the contract's column for each of the schema's, by the source's name, else by ours."""
    by_source = {column.source_name: column for column in ours}
    by_lower = {column.source_name.lower(): column for column in ours}
    by_name = {column.name: column for column in ours}
    pairs: dict[str, Column] = {}
    for column in theirs:
        found = by_source.get(column.name) or by_lower.get(column.name.lower()) or by_name.get(snake_case(column.name))
        if found is not None and found not in pairs.values():
            pairs[column.name] = found
    return pairs


def _compare_column(sides: _Sides, ours: Column, theirs: Column, declared: OperationalColumn) -> Iterator[Finding]:
    def finding(kind: Kind, our_words: str, their_words: str) -> Finding:
        return sides.finding(kind, ours.source_name, our_words, their_words, ours.line, declared.line)

    order = compare_types(ours, theirs)
    if order is not None:
        yield finding(order, f"has {_typed(ours)}", f"has {_typed(theirs)}")
    if ours.required and not theirs.required and ours.default is None:
        yield finding("required", "requires it", "lets it be empty")
    if theirs.required and not ours.required:
        yield finding("nullable", "lets it be empty", "requires it")
    yield from _compare_values(finding, ours, theirs)


def _compare_values(finding: Maker, ours: Column, theirs: Column) -> Iterator[Finding]:
    if theirs.enum:
        added = [value for value in theirs.enum if value not in ours.enum]
        gone = [value for value in ours.enum if value not in theirs.enum]
        if not ours.enum:
            yield finding("enum-removed", "takes any value", f"takes only {_names(theirs.enum)}")
        elif added:
            yield finding("enum-added", f"lacks {_names(added)}", f"takes {_names(added)}")
        if ours.enum and gone:
            yield finding("enum-removed", f"takes {_names(gone)}", f"lacks {_names(gone)}")
    for word in ("minimum", "maximum"):
        our_bound, their_bound = getattr(ours, word), getattr(theirs, word)
        if their_bound is not None and our_bound is not None and not _same(our_bound, their_bound):
            yield finding("bound", f"has the {word} {our_bound}", f"has {their_bound}")


def _same(one: str, other: str) -> bool:
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return one == other


def _typed(column: Column) -> str:
    if column.sql_type == "varchar" and column.max_length is not None:
        return f"varchar({column.max_length})"
    return column.sql_type


def _names(values: Sequence[str]) -> str:
    return ", ".join(values) if values else "none"
