"""Committing candidates after all gates have passed, one commit for each table that has changed, and naming them."""

import json
from collections.abc import Mapping, Sequence
from typing import Literal

from lake.releases import ReleasedTable
from lake.table_versions import DataFile, Store
from lake.tables import commit_files, read_version, restore_version
from sql.build import Candidate
from sql.inputs import Standing

GRAIN = "one row per "


def commit_candidate(store: Store, candidate: Candidate, versions: Mapping[str, int], *, run_id: str) -> int | None:
    """Commits one candidate and gives the version to release; None for a view.

    Takes the versions committed in this run so far, by table. A head that ran ahead of the release (a run that crashed
    between commit and release) is restored first. Raises CommitConflict when another writer was faster.
    """
    if candidate.decision in ("view", "unchanged"):
        return candidate.base_version
    replace: Literal["everything"] | Sequence[DataFile] = (
        "everything" if candidate.decision == "whole" else candidate.replaced_files
    )
    metadata = {
        "run_id": run_id,
        "code_digest": candidate.code_digest,
        "inputs": json.dumps(consumed_versions(candidate, versions), sort_keys=True),
    }
    expected = _start(store, candidate)
    return commit_files(
        store, candidate.name, candidate.staged, expected_version=expected, replace=replace, metadata=metadata
    )


def consumed_versions(candidate: Candidate, versions: Mapping[str, int]) -> dict[str, int]:
    """Gives the version of every table a candidate read; takes the versions committed in this run."""
    return {**candidate.inputs, **{name: versions[name] for name in candidate.pending}}


def released_table(candidate: Candidate, versions: Mapping[str, int]) -> ReleasedTable:
    """Gives what a release says of a candidate; takes the versions committed in this run, its own among them."""
    return ReleasedTable(
        name=candidate.name,
        kind=candidate.kind,
        version=versions.get(candidate.name, candidate.base_version),
        row_count=candidate.row_count,
        sql=candidate.sql if candidate.kind == "view" else None,
        columns=candidate.columns,
        inputs=consumed_versions(candidate, versions),
        code_digest=candidate.code_digest,
        partition=candidate.model.header.partition,
        key=_key_of(candidate),
    )


def released_inputs(tables: Mapping[str, Standing]) -> list[ReleasedTable]:
    """Gives what a release says of the raw and reference tables a run has read."""
    return [
        ReleasedTable(
            name, "table", table.version, sum(file.row_count for file in table.files), None, table.columns, {}, ""
        )
        for name, table in tables.items()
        if table.version is not None and name.startswith(("raw.", "reference."))
    ]


def _key_of(candidate: Candidate) -> tuple[str, ...]:
    """Gives the columns of a grain such as "one row per sold_on, region"; none when it is said in other words."""
    grain = candidate.model.header.grain.removeprefix(GRAIN).replace(" and ", ", ")
    named = tuple(part.strip().lower() for part in grain.split(","))
    return named if {*named} <= {name for name, _ in candidate.columns} else ()


def _start(store: Store, candidate: Candidate) -> int | None:
    """Gives the version to commit upon, after taking back what ran ahead of the release."""
    head = read_version(store, candidate.name)
    if head is None or candidate.base_version is None or head.version == candidate.base_version:
        return None if head is None else head.version
    return restore_version(store, candidate.name, candidate.base_version)
