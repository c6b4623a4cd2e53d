"""Where finished files are handed over to others: a folder, or a prefix of a bucket."""

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lake.objects import Objects, is_object_uri
from lake.table_versions import Store


class Handover(Protocol):
    """A place that takes finished files."""

    def put(self, key: str, file: Path) -> str:
        """Puts a copy of a file there, whole or not at all, over what there was; gives where it is."""
        ...


def open_handover(store: Store) -> Handover:
    """Gives the place a store is at."""
    if is_object_uri(store.uri):
        return BucketHandover(Objects(store.uri, store.options))
    return FolderHandover(Path(store.uri))


@dataclass(frozen=True)
class FolderHandover:
    """A folder: a reader finds the old file or the new one, since the copy is put into its place by renaming."""

    folder: Path

    def put(self, key: str, file: Path) -> str:
        """Raises OSError when the folder cannot be written; then what was there stays."""
        target = self.folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
        try:
            with file.open("rb") as source, part.open("wb") as copy:
                shutil.copyfileobj(source, copy)
                copy.flush()
                os.fsync(copy.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return str(target)


@dataclass(frozen=True)
class BucketHandover:
    """A prefix of a bucket, which shows an object when all of it has arrived."""

    objects: Objects

    def put(self, key: str, file: Path) -> str:
        """Raises TableError when the store does not take it."""
        self.objects.put(key, file)
        return f"{self.objects.uri.rstrip('/')}/{key}"
