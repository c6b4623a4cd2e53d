"""Where archived bytes lie: a folder, or keys of a bucket. Both take compressed bytes by their digest."""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from lake.objects import Objects, is_object_uri
from lake.table_versions import Store

ARCHIVE = "_archive"
PART = ".part"  # the ending of what is not yet whole


class ArchivePlace(Protocol):
    """A place that takes compressed bytes by the digest of what they were before, and gives them back."""

    def has(self, digest: str) -> bool:
        """Says whether the bytes of a digest are there."""
        ...

    def put(self, digest: str, packed: Iterable[bytes]) -> None:
        """Writes bytes durably, whole or, when drawing them raises, not at all."""
        ...

    def packed(self, digest: str, scratch: Path) -> Path:
        """Gives a local file of the bytes, brought into a folder if need be; raises FileNotFoundError without any."""
        ...

    def forget_torn(self, before: datetime) -> int:
        """Deletes what processes that died before an instant had written of bytes, not whole; gives how many."""
        ...


def open_archive(store: Store) -> ArchivePlace:
    """Gives the archive of a lake."""
    if is_object_uri(store.uri):
        return BucketArchive(Objects(store.uri, store.options))
    return FolderArchive(Path(store.uri))


def archive_key(digest: str) -> str:
    """Gives where the bytes of a digest are kept, below the lake."""
    return f"{ARCHIVE}/{digest[:2]}/{digest}.zst"


@dataclass(frozen=True)
class FolderArchive:
    """The archive of a lake in a folder."""

    lake: Path

    def has(self, digest: str) -> bool:
        return (self.lake / archive_key(digest)).exists()

    def put(self, digest: str, packed: Iterable[bytes]) -> None:
        target = self.lake / archive_key(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{secrets.token_hex(8)}{PART}")
        try:
            with part.open("wb") as out:
                out.writelines(packed)
                out.flush()
                os.fsync(out.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        part.replace(target)

    def packed(self, digest: str, scratch: Path) -> Path:  # noqa: ARG002 - nothing has to be brought here
        source = self.lake / archive_key(digest)
        if not source.exists():
            raise FileNotFoundError(source)
        return source

    def forget_torn(self, before: datetime) -> int:
        count = 0
        for path in (self.lake / ARCHIVE).glob(f"*/*{PART}"):
            with suppress(FileNotFoundError):  # its writer is alive, and done
                if path.stat().st_mtime < before.timestamp():
                    path.unlink()
                    count += 1
        return count


@dataclass(frozen=True)
class BucketArchive:
    """The archive of a lake in an object store; a store shows an object when all of it has arrived."""

    objects: Objects

    def has(self, digest: str) -> bool:
        return self.objects.has(archive_key(digest))

    def put(self, digest: str, packed: Iterable[bytes]) -> None:
        self.objects.put(archive_key(digest), packed)

    def packed(self, digest: str, scratch: Path) -> Path:
        target = scratch / f"{digest}.zst"
        tag = self.objects.download(archive_key(digest), target)
        if tag is None:  # another run has put the same bytes there meanwhile
            tag = self.objects.download(archive_key(digest), target)
        if tag is None:
            raise FileNotFoundError(digest)
        return target

    def forget_torn(self, before: datetime) -> int:  # noqa: ARG002 - the store forgets them by itself
        return 0
