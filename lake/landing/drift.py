"""Drift: columns that a delivery has and its contract does not know, or the other way round.

The order of columns is no drift, nor is a header that differs in case or white space only (`lake.formats.header`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lake.contract import Column, Contract
from lake.errors import SourceError
from lake.naming import ROW_NUMBER


@dataclass(frozen=True)
class Differences:
    """How a delivery's columns differ: the contract's that are `missing` from it, its own that are `unknown`."""

    missing: tuple[Column, ...] = ()
    unknown: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.unknown)


@dataclass(frozen=True)
class Rename:
    """A suggestion: the unknown column `received` looks like `column` under another name."""

    column: Column
    received: str

    def __str__(self) -> str:
        return f"renamed? then `physicalName: {self.received}` at column '{self.column.name}'"


@dataclass(frozen=True)
class Drift:
    """What becomes of a delivery that differs.

    `added` are unknown columns and the column of raw that keeps each, as text. `complaint` (None: no) is why all its
    rows are refused. `told` says what differs, in words, and `outcome` what was done; both are empty when nothing does.
    """

    added: tuple[tuple[str, str], ...] = ()
    complaint: str | None = None
    told: str = ""
    outcome: str = ""


def find_differences(contract: Contract, received: Sequence[str], known: Collection[str]) -> Differences:
    """Gives how received columns differ from the contract's; `known` are the columns of the raw table.

    Under `evolve` a column that raw has taken on before is not unknown any more.
    """
    ours = {column.source_name for column in contract.columns}
    taken = {name.casefold() for name in known} if contract.drift == "evolve" else set()
    return Differences(
        tuple(column for column in contract.columns if column.source_name not in set(received)),
        tuple(name for name in received if name not in ours and name.casefold() not in taken),
    )


def apply_policy(
    contract: Contract, received: Sequence[str], known: Collection[str], found: Differences, renames: Sequence[Rename]
) -> Drift:
    """Says what the contract's drift policy makes of a delivery's columns."""
    ours = {column.source_name for column in contract.columns}
    extra = tuple(name for name in received if name not in ours)
    told = _told(found, renames)
    if contract.drift == "evolve":
        kept = tuple((name, _kept_as(contract, name, known)) for name in extra)
        return Drift(kept, told=told, outcome=_evolved(found, dict(kept)) if found else "")
    if not found:
        return Drift()
    if contract.drift == "refuse":
        return Drift(told=told, outcome="the delivery is refused")
    return Drift(complaint=f"The delivery {told}.", told=told, outcome="all its records are quarantined")


def refusal(contract: Contract, drift: Drift, origin: str) -> SourceError:
    """Gives the error for a delivery whose drift the contract refuses."""
    return SourceError(
        "schema-drift",
        f"{origin} {drift.told}, and the contract of {contract.source!r} refuses drift.",
        cure="Mend the contract, or set its driftPolicy to evolve or quarantine; then `sluice batch reland`.",
        path=contract.path,
    )


def _told(found: Differences, renames: Sequence[Rename]) -> str:
    missing, unknown = (", ".join(names) for names in ([each.source_name for each in found.missing], found.unknown))
    told = " and ".join([f"lacks {missing}"] * bool(missing) + [f"has the unknown {unknown}"] * bool(unknown))
    return ": ".join([told, "; ".join(str(rename) for rename in renames)]) if renames else told


def _kept_as(contract: Contract, name: str, known: Collection[str]) -> str:
    """Gives the column of raw for an unknown one: that of before, else its name, unless ours are written alike."""
    ours = {column.name.casefold() for column in contract.columns}
    before = {each.casefold(): each for each in known if each.casefold() not in ours and not each.startswith("_")}
    if name.casefold() in before:
        return before[name.casefold()]
    is_taken = name.casefold() in ours or name.casefold() == ROW_NUMBER or name.startswith("_")
    return f"{name}_received" if is_taken else name


def _evolved(found: Differences, kept: dict[str, str]) -> str:
    done = [f"{name} is kept as text" + f", as {kept[name]}" * (kept[name] != name) for name in found.unknown]
    done += [f"{column.name} reads as missing" for column in found.missing]
    return ", ".join(done)
