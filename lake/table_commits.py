"""What a commit of ours carries beside files: our metadata, a transaction, and how Delta behaves about it."""

from collections.abc import Mapping
from typing import Any

from deltalake import CommitProperties, PostCommitHookProperties, Transaction

from lake.table_versions import Commit

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


def commit_of(entry: Mapping[str, Any]) -> Commit:
    """Gives an entry of a table's history, with the metadata we wrote."""
    return Commit(int(entry["version"]), int(entry.get("timestamp", 0)), without_prefix(entry))


def own_names(values: Mapping[str, str]) -> dict[str, str]:
    """Gives metadata or properties under the names they have in the log."""
    return {f"{PREFIX}{key}": value for key, value in values.items()}


def without_prefix(found: Mapping[str, Any]) -> dict[str, str]:
    """Gives those of a log's metadata or properties that are ours, under our names."""
    ours = {key: str(value) for key, value in found.items() if key.startswith(PREFIX)}
    return {key.removeprefix(PREFIX): value for key, value in ours.items()}
