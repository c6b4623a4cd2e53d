"""The source `local`: one file, a folder, or a pattern."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from lake.archive import file_state
from lake.compression import compression_of
from lake.contract import Contract
from lake.errors import SourceError
from lake.sources.archives import is_archive, member_deliveries
from lake.sources.delivery import Delivery
from lake.sources.naming import format_of
from lake.sources.visit import Visit


def file_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives the files of a contract in the order of their names, but for those decided on and untouched since.

    Raises SourceError when a file that the contract names outright is missing.
    """
    for path in find_files(visit.contract, visit.project):
        delivery = file_delivery(visit.contract, path, visit.project)
        if is_archive(path):
            yield from member_deliveries(visit, delivery)
        elif not visit.has_decided(delivery.origin, file_state(path)):
            yield delivery


def find_files(contract: Contract, project: Path) -> list[Path]:
    """Gives the files that a contract's path means: the file, all files of the folder, or what the pattern matches.

    Raises SourceError when the file is not there, or a folder may not be looked into.
    """
    expect_rights(contract, project)
    place = project / contract.server.path
    if place.is_dir():
        return sorted(path for path in place.rglob("*") if path.is_file() and not path.name.startswith("."))
    if place.is_file():
        return [place]
    if not glob.has_magic(contract.server.path):
        raise SourceError(
            "source-missing",
            f"The source {contract.source!r} names {contract.server.path!r}, and there is no such file.",
            cure="Deliver the file, or mend `servers[].path` in the contract.",
            path=contract.path,
        )
    names = glob.glob(contract.server.path, root_dir=project, recursive=True)  # noqa: PTH207  # it may be absolute
    found = (project / name for name in names)  # the project's own path is no pattern, whatever it holds
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def expect_rights(contract: Contract, project: Path) -> None:
    """Raises SourceError when the folder that a contract's path begins with is there and may not be looked into."""
    named = Path(contract.server.path)
    wild = next((part for part in [*reversed(named.parents), named] if glob.has_magic(part.name)), None)
    root = project / (named if wild is None else wild.parent)
    for folder, rights in ((root.parent, os.X_OK), (root, os.R_OK | os.X_OK)):
        if os.access(folder, os.F_OK) and folder.is_dir() and not os.access(folder, rights):
            raise SourceError(
                "file-unreadable",
                f"The source {contract.source!r} may not look into the folder '{folder}'.",
                cure="Let Sluice list it and read what is in it.",
                path=contract.path,
            )


def file_delivery(contract: Contract, path: Path, project: Path) -> Delivery:
    """Gives one file as a delivery; its format is its name's, else the contract's."""
    origin = path.relative_to(project).as_posix() if path.is_relative_to(project) else path.name
    return Delivery(origin, path, format_of(path) or contract.server.format, compression_of(path))
