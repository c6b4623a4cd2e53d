"""A project: the folder a pipeline is made of."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lake.errors import ContractError, SettingsError, SluiceError, told_in

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
        """Gives the files of the contracts, by name; raises ContractError when their folder may not be listed."""
        if self.contracts_dir.is_dir() and not os.access(self.contracts_dir, os.R_OK | os.X_OK):
            message = "This folder may not be looked into."
            raise ContractError("contract-unreadable", message, cure="Let Sluice read it.", path=self.contracts_dir)
        found = (path for pattern in ("*.yaml", "*.yml") for path in self.contracts_dir.rglob(pattern))
        return tuple(sorted(found))

    def contracts(self) -> "Mapping[str, Contract]":
        """Gives all contracts, by the name of their source; they are read once.

        Raises ContractError for the first that is broken and for two that claim the same source.
        """
        for error in self.broken_contracts().values():
            raise error
        return self.sound_contracts()

    def sound_contracts(self) -> "Mapping[str, Contract]":
        """Gives the contracts that can be read, by the name of their source."""
        return self._contracts[0]

    def broken_contracts(self) -> Mapping[Path, SluiceError]:
        """Gives what is wrong with the others, by their files; of two that claim the same source neither is sound."""
        return self._contracts[1]

    @cached_property
    def _contracts(self) -> "tuple[Mapping[str, Contract], Mapping[Path, SluiceError]]":
        from lake.odcs.reader import read_contract

        found: dict[str, list[Contract]] = {}
        broken: dict[Path, SluiceError] = {}
        for path in self.contract_files():
            with told_in(broken, path):
                contract = read_contract(path)
                found.setdefault(contract.source, []).append(contract)
        for source, (first, *others) in found.items():
            for other in others:
                message = f"The table '{source}' has a contract already: {first.path}."
                cure = "Rename or remove one of the two."
                broken[other.path] = ContractError("source-repeated", message, cure=cure, path=other.path)
        return {source: one for source, (one, *others) in found.items() if not others}, broken


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
