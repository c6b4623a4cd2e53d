"""Writing into the spool: files for this user alone, and faults of the disk told in words for the operator."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lake.disk import disk_full, is_no_room
from lake.errors import SettingsError

PRIVATE = 0o600  # what was posted may be anybody's secret


@contextmanager
def writing_spool(spool: Path) -> Iterator[None]:
    """Raises SettingsError when the disk does not take what the block writes into the spool."""
    try:
        yield
    except OSError as error:
        raise spool_failure(spool, error) from error


def spool_failure(spool: Path, error: OSError) -> SettingsError:
    """Gives an error of the disk in words for the operator."""
    if is_no_room(error):
        return disk_full(spool)
    return SettingsError(
        "spool-unwritable",
        f"The spool '{spool}' cannot be written: {error.strerror}.",
        cure="Let Sluice write there, or mend SLUICE_SPOOL_DIR; what was answered before is kept.",
    )


def open_private(path: Path) -> BinaryIO:
    """Opens a file anew for writing, which no other user may read, whatever the umask."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE), "wb")
