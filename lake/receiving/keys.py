"""Keys of those who may post: made here, kept as digests in one file outside the lake, each for some sources.

A key is 256 random bits that no person chose, so a plain SHA-256 keeps it: there is nothing to guess that a slow hash
(scrypt, argon2) would have to protect, and one of those for every request would cost more than all the rest of it.
The file is named in the settings, readable by its owner alone, and replaced as a whole.
"""

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from lake.errors import SettingsError

PREFIX = "sluice"
ID_BYTES, SECRET_BYTES = 4, 32
TOKEN = re.compile(rf"{PREFIX}_([0-9a-f]{{{2 * ID_BYTES}}})_[A-Za-z0-9_-]{{43}}")
EVERY_SOURCE = "*"
OTHERS_MAY = 0o077  # the bits of a file's mode that let others in
OWNER_FOLDER = 0o700


@dataclass(frozen=True)
class Key:
    """One key: its public `id`, who has it, the digest of the whole key, and what it is for.

    `sources` holds names of sources, or `*` for all. Instants are ISO 8601 in UTC; None is never. The limits are those
    of the settings where they are None.
    """

    id: str
    name: str
    digest: str
    sources: tuple[str, ...]
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None
    requests_per_minute: int | None = None
    rows_per_minute: int | None = None

    def is_valid(self, now: datetime) -> bool:
        """Says whether the key opens anything at an instant."""
        expired = self.expires_at is not None and datetime.fromisoformat(self.expires_at) <= now
        return self.revoked_at is None and not expired

    def opens(self, source: str) -> bool:
        """Says whether the key is for a source."""
        return EVERY_SOURCE in self.sources or source in self.sources


def make_key(
    name: str,
    sources: Sequence[str],
    now: datetime,
    *,
    expires_at: datetime | None = None,
    requests_per_minute: int | None = None,
    rows_per_minute: int | None = None,
) -> tuple[str, Key]:
    """Gives a new key as its owner writes it, which is kept nowhere, and what is kept of it."""
    id_ = secrets.token_hex(ID_BYTES)
    token = f"{PREFIX}_{id_}_{secrets.token_urlsafe(SECRET_BYTES)}"
    expiry = None if expires_at is None else expires_at.isoformat()
    key = Key(
        id_,
        name,
        digest_of(token),
        tuple(sources),
        now.isoformat(),
        expiry,
        requests_per_minute=requests_per_minute,
        rows_per_minute=rows_per_minute,
    )
    return token, key


def digest_of(token: str) -> str:
    """Gives what is kept of a key."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_keys(path: Path) -> tuple[Key, ...]:
    """Gives the kept keys, none where there is no file; raises SettingsError for a file that others may read."""
    try:
        with path.open("rb") as file:
            mode, text = os.fstat(file.fileno()).st_mode, file.read()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if mode & OTHERS_MAY:
        raise SettingsError(
            "keys-exposed",
            f"The keys' file '{path}' is open to others (mode {mode & 0o777:o}).",
            cure=f"Run: chmod 600 '{path}'.",
        )
    try:
        return tuple(_key_of(entry) for entry in _list_of(json.loads(text)))
    except (ValueError, TypeError, KeyError) as error:
        raise _unreadable(path, "it is no list of keys") from error


def _list_of(entries: Any) -> list[dict[str, Any]]:
    if not isinstance(entries, list):
        raise TypeError("no list")
    return entries


def _key_of(entry: dict[str, Any]) -> Key:
    """Gives a kept key; raises what is no key in one of the ways that whoever reads the file expects."""
    key = Key(**(entry | {"sources": tuple(_list_of(entry["sources"]))}))
    if key.expires_at is not None and datetime.fromisoformat(key.expires_at).tzinfo is None:
        raise ValueError("an instant without its offset")
    return key


def _unreadable(path: Path, why: str) -> SettingsError:
    return SettingsError(
        "keys-unreadable",
        f"The keys' file '{path}' cannot be read: {why}.",
        cure="Restore it, or move it away and make new keys: sluice key new.",
    )


def add_key(path: Path, key: Key) -> None:
    """Keeps a key beside the others; raises SettingsError when a valid one has its name."""
    with _changing(path) as keys:
        if any(each.name == key.name and each.revoked_at is None for each in keys):
            raise SettingsError(
                "key-name-taken",
                f"There is a key '{key.name}' already.",
                cure=f"Choose another name, or revoke it: sluice key revoke {key.name}.",
            )
        keys.append(key)


def revoke_key(path: Path, name: str, now: datetime) -> Key:
    """Ends a key, by its name or id, and gives it; raises SettingsError when there is none that is not ended."""
    with _changing(path) as keys:
        for place, key in enumerate(keys):
            if name in (key.name, key.id) and key.revoked_at is None:
                keys[place] = replace(key, revoked_at=now.isoformat())
                return keys[place]
    raise SettingsError("key-unknown", f"There is no key '{name}'.", cure="See: sluice key list.")


@contextmanager
def _changing(path: Path) -> Iterator[list[Key]]:
    """Gives the keys to be changed, alone, and replaces the file when the block is left without an error."""
    path.parent.mkdir(mode=OWNER_FOLDER, parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = list(read_keys(path))
        before = list(keys)
        yield keys
        if keys != before:
            _replace(path, json.dumps([asdict(key) for key in keys], indent=1).encode())


def _replace(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:  # made with mode 600
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


class KeyRing:
    """The keys of a file as they are now: it is read again when it has changed. Several threads may use one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._state: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def __len__(self) -> int:
        return len(self._current())

    def find(self, token: str, now: datetime) -> Key | None:
        """Gives the valid key that a caller has shown, None when it is none."""
        told = TOKEN.fullmatch(token)
        key = None if told is None else self._current().get(told[1])
        shown = digest_of(token)
        is_same = hmac.compare_digest(shown, shown if key is None else key.digest)
        return key if key is not None and is_same and key.is_valid(now) else None

    def named(self, id_: str, now: datetime) -> Key | None:
        """Gives the key of an id, while it is valid."""
        key = self._current().get(id_)
        return key if key is not None and key.is_valid(now) else None

    def _current(self) -> dict[str, Key]:
        state = _state_of(self._path)
        with self._lock:
            if state != self._state:
                self._keys = {key.id: key for key in read_keys(self._path)}
                self._state = state
            return self._keys


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ctime_ns, found.st_size, found.st_ino
