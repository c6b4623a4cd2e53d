"""The edge to object stores: S3 and what speaks like it, Google Cloud Storage, Azure. Keys are relative to a prefix."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
CONNECT_SECONDS, ANSWER_SECONDS = 5, 60  # an answer is one request with its body, and a part of an upload is 5 MB
RETRIES = 3  # of requests that a store may repeat its answer to; waiting grows from a tenth of a second
RETRY_SECONDS = 20  # no retry begins after these
COLOURS = re.compile(r"\x1b\[\d*m")
LONGEST_COMPLAINT = 400  # characters
NO_BUCKET = ("NoSuchBucket", "The specified bucket does not exist")
NOT_ALLOWED = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AccessDenied",
    "ExpiredToken",
    "InvalidToken",
    "403 Forb",
)


@dataclass(frozen=True)
class ObjectState:
    """One object of a listing: its key below the prefix, size in bytes, the store's mark of its content, its age."""

    key: str
    byte_count: int
    tag: str
    changed_at: datetime


@dataclass(frozen=True)
class Objects:
    """A prefix of a bucket. `options` are the store's, in the spelling of delta-rs: `aws_region`, `aws_endpoint`…

    `answer_seconds` is how long one request may take, with what it carries.
    """

    uri: str
    options: Mapping[str, str] = field(repr=False)
    answer_seconds: float = ANSWER_SECONDS

    def list(self, below: str = "") -> Iterator[ObjectState]:
        """Gives the objects below a key prefix, in the order of their keys."""
        with self._translated(below):
            for chunk in obstore.list(self._store, below or None):
                for found in chunk:
                    yield ObjectState(found["path"], found["size"], _tag(found), found["last_modified"])

    def has(self, key: str) -> bool:
        """Says whether there is such an object."""
        with self._translated(key):
            try:
                obstore.head(self._store, key)
            except FileNotFoundError:
                return False
            return True

    def put(self, key: str, content: bytes | Path | Iterable[bytes]) -> None:
        """Writes an object, whole or not at all, over what is there; an error in drawing its pieces leaves none.

        Pieces must not be drawn from a store: the library cannot ask one while it waits for them.
        """
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
        """Gives a small object's bytes piece by piece, in one answer; raises FileNotFoundError when there is none."""
        with self._translated(key):
            for chunk in obstore.get(self._store, key).stream(CHUNK_BYTES):
                yield bytes(chunk)

    def tag(self, key: str) -> str | None:
        """Gives the store's mark of an object's content, None when there is no such object."""
        with self._translated(key):
            try:
                return _tag(obstore.head(self._store, key))
            except FileNotFoundError:
                return None

    def download(self, key: str, target: Path) -> str | None:
        """Brings an object of any size into a file, part by part, and gives its tag.

        All parts are of one version: None when the object was replaced meanwhile. Raises FileNotFoundError without any.
        """
        with self._translated(key), target.open("wb") as out:
            found = obstore.head(self._store, key)
            same: Any = {"if_match": found["e_tag"]} if found["e_tag"] else {}
            for start in range(0, found["size"], CHUNK_BYTES):
                part: Any = {"range": (start, min(start + CHUNK_BYTES, found["size"])), **same}
                try:
                    result = obstore.get(self._store, key, options=part)
                except PreconditionError:
                    return None
                if _tag(result.meta) != _tag(found):
                    return None
                out.write(result.bytes())
        return _tag(found)

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
            client: Any = {
                "allow_http": allow_http,
                "connect_timeout": timedelta(seconds=min(CONNECT_SECONDS, self.answer_seconds)),
                "timeout": timedelta(seconds=self.answer_seconds),
            }
            retrying = timedelta(seconds=min(RETRY_SECONDS, self.answer_seconds))
            retries: Any = {"max_retries": RETRIES, "retry_timeout": retrying}
            return from_url(self.uri, config=config, client_options=client, retry_config=retries)

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """Turns the library's exceptions into ours, in one place; a missing object stays a FileNotFoundError."""
        try:
            yield
        except FileNotFoundError as error:
            if any(word in str(error) for word in NO_BUCKET):
                raise store_error(self.uri, error) from error
            raise
        except (BaseError, PermissionError) as error:
            raise store_error(f"{self.uri.rstrip('/')}/{key}", error) from error


def is_object_uri(uri: str) -> bool:
    """Says whether a place is in an object store, not a folder."""
    return uri.split("://", 1)[0] in STORE_SCHEMES if "://" in uri else False


def patient(options: Mapping[str, str]) -> dict[str, str] | None:
    """Gives a store's options with how long to wait for it, in the spelling of delta-rs; None when there are none."""
    if not options:
        return None
    waiting = {"connect_timeout": CONNECT_SECONDS, "timeout": ANSWER_SECONDS, "retry_timeout": RETRY_SECONDS}
    return {name: f"{value}s" for name, value in waiting.items()} | {"max_retries": str(RETRIES)} | dict(options)


def store_error(place: str, error: Exception) -> TableError:
    """Gives what a library's complaint about a store means to a person; whoever translates, the words are the same."""
    text = str(error)
    if any(word in text for word in NO_BUCKET):
        return TableError(
            "store-bucket-missing",
            f"There is no bucket for {place}.",
            cure="Make the bucket, or mend its name; Sluice makes none.",
        )
    if any(word in text for word in NOT_ALLOWED):
        return TableError(
            "store-refused",
            f"The object store refuses these credentials for {place}.",
            cure="Check the keys, their expiry, and that they may list, read, write and delete there.",
        )
    return TableError(
        "store-unreachable",
        f"The object store did not answer as it should for {place}: {_in_one_line(text)}",
        cure="Check the endpoint and the network; then run again, nothing was lost.",
    )


def _tag(found: Any) -> str:
    """Gives the store's mark of an object's content; where it has none, the moment of its change."""
    return str(found["e_tag"] or found["last_modified"].isoformat()).strip('"')


def _in_one_line(text: str) -> str:
    """Gives the head of a complaint: what follows is how the library came by it."""
    head = re.split(r"\n\s*\n|Debug source:", COLOURS.sub("", text).strip())[0]
    line = " ".join(head.replace("↳", ":").split())
    return line if len(line) <= LONGEST_COMPLAINT else f"{line[:LONGEST_COMPLAINT]}…"
