"""What can go wrong, by who can fix it.

    SluiceError
    ├── SettingsError      the operator: an environment variable, `.env`, a path, a store
    ├── ContractError      the author of a contract
    ├── ModelError         the author of a model, check, page or alert rule
    ├── SourceError        the provider of the data: a file, an API, a database
    ├── TableError         the lake: a Delta table or the ledger is not as it must be
    │   └── CommitConflict another writer was faster; the same call may go through when repeated
    ├── GateFailed         the owner of the data: a check failed or could not be evaluated
    └── DeliveryError      the channel: mail server, web hook

The command line prints the message and exits non-zero; anything else that is raised is a bug and keeps its traceback.
Every code is explained in `docs/messages.md`.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path


class SluiceError(Exception):
    """Something a person can mend: a code, one sentence, its place and its cure."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        cure: str = "",
        path: Path | str | None = None,
        line: int | None = None,
        **subject: object,
    ) -> None:
        """Takes a kebab-case code, a sentence quoting the value, what to do, and where it stands."""
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.cure = cure
        self.path = path
        self.line = line
        self.subject = subject

    def __str__(self) -> str:
        place = "" if self.path is None else f"{self.path}: " if self.line is None else f"{self.path}:{self.line}: "
        cure = f" {self.cure}" if self.cure else ""
        return f"{place}{self.message}{cure} [{self.code}]"


Broken = MutableMapping[Path, SluiceError]  # files of a project that cannot be used, and why


@contextmanager
def told_in(broken: Broken | None, path: Path) -> Iterator[None]:
    """Keeps what is wrong with a file for whoever may need it; with no place to keep it, it is raised."""
    try:
        yield
    except SluiceError as error:
        if broken is None:
            raise
        broken[path] = error


class SettingsError(SluiceError):
    """The operator can fix it: a setting, a path, a store."""


class ContractError(SluiceError):
    """The author of the contract can fix it."""


class ModelError(SluiceError):
    """The author of the model, check, page or alert rule can fix it."""


class SourceError(SluiceError):
    """The provider of the data can fix it."""


class TableError(SluiceError):
    """A table or the ledger of the lake is not as it must be."""


class CommitConflict(TableError):
    """Another writer committed first; repeating the same call may succeed."""


class GateFailed(SluiceError):
    """A check failed, or could not be evaluated, and what is downstream was stopped."""


class DeliveryError(SluiceError):
    """A channel did not take what was handed to it."""
