"""A project: the folder a pipeline is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lake.errors import ContractError, SettingsError

if TYPE_CHECKING:
    from lake.contract import Contract


@dataclass(frozen=True)
class Project:
    """A folder with contracts, models, checks and pages; `root` is absolute."""

    root: Path

    @property
    def contracts_dir(self) -> Path:
        """One ODCS file for each source table."""
        return self.root / "lake" / "contracts"

    @property
    def sql_dir(self) -> Path:
        """The models, by layer."""
        return self.root / "sql"

    @property
    def checks_dir(self) -> Path:
        """The SodaCL files, by stage."""
        return self.root / "checks"

    @property
    def pages_dir(self) -> Path:
        """The reports."""
        return self.root / "reports" / "pages"

    @property
    def alerts_dir(self) -> Path:
        """The alert rules."""
        return self.sql_dir / "alerts"

    @property
    def reference_dir(self) -> Path:
        """The reference data, as CSV."""
        return self.sql_dir / "reference"

    def contract_files(self) -> tuple[Path, ...]:
        """Gives the files of the contracts, by name."""
        found = (path for pattern in ("*.yaml", "*.yml") for path in self.contracts_dir.rglob(pattern))
        return tuple(sorted(found))

    def contracts(self) -> "Mapping[str, Contract]":
        """Gives all contracts, by the name of their source; they are read once.

        Raises ContractError for the first that is broken and for two that claim the same source.
        """
        return self._contracts

    @cached_property
    def _contracts(self) -> "Mapping[str, Contract]":
        from lake.odcs.reader import read_contract

        contracts: dict[str, Contract] = {}
        for path in self.contract_files():
            contract = read_contract(path)
            if contract.source in contracts:
                other = contracts[contract.source].path
                message = f"The table '{contract.source}' has a contract already: {other}."
                raise ContractError("source-repeated", message, cure="Rename or remove one of the two.", path=path)
            contracts[contract.source] = contract
        return contracts


def open_project(path: Path) -> Project:
    """Opens the project in a folder; raises SettingsError when there is none."""
    root = path.expanduser().resolve()
    if not root.is_dir():
        message = f"There is no folder '{root}'."
        raise SettingsError(
            "project-missing", message, cure="Name a project's folder with --project or SLUICE_PROJECT."
        )
    project = Project(root)
    if not project.contracts_dir.is_dir() and not project.sql_dir.is_dir():
        message = f"The folder '{root}' is no project: it has neither 'lake/contracts' nor 'sql'."
        cure = "Name a project's folder with --project or SLUICE_PROJECT, or begin one with 'sluice draft FILE'."
        raise SettingsError("project-unfit", message, cure=cure)
    return project
