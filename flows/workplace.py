"""What every command is told: which project, how loud, and where the log goes."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lake.errors import SettingsError

if TYPE_CHECKING:
    from lake.settings import Settings


@dataclass(frozen=True)
class Workplace:
    """The project a command works in, and how it talks: `is_quiet` no progress, `logs_json` the log as JSON lines."""

    project: Path
    is_quiet: bool = False
    logs_json: bool = False

    @functools.cached_property
    def settings(self) -> "Settings":
        """The project's settings; raises SettingsError when one is wrong or the folder is no project."""
        from lake.settings import Settings

        return Settings.read(self.project)


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
            "project-missing", f"There is no project folder {str(project)!r}.", cure="Give --project DIR or SLUICE_PROJECT."
        )
    return project.resolve()


json_option = click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
