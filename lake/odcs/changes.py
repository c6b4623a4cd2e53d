"""Contracts of captured tables: what lands is the history of their rows, and the contract says what one row is.

A row of such a raw table is one change, told apart by its place in the database's log. A delete carries the key and
nothing else, a truncate nothing at all, so what the contract requires of a row holds for the changes that carry one.
"""

import re
from dataclasses import replace
from typing import Final

from lake.contract import CAPTURE, Column, Contract, RowRule
from lake.errors import ContractError

# A baseline is the end of a snapshot: whatever is older and not in it was deleted while nobody looked.
EMPTYING: Final = ("truncate", "baseline")
KINDS: Final = ("insert", "update", "delete", "snapshot", *EMPTYING)
PLACE: Final = ("_lsn", "_sequence")
CHANGE_COLUMNS: Final = (
    Column(
        "_change",
        "_change",
        "varchar",
        required=True,
        enum=KINDS,
        description="What happened to the row: insert, update, delete, or snapshot for one that was there already; "
        "truncate or baseline for the end of all that came before.",
    ),
    Column(
        "_changed_at",
        "_changed_at",
        "timestamptz",
        required=True,
        description="The instant at which the database committed the change, by its own clock.",
    ),
    Column(
        "_lsn",
        "_lsn",
        "bigint",
        required=True,
        description="The place of the transaction in the database's log, in bytes; later commits have greater ones.",
    ),
    Column(
        "_sequence",
        "_sequence",
        "bigint",
        required=True,
        description="The place of the change within its transaction, from 1 on, with gaps.",
    ),
)
OURS: Final = frozenset(column.name for column in CHANGE_COLUMNS)


def as_history(contract: Contract) -> Contract:
    """Gives the contract of a table's history, from that of the table itself, which it keeps as `history_of`.

    Its key is the place of a change, so a change that comes twice is a duplicate and a row that is deleted and
    inserted again is three. Raises ContractError for what a history cannot keep.
    """
    _expect_fitting(contract)
    columns = tuple(replace(column, required=False, unique=False) for column in contract.columns)
    presence = (
        presence_rule(column, _excuse(is_key=column.name in contract.key))
        for column in contract.columns
        if column.required
    )
    return replace(
        contract,
        columns=(*columns, *CHANGE_COLUMNS),
        key=PLACE,
        rules=(*presence, *(_excused(rule, contract) for rule in contract.rules)),
        history_of=contract,
    )


def presence_rule(column: Column, excuse: str) -> RowRule:
    """Gives what `required` comes to: a value in every version of a row but those that `excuse` is true of."""
    return RowRule(
        f"{column.name}_present",
        f"{excuse} or {_quoted(column.name)} is not null",
        "MISSING_REQUIRED_FIELD",
        f"{column.name} is required and missing.",
        column.line,
    )


def excused_rule(rule: RowRule, excuse: str) -> RowRule:
    """Gives a rule that what `excuse` is true of need not meet."""
    return replace(rule, expression=f"{excuse} or ({rule.expression})")


def _excused(rule: RowRule, contract: Contract) -> RowRule:
    others = [column.name for column in contract.columns if column.name not in contract.key]
    is_key = not any(re.search(rf"\b{re.escape(name)}\b", rule.expression, re.IGNORECASE) for name in others)
    return excused_rule(rule, _excuse(is_key=is_key))


def _excuse(*, is_key: bool) -> str:
    """Gives the condition that a change does not carry a value: of the key's columns, or of the others."""
    kinds = EMPTYING if is_key else ("delete", *EMPTYING)
    return f"_change in ({', '.join(repr(kind) for kind in kinds)})"


def _quoted(name: str) -> str:
    return f'"{name}"'


def _expect_fitting(contract: Contract) -> None:
    for column in contract.columns:
        if column.source_name in OURS:
            raise ContractError(
                "column-reserved",
                f"Column '{column.name}' is '{column.source_name}' at its source, as a column that Sluice adds.",
                cure="Rename it in the database, or leave it out of the publication.",
                path=contract.path,
                line=column.line,
            )
    if contract.more_servers:
        raise ContractError(
            "server-unfit",
            f"A server has 'mode: {CAPTURE}', and {len(contract.servers)} servers are given.",
            cure="Give the captured table a contract of its own.",
            path=contract.path,
        )
    if contract.load == "replace" or contract.duplicates == "first-wins":
        said = "'loadMode: replace'" if contract.load == "replace" else "'duplicatePolicy: first-wins'"
        raise ContractError(
            "policy-unfit",
            f"The server has 'mode: {CAPTURE}', which keeps every version of a row, and the table says {said}.",
            cure="Remove it: the table's present state is in the view whose name ends in '_current'.",
            path=contract.path,
        )
