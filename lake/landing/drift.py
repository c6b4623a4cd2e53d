"""Drift: columns that a delivery has and its contract does not know, or the other way round."""

from collections.abc import Sequence
from dataclasses import dataclass

from lake.contract import Contract
from lake.errors import SourceError


@dataclass(frozen=True)
class Drift:
    """How a delivery's columns differ: `added` are taken on, `complaint` (None: no) is why all its rows are refused."""

    added: tuple[str, ...] = ()
    complaint: str | None = None


def accept_columns(contract: Contract, received: Sequence[str], origin: str) -> Drift:
    """Applies the contract's drift policy to the received columns.

    Raises SourceError under `refuse`.
    """
    known = {column.source_name for column in contract.columns}
    extra = tuple(name for name in received if name not in known)
    missing = tuple(column.source_name for column in contract.columns if column.source_name not in set(received))
    if not extra and not missing:
        return Drift()
    told = " and ".join(
        [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has the unknown {', '.join(extra)}"] * bool(extra)
    )
    if contract.drift == "refuse":
        raise SourceError(
            "schema-drift",
            f"{origin} {told}, and the contract of {contract.source!r} refuses drift.",
            cure="Mend the contract, or set its driftPolicy to evolve or quarantine; then `sluice batch reland`.",
            path=contract.path,
        )
    if contract.drift == "quarantine":
        return Drift(complaint=f"The delivery {told}.")
    return Drift(added=extra)
