"""Uploaded files, as they come in: written to disk piece by piece, seen by a landing once they are whole.

Each lies in a folder named by its receipt, which is hidden until the file is on disk.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath, PureWindowsPath

from lake.errors import SourceError
from lake.receiving.claims import take_key
from lake.receiving.register import Claim, Register
from lake.receiving.segments import FILES, make_folder, name_segment, sync_folder
from lake.receiving.spool import Kept
from lake.receiving.writing import open_private, writing_spool
from lake.run import Clock
from lake.sources.archives import is_archive
from lake.sources.naming import format_of

LONGEST_NAME = 120  # bytes
FORGOTTEN_AFTER = timedelta(days=1)  # what a crash left half received


class IncomingFile:
    """One upload of a source while it is received; `size` bytes so far."""

    def __init__(self, spool: Path, source: str, name: str, most_bytes: int, clock: Clock) -> None:
        """Begins a file; raises SourceError for a name that tells no format."""
        self.name, self.size, self._clock = safe_name(name), 0, clock
        self._spool, self._source, self._most_bytes = spool, source, most_bytes
        self.receipt = f"{name_segment(clock())}-0"
        self._folder = spool / source / FILES
        self._digest = hashlib.sha256()
        self._hidden = self._folder / f".{self.receipt}"
        with writing_spool(spool):
            make_folder(self._folder)
            self._hidden.mkdir()
            self._file = open_private(self._hidden / self.name)
            fcntl.flock(self._file, fcntl.LOCK_EX)  # as long as it is received, however long that takes

    def write(self, data: bytes) -> None:
        """Adds bytes; raises SourceError beyond the limit, SettingsError when the disk does not take them."""
        self.size += len(data)
        if self.size > self._most_bytes:
            raise SourceError(
                "file-too-large",
                f"The file '{self.name}' is larger than the {self._most_bytes:,} bytes that are taken.",
                cure="Send it compressed or in parts; or raise `maxFileBytes` of the server in the contract.",
            )
        self._digest.update(data)
        with writing_spool(self._spool):
            self._file.write(data)

    def finish(self, register: Register, key: str) -> Kept:
        """Waits until the disk has the file, and shows it to landings; a key with the same file brings it once.

        Raises SettingsError when the disk does not take it, and SourceError for a key that came with another file.
        """
        with writing_spool(self._spool):
            self._file.flush()
            os.fsync(self._file.fileno())
            sync_folder(self._hidden)
        with writing_spool(self._spool), register.together():
            claim = Claim(self._digest.hexdigest(), self.receipt)
            now = self._clock().isoformat()
            before = take_key(register, self._spool, self._source, key, claim, now) if key else None
            if before is None:
                self._hidden.rename(self._folder / self.receipt)
                self._file.close()
                sync_folder(self._folder)
        if before is not None:
            self.drop()
        return Kept(before or self.receipt, is_repeat=before is not None)

    def drop(self) -> None:
        """Forgets what was received of it; nothing is left."""
        with suppress(OSError):  # a full disk does not take the rest of it
            self._file.close()
        shutil.rmtree(self._hidden, ignore_errors=True)


def safe_name(name: str) -> str:
    """Gives a file's name without any folder; raises SourceError for one that tells no format."""
    last = PurePosixPath(PureWindowsPath(name).as_posix()).name.lstrip(".")
    printable = "".join(character if character.isprintable() else "_" for character in last)
    kept = printable.encode()[-LONGEST_NAME:].decode(errors="ignore")
    if format_of(Path(kept)) is None and not is_archive(Path(kept)):
        raise SourceError(
            "file-format-unknown",
            f"The name of the file '{kept}' tells no format that can be read.",
            cure="Send csv, tsv, json, jsonl, parquet or xlsx, plain, compressed, or in a zip or tar, named so.",
        )
    return kept


def whole_files(spool: Path, source: str) -> Iterator[Path]:
    """Gives the folders of the uploads of a source that wait to be landed, oldest first."""
    yield from sorted(path for path in (spool / source / FILES).glob("[!.]*") if path.is_dir())


def all_files(spool: Path) -> Iterator[tuple[str, Path]]:
    """Gives every upload that waits, with its source."""
    for path in spool.glob(f"*/{FILES}/[!.]*/*"):
        yield path.parent.parent.parent.name, path


def sweep_incoming(spool: Path, source: str, now: datetime) -> None:
    """Removes what a crash left half received, long ago; what is being received just now stays."""
    for path in (spool / source / FILES).glob(".*"):
        with suppress(FileNotFoundError):  # one may come to its end while we look
            if path.stat().st_mtime < (now - FORGOTTEN_AFTER).timestamp() and not _is_growing(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_growing(folder: Path) -> bool:
    """Says whether a live process holds a file in the folder of an upload."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False
