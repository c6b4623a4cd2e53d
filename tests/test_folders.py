"""Folders that files come from: whatever the project's own is called, and those that may not be looked into."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lake.contract import Contract
from lake.project import open_project
from lake.sources.files import find_files
from lake.sources.uploads import find_uploads
from tests.landing_parts import visit
from tests.test_project import CONTRACT, write_contract

LOOK = """
import sys
from pathlib import Path
from lake.errors import SluiceError
from lake.project import open_project
from lake.sources.files import find_files
for folder in sys.argv[1:]:
    try:
        project = open_project(Path(folder))
        print(len(find_files(project.contracts()["orders"], project.root)))
    except SluiceError as error:
        print(error)
"""


def a_shop(folder: Path, path: str) -> Contract:
    write_contract(folder, "orders.yaml", CONTRACT.replace("data/orders.csv", f"'{path}'"))
    (folder / "data").mkdir()
    (folder / "data" / "orders.csv").write_text("order_id\na1\n")
    return open_project(folder).contracts()["orders"]


def look_without_rights(*folders: Path) -> list[str]:
    """Gives what somebody is told who may do no more than the folders' modes say, which root otherwise may."""
    plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*plain, sys.executable, "-c", LOOK, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("path", ["data/*.csv", "data", "data/orders.csv", "**/*.csv", "data/[no]*.csv"])
def test_folders_of_a_project_may_be_called_anything(tmp_path: Path, path: str) -> None:
    """A project's folder with wildcards in its name is a folder: files and uploads in it are found."""
    folder = tmp_path / "shop[1] *"
    contract = a_shop(folder, path)
    assert [found.name for found in find_files(contract, folder)] == ["orders.csv"]
    assert [found.name for found in find_uploads(visit(contract, folder))[1]] == ["orders.csv"]


def test_folders_with_a_file_called_like_a_pattern(tmp_path: Path) -> None:
    """A file of the very name is taken, though its name could be read as a pattern."""
    contract = a_shop(tmp_path, "data/orders[1].csv")
    (tmp_path / "data" / "orders[1].csv").write_text("order_id\na1\n")
    assert [found.name for found in find_files(contract, tmp_path)] == ["orders[1].csv"]


def test_folders_that_may_not_be_looked_into_are_told(tmp_path: Path) -> None:
    """A folder without rights is no empty folder: nothing is passed over in silence, be it data or contracts."""
    shops = [tmp_path / name for name in ("open", "pattern", "folder", "file", "contracts")]
    for shop, path in zip(shops, ["data", "data/*.csv", "data", "data/orders.csv", "data"], strict=True):
        a_shop(shop, path)
    shut = [*(shop / "data" for shop in shops[1:4]), shops[4] / "lake" / "contracts"]
    for folder in shut:
        folder.chmod(0)
    told = look_without_rights(*shops)
    for folder in shut:
        folder.chmod(0o755)
    assert told[0] == "1"
    for line, folder in zip(told[1:4], shut[:3], strict=True):
        assert f"may not look into the folder '{folder}'" in line
    assert f"{shut[3]}: This folder may not be looked into." in told[4]
