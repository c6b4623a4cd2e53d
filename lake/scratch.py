"""The folder of working files that a session has to itself; a killed one's is removed by the next run."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lake.alive import hold_file, take_over

PREFIX = "sluice-"
ALIVE = "alive.lock"  # in each such folder; what has none is none of ours


@dataclass(frozen=True)
class Scratch:
    """A folder that is this process's as long as `alive` is held."""

    folder: Path
    alive: BinaryIO

    def remove(self) -> None:
        """Removes the folder with all there is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.alive.close()

    def clear(self) -> None:
        """Removes the working files that lie in the folder itself."""
        for file in self.folder.iterdir():
            if file.is_file() and file.name != ALIVE:
                file.unlink()


def take_scratch(place: Path | None) -> Scratch:
    """Makes a new folder of working files in a place (None: the system's temporary folder)."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    return Scratch(folder, hold_file(folder / ALIVE))


def remove_abandoned(place: Path | None) -> None:
    """Removes the folders that processes of this user have left in a place when they were killed."""
    for path in Path(place or tempfile.gettempdir()).glob(f"{PREFIX}*/{ALIVE}"):
        alive = take_over(path)
        if alive is not None and os.fstat(alive.fileno()).st_uid == os.getuid():
            Scratch(path.parent, alive).remove()
        elif alive is not None:
            alive.close()
