"""Drafts one contract from all files of a folder or a pattern: what it says holds for every one of them."""

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lake.drafting.columns import profile_column
from lake.drafting.document import DraftedContract, render_contract
from lake.drafting.draft import TABLE, Opened, describe_rows, open_file, options, rows_description
from lake.drafting.text import Noted
from lake.engine import Session, quote
from lake.errors import SourceError
from lake.naming import own_names, snake_case
from lake.sources.naming import FORMATS, format_of

MOST_NAMED = 5
EMPTY = "file-empty"


@dataclass(frozen=True)
class _File:
    path: Path
    table: str
    opened: Opened


def draft_from_files(
    session: Session, files: Sequence[Path], *, name: str | None, server_path: str, editor_schema: str | None = None
) -> str:
    """Gives the YAML of a contract for several files of one kind, which `server_path` finds.

    A column that some file lacks is not required; where files differ, drift is let evolve. Files without rows are left
    out. Raises SourceError, naming the files, when they do not fit together.
    """
    form = _one_format(files)
    opened = _open(session, files)
    _expect_alike(opened, server_path)
    columns = tuple(dict.fromkeys(column for file in opened for column in file.opened.columns))
    partial = {column: [file for file in opened if column not in file.opened.columns] for column in columns}
    _unite(session, opened, columns)
    lacking = {column: (f"not in {_names(missing)}",) for column, missing in partial.items() if missing}
    notes = {**lacking, **_mixed(session, opened, columns, lacking)}
    found = describe_rows(session, columns, files[0], notes)
    policy = Noted("evolve", ("not every file has every column",))
    draft = DraftedContract(
        name=name or name_of(server_path, files),
        origin=f"{found.row_count} rows of {len(opened)} files, {server_path}",
        description=rows_description(f"{form} files", found.key),
        server={
            "server": "files",
            "type": "local",
            "path": server_path,
            "format": form,
            **options(_shared_options(opened)),
        },
        properties=found.properties,
        promises={"driftPolicy": policy} if any(partial.values()) else {},
        notes=_left_out(files, opened),
    )
    return render_contract(draft, editor_schema)


def files_of(target: str) -> tuple[list[Path], str]:
    """Gives the files a folder or a pattern means, and the pattern that finds them and no others beside them.

    Raises SourceError when there is none of a known format.
    """
    place = Path(target)
    if place.is_dir():
        found = sorted(path for path in place.rglob("*") if path.is_file() and not path.name.startswith("."))
        known = [path for path in found if format_of(path) is not None]
    else:
        found = sorted(Path(path) for path in glob.glob(target, recursive=True))  # noqa: PTH207  # may be absolute
        known = [path for path in found if path.is_file() and format_of(path) is not None]
    if not known:
        message = f"'{target}' holds no file of a known format."
        raise SourceError("source-missing", message, cure=f"Known are {', '.join(FORMATS)}, plain or compressed.")
    return known, _pattern(place, known) if place.is_dir() else target


def name_of(pattern: str, files: Sequence[Path]) -> str:
    """Gives a name of ours for what a pattern finds: its own words, else those of the folder."""
    stem = re.sub(r"[\[\]?*!]+.*", "", Path(pattern).name).split(".", 1)[0]
    return snake_case(re.sub(r"[\d_.-]+$", "", stem)) or snake_case(files[0].parent.name) or "source"


def _pattern(folder: Path, files: Sequence[Path]) -> str:
    """Gives the pattern of a folder's files: by their ending when they share it."""
    endings = {re.sub(r"^[^.]*", "", path.name.lower()) for path in files}
    plain = {"." + ending.split(".")[1] for ending in endings if "." in ending}
    deep = "**/" if any(path.parent != folder for path in files) else ""
    ending = next(iter(endings)) if len(endings) == 1 else f"{min(plain)}*" if len(plain) == 1 else "*"
    return (folder / f"{deep}*{ending}").as_posix()


