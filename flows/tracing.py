"""Lineage in a run: which column comes from which, written down, and no restricted one let through to a mart."""

from collections.abc import Mapping, Sequence

from flows.building import Ground
from flows.job import Job
from flows.planning import Plan
from lake.errors import ModelError
from sql.build import Candidate
from sql.inputs import Columns
from sql.lineage import ColumnEdge, column_lineage


def trace(job: Job, plan: Plan, ground: Ground, candidates: Sequence[Candidate]) -> None:
    """Notes every model's lineage; raises ModelError when a restricted column would reach a mart."""
    schemas: dict[str, Columns] = {name: table.columns for name, table in ground.bench.tables.items()}
    schemas |= {candidate.name: candidate.columns for candidate in candidates}
    restricted = {(table, column): f"{table}.{column}" for table, columns in plan.masked.items() for column in columns}
    for candidate in candidates:
        edges = column_lineage(candidate.model, schemas)
        told = [[edge.from_table, edge.from_column, edge.to_table, edge.to_column] for edge in edges]
        job.run.note("lineage-traced", candidate.name, len(edges), edges=told)
        restricted |= _carried(edges, restricted)
        _refuse_leak(candidate, restricted)


def _carried(edges: Sequence[ColumnEdge], restricted: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """Gives the columns that come from restricted ones, each with the raw column it shows."""
    return {
        (edge.to_table, edge.to_column): restricted[edge.from_table, edge.from_column]
        for edge in edges
        if (edge.from_table, edge.from_column) in restricted
    }


def _refuse_leak(candidate: Candidate, restricted: Mapping[tuple[str, str], str]) -> None:
    leaks = [(column, raw) for (table, column), raw in restricted.items() if table == candidate.name]
    if candidate.name.startswith("marts.") and leaks:
        column, raw = leaks[0]
        raise ModelError(
            "restricted-column-leaks",
            f"Column {column!r} of {candidate.name} comes from {raw}, which its contract restricts.",
            cure="Leave it out of the mart, or change the column's classification in the contract.",
            path=candidate.model.path,
            line=candidate.model.first_line,
        )
