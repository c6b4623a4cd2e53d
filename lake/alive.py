"""Files that say their process is alive: locked as long as it lives, however it ends; no age and no id is asked."""

import fcntl
import os
from pathlib import Path
from typing import BinaryIO


def hold_file(path: Path) -> BinaryIO:
    """Makes a file that is locked before anybody sees it, until it is closed or its process has ended."""
    part = path.with_name(f".{path.name}.part")
    file = part.open("wb", buffering=0)
    fcntl.flock(file, fcntl.LOCK_EX)
    part.replace(path)
    return file


def take_over(path: Path) -> BinaryIO | None:
    """Locks a file whose process has ended; None when that lives, or another has taken it over and removed it."""
    try:
        file = path.open("rb")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    if os.fstat(file.fileno()).st_nlink == 0:
        file.close()
        return None
    return file
