"""The source `local`: one file, a folder, or a pattern."""

import glob
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
    """Gives the files that a contract's path means: the file, all files of the folder, or what the pattern matches."""
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


def file_delivery(contract: Contract, path: Path, project: Path) -> Delivery:
    """Gives one file as a delivery; its format is its name's, else the contract's."""
    origin = path.relative_to(project).as_posix() if path.is_relative_to(project) else path.name
    return Delivery(origin, path, format_of(path) or contract.server.format, compression_of(path))
