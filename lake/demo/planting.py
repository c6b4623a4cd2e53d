"""Plants faults in demo data: in exact numbers, at most one a line, the same lines for the same seed.

Which lines get a fault follows from a permutation of their numbers, so a count is an exact share of the lines, rounded
down, and not the outcome of a draw.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lake.contract import Category
from lake.engine import Session, literal, quote

LAG = 7  # lines between a line and its repetition


@dataclass(frozen=True)
class Fault:
    """One kind of fault: `per_thousand` of the lines have `value` in the place of `column` (None: nothing at all).

    Without a column the whole line comes again some lines further down.
    """

    name: str
    category: Category
    per_thousand: int
    column: str | None = None
    value: str | None = None


@dataclass(frozen=True)
class DemoTable:
    """The deliveries of one source: `select` gives its faultless rows, whole and in order, from integers and md5 alone.

    `file` is the name of the delivery below the inbox; its ending says the format.
    """

    source: str
    file: str
    select: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Planted:
    """What was delivered, known from how it was made: lines, lines by fault, and good lines, each record once."""

    source: str
    path: Path
    line_count: int
    by_fault: Mapping[str, int]
    by_category: Mapping[Category, int]

    @property
    def good_count(self) -> int:
        """How many records are to land."""
        return self.line_count - sum(self.by_fault.values())


def plant(session: Session, table: DemoTable, folder: Path, *, seed: int) -> Planted:
    """Writes one delivery and says exactly which faults it holds.

    The faultless rows stay in the session as table `demo_<source>` with a column `_fault` (`none`, or its name), so
    that sums over the good ones can be told without reading what was written.
    """
    name = f"demo_{table.source}"
    session.execute(f"create or replace temp table {name} as select *, '' as _fault from ({table.select}) limit 0")
    row_count = int(session.value(f"select count(*) from ({table.select})"))
    counts = {fault.name: row_count * fault.per_thousand // 1000 for fault in table.faults}
    session.execute(
        f"""
        create or replace temp table {name} as
        select * exclude (_spot), {_fault_of(counts)} as _fault
        from (select *, {_spot(row_count, seed)} as _spot from (select *, row_number() over () - 1 as _line
            from ({table.select})))
        """
    )
    path = folder / table.file
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(session, table, name, path)
    repeats = sum(counts[fault.name] for fault in table.faults if fault.column is None)
    categories: dict[Category, int] = {}
    for fault in table.faults:
        categories[fault.category] = categories.get(fault.category, 0) + counts[fault.name]
    return Planted(table.source, path, row_count + repeats, counts, categories)


def plant_all(session: Session, tables: Sequence[DemoTable], folder: Path, *, seed: int) -> tuple[Planted, ...]:
    """Writes the deliveries of several sources; each may read the tables `demo_<source>` of those before it."""
    return tuple(plant(session, table, folder, seed=seed) for table in tables)


def _spot(row_count: int, seed: int) -> str:
    """Gives SQL for a permutation of the line numbers that follows from the seed."""
    chance = random.Random(seed)
    multiplier = 1
    while row_count > 2 and (multiplier == 1 or math.gcd(multiplier, row_count) != 1):
        multiplier = chance.randrange(row_count // 5 + 1, row_count)
    return f"(_line * {multiplier} + {chance.randrange(max(row_count, 1))}) % {max(row_count, 1)}"


def _fault_of(counts: Mapping[str, int]) -> str:
    whens, end = [], 0
    for name, count in counts.items():
        end += count
        whens.append(f"when _spot < {end} then {literal(name)}")
    return f"case {' '.join(whens)} else 'none' end" if whens else "'none'"


def _write(session: Session, table: DemoTable, name: str, path: Path) -> None:
    columns = [row[0] for row in session.rows(f"describe (select * exclude (_line, _fault) from {name})")]
    texts = ", ".join(f"{_text_of(column, table.faults)} as {quote(column)}" for column in columns)
    repeated = ", ".join(literal(fault.name) for fault in table.faults if fault.column is None) or "''"
    form: Literal["csv", "json", "parquet"] = "csv" if path.suffix == ".csv" else "json"
    form = "parquet" if path.suffix == ".parquet" else form
    session.execute(
        f"""
        copy (
            select {", ".join(quote(column) for column in columns)} from (
                select {texts}, _line * 2 as _place from {name}
                union all
                select {texts}, (_line + {LAG}) * 2 + 1 as _place from {name} where _fault in ({repeated})
            ) order by _place
        ) to {literal(str(path))} (format {form}{", header" if form == "csv" else ""})
        """
    )


def _text_of(column: str, faults: Sequence[Fault]) -> str:
    whens = "".join(
        f" when {literal(fault.name)} then {'null' if fault.value is None else literal(fault.value)}"
        for fault in faults
        if fault.column == column
    )
    plain = f"cast({quote(column)} as varchar)"
    return f"case _fault{whens} else {plain} end" if whens else plain
