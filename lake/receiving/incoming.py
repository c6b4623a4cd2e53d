"""Uploaded files, as they come in: written to disk piece by piece, seen by a landing once they are whole."""

from pathlib import Path

FILES = "files"


def uploads_folder(spool: Path, source: str) -> Path:
    """Gives where a source's uploaded files wait, each in a folder named by its receipt."""
    return spool / source / FILES
