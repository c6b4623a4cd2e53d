"""Writing where room may run out: a full disk is the operator's to mend, never the provider's."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lake.errors import SettingsError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
IN_WORDS = re.compile(r"\(os error (\d+)\)")  # Polars tells the number so, and nowhere else


@contextmanager
def room_to_write(folder: Path) -> Iterator[None]:
    """Raises SettingsError when a disk or quota is full while the block writes into a folder."""
    try:
        yield
    except OSError as error:
        if is_no_room(error):
            raise disk_full(folder) from error
        raise


def is_no_room(error: BaseException) -> bool:
    """Says whether an error of the operating system means that nothing more can be written."""
    if not isinstance(error, OSError):
        return False
    told = IN_WORDS.search(str(error)) if error.errno is None else None
    return (error.errno if told is None else int(told[1])) in NO_ROOM


def disk_full(folder: Path) -> SettingsError:
    """Gives the error of a folder into which nothing more can be written."""
    return SettingsError(
        "disk-full",
        f"There is no room left to write in '{folder}'.",
        cure="Make room, or name a larger disk by LAKE_URI, SLUICE_OUTPUT_DIR or SLUICE_SPILL_DIR; then run again, "
        "nothing was lost.",
    )
