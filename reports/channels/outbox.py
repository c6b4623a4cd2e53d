"""The outbox: each mail becomes an `.eml` file that any mail client opens."""

import os
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lake.errors import DeliveryError
from reports.channels.channel import Message
from reports.channels.mail import write_mail

LONGEST_STEM = 60  # characters of the subject; file systems take 255 bytes in all
WROTE = re.compile(r"Wrote (?P<path>.+\.eml)\.", re.DOTALL)


@dataclass(frozen=True)
class Outbox:
    """A folder in the place of a mail server; `sender` is who the mails are from."""

    folder: Path
    sender: str

    def send(self, message: Message) -> str:
        """Writes the mail whole or not at all; the same message again replaces its file."""
        content = write_mail(message, self.sender).as_bytes()
        path = self.folder / f"{_stem(message.subject)}-{message.delivery_key}.eml"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_whole(path, content)
        except OSError as error:
            raise DeliveryError(
                "outbox-unwritable",
                f"The outbox cannot be written: {error.strerror}.",
                cure="Make the folder writable, or set SLUICE_OUTPUT_DIR.",
                path=self.folder,
            ) from error
        return f"Wrote {path}."


def fold_written(said: Sequence[str]) -> list[str]:
    """Gives what channels said of mails, but those written to one folder as a single line at the place of the first.

    A mail that is alone in its folder keeps its own words.
    """
    found = [WROTE.fullmatch(words) for words in said]
    folders = [None if match is None else Path(match["path"]).parent for match in found]
    counts = Counter(folders)
    lines: list[str] = []
    for folder, words in zip(folders, said, strict=True):
        if folder is None or counts[folder] == 1:
            lines.append(f"mail: {words}")
        elif (line := f"{counts[folder]:,} mails: {folder}") not in lines:
            lines.append(line)
    return lines


def _stem(subject: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", subject.lower())[:LONGEST_STEM].strip("-")
    return words or "mail"


def _write_whole(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        part = Path(file.name)
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
