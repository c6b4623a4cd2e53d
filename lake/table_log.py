"""A table's log, entry by entry: what a commit of a known version says of itself.

Delta's library tells a history too, but newest first, as many as were asked for, numbered down from the newest there
is at that moment: when somebody commits meanwhile, the oldest is left out and the others bear wrong numbers. An entry's
file has its version for a name.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lake.objects import Objects, is_object_uri
from lake.table_commits import commit_of
from lake.table_versions import Commit, Store


def log_entries(store: Store, name: str, versions: range) -> Iterator[Commit]:
    """Gives the commits of some versions of a table, in order; an entry that was cleaned away, as Delta allows of those
    behind a checkpoint, is left out."""
    for version in versions:
        try:
            text = _read_entry(store, name, version)
        except FileNotFoundError:
            continue
        yield commit_of(version, _commit_info(text))


def _read_entry(store: Store, name: str, version: int) -> bytes:
    key = f"_delta_log/{version:020}.json"
    uri = store.table_uri(name)
    if is_object_uri(uri):
        return b"".join(Objects(uri, store.options).chunks(key))
    return (Path(uri) / key).read_bytes()


def _commit_info(text: bytes) -> dict[str, Any]:
    """Gives what an entry says of itself; its other lines are the files that it adds and removes."""
    lines = (line for line in text.splitlines() if line.lstrip().startswith(b'{"commitInfo"'))
    info: dict[str, Any] = json.loads(next(lines, b'{"commitInfo": {}}'))["commitInfo"]
    return info
