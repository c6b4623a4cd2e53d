"""A project is a folder; what is in it is found, and what is not is told."""

from pathlib import Path

import pytest

from lake.errors import ContractError, SettingsError
from lake.project import open_project

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: a
version: 1.0.0
team: {name: Retail data}
servers: [{server: files, type: local, path: data/orders.csv, format: csv}]
schema:
  - name: orders
    description: One row per order.
    properties: [{name: order_id, logicalType: string, description: Order id.}]
"""


def write_contract(root: Path, name: str, text: str = CONTRACT) -> Path:
    path = root / "lake" / "contracts" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_project_names_its_folders(tmp_path: Path) -> None:
    """Every part of a project has one place below its root."""
    write_contract(tmp_path, "orders.yaml")
    project = open_project(tmp_path)
    folders = ("contracts_dir", "sql_dir", "checks_dir", "pages_dir", "alerts_dir", "reference_dir")
    places = [getattr(project, folder).relative_to(project.root).as_posix() for folder in folders]
    assert places == ["lake/contracts", "sql", "checks", "reports/pages", "sql/alerts", "sql/reference"]


def test_project_reads_contracts_by_source(tmp_path: Path) -> None:
    """Contracts are found in `.yaml`, `.yml` and subfolders, and keyed by their table."""
    write_contract(tmp_path, "orders.yaml")
    write_contract(tmp_path, "shop/customers.yml", CONTRACT.replace("name: orders", "name: customers"))
    contracts = open_project(tmp_path).contracts()
    assert {source: contract.path.name for source, contract in contracts.items()} == {
        "customers": "customers.yml",
        "orders": "orders.yaml",
    }


def test_project_without_contracts_has_none(tmp_path: Path) -> None:
    """A folder that holds models only is a project without sources."""
    (tmp_path / "sql").mkdir()
    assert open_project(tmp_path).contracts() == {}


def test_project_refuses_two_contracts_of_one_source(tmp_path: Path) -> None:
    """Two files that claim the same raw table are both named."""
    write_contract(tmp_path, "a.yaml")
    write_contract(tmp_path, "b.yaml")
    with pytest.raises(ContractError, match=r"b\.yaml: The table 'orders' has a contract already: .*a\.yaml"):
        open_project(tmp_path).contracts()


def test_project_refuses_other_folders(tmp_path: Path) -> None:
    """A folder that is no project is told apart from one that is not there, each with its cure."""
    with pytest.raises(SettingsError, match=r"no project: it has neither 'lake/contracts' nor 'sql'.*--project"):
        open_project(tmp_path)
    with pytest.raises(SettingsError, match=r"There is no folder '.*nowhere'.*SLUICE_PROJECT"):
        open_project(tmp_path / "nowhere")
