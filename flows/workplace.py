"""What every command is told: which project, how loud, and where the log goes."""

import functools
import getpass
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lake.errors import SettingsError

if TYPE_CHECKING:
    from lake.project import Project
    from lake.run import Observer, Run
    from lake.settings import Settings


@dataclass(frozen=True)
class Workplace:
    """The project a command works in, and how it talks: `is_quiet` no progress, `logs_json` the log as JSON lines."""

    project: Path
    is_quiet: bool = False
    logs_json: bool = False

    @functools.cached_property
    def place(self) -> "Project":
        """The project's folders; raises SettingsError when the folder is no project."""
        from lake.project import open_project

        return open_project(self.project)

    @functools.cached_property
    def settings(self) -> "Settings":
        """The project's settings; raises SettingsError when one is wrong."""
        from lake.settings import Settings

        return Settings.read(self.place.root)

    def tell(self, line: str) -> None:
        """Says something that is no result, unless asked to be quiet."""
        if not self.is_quiet:
            click.echo(line, err=True)

    @contextmanager
    def watched(self) -> "Iterator[tuple[Observer, ...]]":
        """Gives who is told of a run's events: the log file, and the person at the screen."""
        from flows.progress import watched

        self._expect_writable()
        with watched(self.settings.output, is_quiet=self.is_quiet, logs_json=self.logs_json) as observers:
            yield observers

    def _expect_writable(self) -> None:
        """Raises SettingsError when the output's folder, or that of a local lake, cannot be made or written."""
        folders = [self.settings.output]
        if "://" not in self.settings.uri:
            folders.append(Path(self.settings.uri))
        for folder in folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except OSError as error:
                raise SettingsError(
                    "folder-unwritable",
                    f"The folder '{folder}' cannot be written: {error.strerror}.",
                    cure="Make it writable, or mend LAKE_URI or SLUICE_OUTPUT_DIR.",
                ) from error

    @contextmanager
    def begun(self) -> "Iterator[Run]":
        """Begins a run by the person at the keyboard."""
        from lake.run import begin_run

        with self.watched() as observers:
            yield begin_run(getpass.getuser(), observers=observers)


def in_project(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options every command has, and the workplace they describe as its first argument."""

    @click.option(
        "--project",
        type=click.Path(path_type=Path),
        help="The project folder; also SLUICE_PROJECT.  [default: this folder]",
    )
    @click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Print results and errors only.")
    @click.option("--log-json", "logs_json", is_flag=True, help="Log as JSON, one object per line.")
    @functools.wraps(command)
    def with_workplace(project: Path | None, is_quiet: bool, logs_json: bool, *args: Any, **kwargs: Any) -> Any:
        return command(Workplace(_folder(project or _named_before() or Path()), is_quiet, logs_json), *args, **kwargs)

    return with_workplace


def _named_before() -> Path | None:
    """Gives the folder of `sluice --project DIR command`; the command's own option comes first."""
    named = click.get_current_context().find_root().obj
    return named if isinstance(named, Path) else None


def _folder(project: Path) -> Path:
    if not project.is_dir():
        raise SettingsError(
            "project-missing",
            f"There is no project folder {str(project)!r}.",
            cure="Give --project DIR or SLUICE_PROJECT.",
        )
    return project.resolve()


json_option = click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
