"""A raw table follows its contract: types grow wider, columns that came by drift become the contract's.

The table is rewritten in one Delta commit, before the landing that needs it. Whoever reads sees the old rows in the old
types or the same rows in the new ones; a crash leaves one or the other; older versions stay as they were.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lake.contract import Column, Contract
from lake.engine import Session, columns_of, quote, scan_sql, storable_sql
from lake.errors import CommitConflict, ContractError
from lake.landing.batch import raw_name
from lake.landing.drift import Drift
from lake.landing.promises import expect_kept, promise_in, promise_of, to_property
from lake.landing.validation import cast_sql, typed_select
from lake.proofs import proof_of, proven_at
from lake.run import Run
from lake.staged_files import plain_schema, stage_files
from lake.table_versions import Store, TableVersion
from lake.tables import commit_files, read_version, set_properties

ATTEMPTS = 20  # each one that fails means that another run has landed something
MANY_ROWS = 1_000_000  # from here on the order of rows is not worth its price
INTEGER_DIGITS: Mapping[str, int] = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19}
WIDER: Mapping[str, tuple[str, ...]] = {  # every value of the first is one of the others, digit for digit
    "TINYINT": ("SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE"),
    "SMALLINT": ("INTEGER", "BIGINT", "FLOAT", "DOUBLE"),
    "INTEGER": ("BIGINT", "DOUBLE"),
    "FLOAT": ("DOUBLE",),
    "DATE": ("TIMESTAMP",),
}
DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


@dataclass(frozen=True)
class _Growth:
    """One column of raw that is to become another: `adopted` when it came by drift, as text."""

    old_name: str
    column: Column
    old_type: str
    new_type: str
    adopted: bool

    @property
    def told(self) -> str:
        if not self.adopted:
            return f"widened {self.column.name} from {self.old_type} to {self.new_type}"
        renamed = "" if self.old_name == self.column.name else f" (until now {self.old_name})"
        return f"adopted {self.column.name} as {self.new_type}{renamed}"


def fit_raw(session: Session, store: Store, contract: Contract, run: Run) -> TableVersion | None:
    """Gives a contract's raw table in its newest version and as the contract wants it, None when there is none yet.

    Raises ContractError when the contract breaks what readers were promised; CommitConflict when others land so often
    that the table could not be rewritten in between.
    """
    for _ in range(ATTEMPTS):
        found = read_version(store, raw_name(contract))
        if found is None:
            return None
        growths = _growths(session, contract, found)
        promise, said = promise_of(contract), promise_in(found)
        try:
            if growths:
                _rewrite(session, store, contract, found, growths, run)
            elif said is None or not said.is_kept_as(promise):
                set_properties(store, found.name, found.version, to_property(promise))
            else:
                return found
        except CommitConflict as conflict:
            run.note("landing-outrun", contract.source, reason=conflict.message)
    raise CommitConflict(
        "landing-outrun",
        f"Other runs landed in {raw_name(contract)} {ATTEMPTS} times while its columns were being widened.",
        cure="Give their schedules different times; nothing is lost.",
    )


def is_wider(old: str, new: str) -> bool:
    """Says whether every value of a stored type is one of another, with nothing lost or invented."""
    wide = DECIMAL.fullmatch(new)
    if wide is None:
        return new in WIDER.get(old, ())
    narrow = DECIMAL.fullmatch(old)
    scale = 0 if narrow is None else int(narrow.group(2))
    digits = INTEGER_DIGITS.get(old) if narrow is None else int(narrow.group(1)) - scale
    return digits is not None and int(wide.group(2)) >= scale and int(wide.group(1)) - int(wide.group(2)) >= digits


def stored_types(session: Session, contract: Contract) -> dict[str, str]:
    """Gives the types in which the lake keeps a contract's columns, as Delta tells them."""
    nulls = ", ".join(f"cast(null as {column.sql_type}) as {quote(column.name)}" for column in contract.columns)
    select, _ = storable_sql(session, f"select {nulls}")
    return dict(columns_of(plain_schema(session.arrow(f"select * from ({select}) limit 0").schema)))


def _growths(session: Session, contract: Contract, found: TableVersion) -> list[_Growth]:
    """Gives the columns to change; raises ContractError when the contract is not to be met by widening."""
    wanted, known = stored_types(session, contract), dict(found.columns)
    promise = promise_in(found)
    promised = {*wanted} if promise is None else {*promise.columns}
    drifted = {name.casefold(): name for name in known if name not in promised and not name.startswith("_")}
    growths, narrowed = [], []
    for column in contract.columns:
        new = wanted[column.name]
        place = drifted.get(column.name.casefold()) or drifted.get(column.source_name.casefold())
        if column.name in promised and column.name in known:
            old = known[column.name]
            if old != new and is_wider(old, new):
                growths.append(_Growth(column.name, column, old, new, adopted=False))
            elif old != new:
                narrowed.append((column.name, old, new))
        elif place is not None and (place, known[place]) != (column.name, new):
            growths.append(_Growth(place, column, known[place], new, adopted=True))
    expect_kept(contract, found, narrowed)
    return growths


def _rewrite(
    session: Session, store: Store, contract: Contract, found: TableVersion, growths: list[_Growth], run: Run
) -> None:
    """Rewrites the table, streaming, and puts it in the place of the old rows in one commit."""
    scan = scan_sql([file.path for file in found.files], found.columns, evolved=found.evolved)
    by_name = {growth.old_name: growth for growth in growths}
    for growth in growths:
        if growth.adopted:
            _expect_fitting(session, contract, growth, scan)
    selected = ", ".join(_expression(by_name.get(name), name) for name, _ in found.columns)
    any_order = found.row_count >= MANY_ROWS
    query = f"select {selected} from ({scan})"
    staged = stage_files(session, store, found.name, query, partition=found.partition, any_order=any_order)
    told = ", ".join(growth.told for growth in growths)
    changed = run.event(
        "schema-changed",
        found.name,
        len(growths),
        contract_version=contract.version,
        columns=[list(column) for column in staged.columns],
        change=told,
    )
    version = commit_files(
        store,
        found.name,
        staged,
        expected_version=found.version,
        replace="everything",
        metadata={"change": told, "run": run.id, "contract_version": contract.version} | proof_of([changed]),
    )
    for event in proven_at(version, [changed]):
        run.keep(event)


def _expression(growth: _Growth | None, name: str) -> str:
    if growth is None:
        return quote(name)
    if not growth.adopted:
        return f"cast({quote(name)} as {growth.new_type}) as {quote(name)}"
    return f"{cast_sql(_bare(growth), quote(name))} as {quote(growth.column.name)}"


def _bare(growth: _Growth) -> Column:
    """Gives a column as type and formats only: rows that are there are not judged by its other conditions."""
    column = growth.column
    return Column(column.name, growth.old_name, column.sql_type, formats=column.formats, time_zone=column.time_zone)


def _expect_fitting(session: Session, contract: Contract, growth: _Growth, scan: str) -> None:
    alone = replace(contract, columns=(_bare(growth),), rules=(), key=())
    judged = typed_select(alone, [growth.old_name], f"select {quote(growth.old_name)} from ({scan})", Drift())
    unfit = session.value(f"select count(*) from ({judged}) where _reasons is not null")
    if unfit:
        raise ContractError(
            "column-unfit",
            f"Column '{growth.column.name}' came by drift, as text, and {unfit} of its values in "
            f"{raw_name(contract)} are no {growth.column.sql_type}.",
            cure="Declare it as `logicalType: string`, or under another name.",
            path=contract.path,
            line=growth.column.line or None,
        )
