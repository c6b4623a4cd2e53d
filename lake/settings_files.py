"""The files that settings stand in, looked at before they are read: what is broken is told with its line."""

import tomllib
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from lake.errors import SettingsError

PREFIX = "SLUICE_"
PREFIXES = (
    PREFIX,
    "LAKE_",
)  # names of ours; secrets and addresses that contracts name are called as their authors like
CLOSE_ENOUGH = 0.85  # one wrong, missing or swapped letter; a secret called SLUICE_MAIL_TOKEN is none of them


def check_files(project: Path, fields: Collection[str]) -> None:
    """Raises SettingsError when `.env` or `pyproject.toml` cannot be read, or sets what is no setting."""
    _check_dotenv(project / ".env", fields)
    _check_table(project / "pyproject.toml", fields)


def check_names(
    names: Iterable[str], fields: Collection[str], path: Path | None = None, line: int | None = None
) -> None:
    """Raises SettingsError for a variable that looks like one of the settings and is none."""
    for name in map(str.upper, names):
        bare, known = name.removeprefix(PREFIX), [field.upper() for field in fields]
        if not name.startswith(PREFIXES) or name in map(variable, fields):
            continue
        near = get_close_matches(bare, known, n=1, cutoff=CLOSE_ENOUGH)
        if near:
            cure = f"Did you mean {variable(near[0])}? .env.example lists them all."
            raise SettingsError("setting-unknown", f"There is no setting {name}.", cure=cure, path=path, line=line)


def variable(field: str) -> str:
    """Gives the name of a setting in the environment."""
    name = field.upper()
    return name if name.startswith(("LAKE_URI", "AWS_", "GOOGLE_", "GCS_")) else PREFIX + name


def _check_dotenv(path: Path, fields: Collection[str]) -> None:
    if not path.is_file():
        return
    for line in parse_stream(StringIO(_text(path))):
        if line.error:
            raise SettingsError(
                "setting-invalid",
                "This line is no setting.",
                cure="Write NAME=value, a value with spaces in quotes, and a remark behind '#'.",
                path=path,
                line=line.original.line,
            )
        if line.key is not None:
            check_names([line.key], fields, path, line.original.line)


def _check_table(path: Path, fields: Collection[str]) -> None:
    if not path.is_file():
        return
    try:
        tool = tomllib.loads(_text(path)).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise SettingsError("setting-invalid", f"This is no TOML: {error}.", cure="Mend it.", path=path) from error
    table = tool.get("sluice", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise SettingsError("setting-invalid", "'tool.sluice' is no table.", cure="Write [tool.sluice].", path=path)
    for name in table:
        if name not in fields:
            near = get_close_matches(name.lower(), fields, n=1)
            cure = f"Did you mean {near[0]!r}?" if near else f"Use one of: {', '.join(sorted(fields))}."
            raise SettingsError("setting-unknown", f"[tool.sluice] has no setting {name!r}.", cure=cure, path=path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        cure = "Save it in UTF-8."
        raise SettingsError("setting-invalid", "This file is no UTF-8.", cure=cure, path=path) from error
    except OSError as error:
        message = f"This file cannot be read: {error.strerror}."
        raise SettingsError("setting-invalid", message, cure="Let Sluice read it.", path=path) from error
