"""What a commit of ours carries: files, our metadata, a transaction, and how Delta behaves about it."""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.transaction import AddAction, RemoveAction

from lake.table_versions import Commit, DataFile, StagedFiles

OUR_TABLES = {
    "delta.enableExpiredLogCleanup": "false",  # else ledger and rollback die after 30 days
    "delta.logRetentionDuration": "interval 36500 days",  # a cleanup that somebody asks for heeds only this one
    "delta.checkpointInterval": "50",
}
HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
PREFIX = "sluice."  # of what is ours in commit metadata and table properties


def commit_marks(
    metadata: Mapping[str, str], transaction: str | None, transaction_version: int, *, retries: int
) -> CommitProperties:
    """Gives what a commit says of itself: metadata, and the transaction that it must not be made twice for."""
    return CommitProperties(
        custom_metadata=own_names(metadata),
        max_commit_retries=retries,
        app_transactions=None if transaction is None else [Transaction(transaction, transaction_version)],
    )


def commit_of(version: int, info: Mapping[str, Any]) -> Commit:
    """Gives a commit by what its entry of the log says of it, with the metadata we wrote."""
    return Commit(version, int(info.get("timestamp", 0)), without_prefix(info))


def own_names(values: Mapping[str, str]) -> dict[str, str]:
    """Gives metadata or properties under the names they have in the log."""
    return {f"{PREFIX}{key}": value for key, value in values.items()}


def without_prefix(found: Mapping[str, Any]) -> dict[str, str]:
    """Gives those of a log's metadata or properties that are ours, under our names."""
    ours = {key: str(value) for key, value in found.items() if key.startswith(PREFIX)}
    return {key.removeprefix(PREFIX): value for key, value in ours.items()}


def additions(staged: StagedFiles | None, table: DeltaTable) -> list[AddAction]:
    """Gives the entries that add staged files with rows to a table."""
    if staged is None:
        return []
    return [
        AddAction(
            _relative(file.path, table),
            file.byte_count,
            dict(file.partition_values),
            int(time.time() * 1000),
            True,
            statistics,
        )
        for file, statistics in zip(staged.files, staged.statistics, strict=True)
        if file.row_count
    ]


def removals(files: Sequence[DataFile], table: DeltaTable) -> list[RemoveAction]:
    """Gives the entries that take files out of a table."""
    return [
        RemoveAction(
            path=_relative(file.path, table),
            data_change=True,
            deletion_timestamp=int(time.time() * 1000),
            size=file.byte_count,
            partition_values=dict(file.partition_values),
        )
        for file in files
    ]


def _relative(path: str, table: DeltaTable) -> str:
    root = table.table_uri.removeprefix("file://").rstrip("/") + "/"
    return path.removeprefix(root) if path.startswith(root) else path.removeprefix(unquote(root))
