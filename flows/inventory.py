"""What there is in a project, as far as it can be read; what cannot is kept for who needs it, and told by every run."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from checks.suites import Suite, find_suites
from lake.contract import Contract
from lake.errors import Broken, SluiceError
from lake.project import Project
from reports.alerts import AlertRule, find_alerts
from reports.page import Page, find_pages
from sql.current import current_views
from sql.inputs import reference_tables
from sql.models import Model, find_models

Layer = Literal["raw", "staging", "intermediate", "marts"]  # in raw: the views of what stands in captured tables
LAYERS: tuple[Layer, ...] = get_args(Layer)
TABLE_NAME = re.compile(r"\b(?:raw|staging|intermediate|marts|reference)\.\w+")
NAME_IN_YAML = re.compile(r"\bname:\s*[\"']?(\w+)")


@dataclass(frozen=True)
class Inventory:
    """The parts of a project; `broken` says of each file that cannot be used what is wrong with it."""

    project: Project
    contracts: Mapping[str, Contract]
    models: Mapping[str, Model]
    references: frozenset[str]
    suites: tuple[Suite, ...]
    pages: Mapping[str, Page]
    alerts: Mapping[str, AlertRule]
    broken: Mapping[Path, SluiceError]

    @cached_property
    def sources(self) -> frozenset[str]:
        """The tables that are there without a model, those of broken files among them."""
        broken = {name for path in self.broken for name in defined_in(path, self.project)}
        return frozenset({f"raw.{source}" for source in self.contracts} | self.references | broken - {*self.models})

    def expect_sound(self, names: Collection[str]) -> None:
        """Raises what is wrong with a file that defines one of some tables."""
        expect_sound(self.broken, self.project, names)


def take_inventory(project: Project) -> Inventory:
    """Reads all of a project; what all of it stands on, such as a folder that is no layer, is raised."""
    broken: Broken = dict(project.broken_contracts())
    contracts = project.sound_contracts()
    models = {**current_views(contracts.values()), **find_models(project.sql_dir, broken)}
    references = reference_tables(project.reference_dir)
    defined = {name for path in broken for name in defined_in(path, project)}
    tables = {f"raw.{source}" for source in contracts} | references | models.keys() | defined
    return Inventory(
        project=project,
        contracts=contracts,
        models=models,
        references=frozenset(references),
        suites=tuple(find_suites(project.checks_dir, tables, broken)),
        pages=find_pages(project.pages_dir, broken),
        alerts=find_alerts(project.alerts_dir, broken),
        broken=broken,
    )


def expect_sound(broken: Mapping[Path, SluiceError], project: Project, names: Collection[str]) -> None:
    """Raises what is wrong with a file that defines, or checks, one of some tables."""
    for path, error in broken.items():
        if not {*names}.isdisjoint(defined_in(path, project) | checked_in(path, project)):
            raise error


def defined_in(path: Path, project: Project) -> set[str]:
    """Gives the tables that a broken file may define: a contract's are told by the names it holds, and by its own."""
    if path.is_relative_to(project.contracts_dir):
        return {f"raw.{name}" for name in (path.stem, *NAME_IN_YAML.findall(_text(path)))}
    folder = path.relative_to(project.sql_dir).parts[0] if path.is_relative_to(project.sql_dir) else ""
    return {f"{folder}.{path.stem}"} if folder in LAYERS else set()


def checked_in(path: Path, project: Project) -> set[str]:
    """Gives the tables that a broken file of checks is about."""
    if not path.is_relative_to(project.checks_dir):
        return set()
    if path.parent.name in LAYERS:
        return {f"{path.parent.name}.{path.stem}"}
    return {name for name in named_in(path) if not name.startswith("reference.")}


def named_in(path: Path) -> set[str]:
    """Gives the tables that the text of a broken file names."""
    return set(TABLE_NAME.findall(_text(path)))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