def _one_format(files: Sequence[Path]) -> str:
    by_format: dict[str, list[Path]] = {}
    for path in files:
        by_format.setdefault(format_of(path) or "unknown", []).append(path)
    if len(by_format) > 1:
        told = "; ".join(f"{form}: {_paths(paths)}" for form, paths in by_format.items())
        cure = "Name the files of one kind by a pattern in quotes, e.g. 'deliveries/*.csv'."
        raise SourceError("files-unlike", f"The files are of several kinds: {told}.", cure=cure)
    return next(iter(by_format))


def _open(session: Session, files: Sequence[Path]) -> list[_File]:
    found: list[_File] = []
    for place, path in enumerate(files):
        table = f"{TABLE}_{place}"
        try:
            opened = open_file(session, path, table)
        except SourceError as error:
            if error.code != EMPTY:
                raise
            continue
        found.append(_File(path, table, opened))
    if not found:
        raise SourceError("file-empty", "All files are empty.", cure="Draft from files with rows.", path=files[0])
    return found


def _expect_alike(files: Sequence[_File], server_path: str) -> None:
    """Raises SourceError for files that share no column with the first, or are written in another way."""
    first = files[0]
    strangers = [file for file in files if not set(file.opened.columns) & set(first.opened.columns)]
    if strangers:
        message = f"{_names(strangers)} share no column with {first.path.name}; {server_path} holds several tables."
        raise SourceError("files-unlike", message, cure="Draft each table by a pattern of its own.")
    unlike = [file for file in files if _delimiter(file) != _delimiter(first)]
    if unlike:
        message = f"{_names(unlike)} and {first.path.name} have different delimiters."
        raise SourceError("files-unlike", message, cure="Draft each kind by a pattern of its own.")
    encodings = {file.opened.options.get("encoding", "utf-8") for file in files}
    if len(encodings) > 1:
        odd = [file for file in files if "encoding" in file.opened.options]
        message = f"{_names(odd)} are not written in UTF-8, as the others are."
        raise SourceError("files-unlike", message, cure="Have them delivered alike, or draft each kind by itself.")


def _delimiter(file: _File) -> str:
    return file.opened.options.get("delimiter", ",")


def _shared_options(files: Sequence[_File]) -> Mapping[str, str]:
    return files[0].opened.options


def _unite(session: Session, files: Sequence[_File], columns: Sequence[str]) -> None:
    selects = []
    for file in files:
        known = set(file.opened.columns)
        texts = (quote(column) if column in known else f"null::varchar as {quote(column)}" for column in columns)
        selects.append(f"select {', '.join(texts)} from {file.table}")
    session.execute(f"create or replace table {TABLE} as {' union all '.join(selects)}")


def _mixed(
    session: Session, files: Sequence[_File], columns: Sequence[str], notes: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Gives notes for the columns that are of one type in some files and of another in others."""
    found = {}
    names = own_names(columns)
    for column in columns:
        words = frozenset(names[column].split("_"))
        whole = profile_column(session, TABLE, column, words)
        if whole.kind != "string" or not whole.notes:
            continue
        kinds: dict[str, list[_File]] = {}
        for file in (file for file in files if column in file.opened.columns):
            profile = profile_column(session, file.table, column, words)
            if profile.filled:
                kinds.setdefault(profile.kind, []).append(file)
        if len(kinds) > 1:
            told = ", ".join(f"{kind} in {_names(group)}" for kind, group in kinds.items())
            found[column] = (*notes.get(column, ()), told)
    return found


def _left_out(files: Sequence[Path], opened: Sequence[_File]) -> tuple[str, ...]:
    read = {file.path for file in opened}
    empty = [path for path in files if path not in read]
    return (f"Left out, for they are empty: {_paths(empty)}.",) if empty else ()


def _names(files: Sequence[_File]) -> str:
    return _paths([file.path for file in files])


def _paths(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return ", ".join(path.name for path in paths[:MOST_NAMED]) + more
