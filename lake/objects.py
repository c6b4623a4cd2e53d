"""The edge to object stores: S3 and what speaks like it, Google Cloud Storage, Azure. Keys are relative to a prefix."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import from_url

from lake.errors import TableError

CHUNK_BYTES = 8 << 20
ALLOW_HTTP = "allow_http"  # delta-rs takes it for an option of the store, the other library for one of the client
STORE_SCHEMES = ("s3", "gs", "az", "abfss")


@dataclass(frozen=True)
class ObjectState:
    """One object of a listing: its key below the prefix, size in bytes, the store's mark of its content, its age."""

    key: str
    byte_count: int
    tag: str
    changed_at: datetime


@dataclass(frozen=True)
class Objects:
    """A prefix of a bucket. `options` are the store's, in the spelling of delta-rs: `aws_region`, `aws_endpoint`…"""

    uri: str
    options: Mapping[str, str]

    def list(self, below: str = "") -> Iterator[ObjectState]:
        """Gives the objects below a key prefix, in the order of their keys."""
        with self._translated(below):
            for chunk in obstore.list(self._store, below or None):
                for found in chunk:
                    tag = found["e_tag"] or found["last_modified"].isoformat()
                    yield ObjectState(found["path"], found["size"], tag.strip('"'), found["last_modified"])

    def has(self, key: str) -> bool:
        """Says whether there is such an object."""
        with self._translated(key):
            try:
                obstore.head(self._store, key)
            except FileNotFoundError:
                return False
            return True

    def put(self, key: str, content: bytes | Path | Iterable[bytes]) -> None:
        """Writes an object, whole or not at all, over what is there."""
        with self._translated(key):
            obstore.put(self._store, key, content)

    def create(self, key: str, content: bytes) -> bool:
        """Writes a small object unless there is one; of several writers one hears True."""
        with self._translated(key):
            try:
                obstore.put(self._store, key, content, mode="create", use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
            return True

    def chunks(self, key: str) -> Iterator[bytes]:
        """Gives an object's bytes piece by piece; raises FileNotFoundError when there is none."""
        with self._translated(key):
            for chunk in obstore.get(self._store, key).stream(CHUNK_BYTES):
                yield bytes(chunk)

    def fetch(self, key: str, target: Path) -> Path:
        """Brings an object into a file; raises FileNotFoundError when there is none."""
        with target.open("wb") as out:
            for chunk in self.chunks(key):
                out.write(chunk)
        return target

    def move(self, key: str, target: str) -> None:
        """Moves an object within the store: a copy, then a removal; a crash between the two leaves both."""
        with self._translated(key):
            obstore.copy(self._store, key, target)
            obstore.delete(self._store, key)

    def delete(self, key: str) -> None:
        """Removes an object, if there is one."""
        with self._translated(key):
            obstore.delete(self._store, key)

    @cached_property
    def _store(self) -> Any:
        with self._translated(""):
            config: Any = {key: value for key, value in self.options.items() if not key.endswith(ALLOW_HTTP)}
            allow_http = any(value == "true" for key, value in self.options.items() if key.endswith(ALLOW_HTTP))
            return from_url(self.uri, config=config, client_options={"allow_http": allow_http})

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """Turns the library's exceptions into ours, in one place; a missing object stays a FileNotFoundError."""
        try:
            yield
        except BaseError as error:
            raise TableError(
                "store-unreachable",
                f"The object store did not answer as it should for {self.uri.rstrip('/')}/{key}: {_first_line(error)}",
                cure="Check the bucket, the endpoint and the credentials; then run again, nothing was lost.",
            ) from error


def is_object_uri(uri: str) -> bool:
    """Says whether a place is in an object store, not a folder."""
    return uri.split("://", 1)[0] in STORE_SCHEMES if "://" in uri else False


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
