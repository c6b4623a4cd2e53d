"""The plan of a run: what was asked for, and all upstream of it, read and checked before anything is touched."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from typing import Literal, get_args

from checks.contract_suite import contract_suite
from checks.suites import Suite, find_suites
from lake.contract import Contract
from lake.errors import ModelError, SettingsError
from lake.project import Project
from reports.alerts import AlertRule, find_alerts
from reports.page import Page, find_pages
from sql.current import current_views
from sql.inputs import reference_tables
from sql.models import Model, find_models, upstream

Layer = Literal["raw", "staging", "intermediate", "marts"]  # in raw: the views of what stands in captured tables
LAYERS: tuple[Layer, ...] = get_args(Layer)
TABLE_NAME = re.compile(r"\b(?:raw|staging|intermediate|marts|reference)\.\w+")


@dataclass(frozen=True)
class Plan:
    """What a run lands, builds, checks and tells; `order` is the models to build, each after what it reads.

    `models` are all of the project's. `masked` names the restricted columns of every raw table. `alerts` are the rules
    over the tables of this run: the others are for the runs that make theirs, and see them unmasked. `known_references`
    are the names of all reference tables there are.
    """

    contracts: tuple[Contract, ...]
    models: Mapping[str, Model]
    order: tuple[Model, ...]
    suites: tuple[Suite, ...]
    masked: Mapping[str, frozenset[str]]
    pages: tuple[Page, ...]
    alerts: Mapping[str, AlertRule]
    known_references: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """The sha256 of every check and page: a release that was gated and told by the same need not be again."""
        checks = [f"{suite.stage} {suite.table_name}\n{suite.sodacl}" for suite in self.suites]
        pages = [f"{page.name} {page.title} {page.recipients}\n{page.source}" for page in self.pages]
        return sha256("\0".join([*sorted(checks), *sorted(pages)]).encode()).hexdigest()

    @property
    def references(self) -> frozenset[str]:
        """The reference tables that checks of what this run makes, or its pages, read by themselves."""
        made = {model.name for model in self.order}
        texts = [suite.sodacl for suite in self.suites if suite.table_name in made]
        texts += [page.source for page in self.pages]
        return frozenset(name for text in texts for name in TABLE_NAME.findall(text) if name in self.known_references)

    def layer(self, name: Layer) -> tuple[Model, ...]:
        """Gives the models of a layer in build order."""
        return tuple(model for model in self.order if model.name.startswith(f"{name}."))

    def checks_of(self, stage: str, tables: Collection[str]) -> tuple[Suite, ...]:
        """Gives the suites of a stage for the tables that are made in this run."""
        return tuple(suite for suite in self.suites if suite.stage == stage and suite.table_name in tables)


def make_plan(project: Project, marts: Sequence[str], pages: Sequence[str]) -> Plan:
    """Reads a project and gives the plan for some marts and pages; none named means all.

    Raises ContractError or ModelError, naming file and line, for whatever in the project is broken: a run that could
    not end well does not begin.
    """
    contracts = project.contracts()
    models = project_models(project)
    if not contracts and not models:
        raise SettingsError(
            "project-empty",
            f"'{project.root}' has neither a contract nor a model: there is nothing to run.",
            cure="Begin with 'sluice draft FILE'.",
        )
    references = reference_tables(project.reference_dir)
    known = {f"raw.{source}" for source in contracts} | references
    files = find_suites(project.checks_dir, known | set(models))
    order = _order(models, marts, files, known)
    read = {name for model in order for name in model.inputs} | _named_beside(order, files)
    landed = [contract for source, contract in contracts.items() if not marts or f"raw.{source}" in read]
    absent = (known | set(models)) - _standing(order, landed)
    return Plan(
        contracts=tuple(landed),
        models=models,
        order=tuple(order),
        suites=(*(contract_suite(contract) for contract in landed), *files),
        masked={f"raw.{source}": _restricted(contract) for source, contract in contracts.items()},
        pages=tuple(_choose(_pages_over(project, pages, absent), pages)),
        alerts={name: rule for name, rule in find_alerts(project.alerts_dir).items() if not absent & _read_by(rule)},
        known_references=references,
    )


def project_models(project: Project) -> dict[str, Model]:
    """Gives every model of a project by name: those written as files, and the views of captured tables."""
    return {**current_views(project.contracts().values()), **find_models(project.sql_dir)}


def make_landing_plan(project: Project) -> Plan:
    """Reads what landing needs, contracts and the checks of raw; a model that is broken does not keep data out."""
    contracts = project.contracts()
    if not contracts:
        message = f"'{project.root}' has no contract: there is nothing to land."
        raise SettingsError("project-empty", message, cure="Begin with 'sluice draft FILE'.")
    known = {f"raw.{source}" for source in contracts} | reference_tables(project.reference_dir)
    known |= current_views(contracts.values()).keys()
    models = {f"{path.parent.name}.{path.stem}" for path in project.sql_dir.rglob("*.sql")}
    written = [suite for suite in find_suites(project.checks_dir, known | models) if suite.stage == "raw"]
    return Plan(
        contracts=tuple(contracts.values()),
        models={},
        order=(),
        suites=(*(contract_suite(contract) for contract in contracts.values()), *written),
        masked={f"raw.{source}": _restricted(contract) for source, contract in contracts.items()},
        pages=(),
        alerts={},
    )


def _order(
    models: Mapping[str, Model], marts: Sequence[str], files: Sequence[Suite], known: Collection[str]
) -> list[Model]:
    """Gives the models to build, each after what it reads: those asked for, and all that they and their checks read."""
    order = upstream(models, marts or models, known)
    while beside := _named_beside(order, files) & models.keys():
        order = upstream(models, [*(model.name for model in order), *sorted(beside)], known)
    return order


def _named_beside(order: Iterable[Model], files: Iterable[Suite]) -> set[str]:
    """Gives the tables that checks of some models name, other than these models."""
    made = {model.name for model in order}
    return {name for suite in files if suite.table_name in made for name in TABLE_NAME.findall(suite.sodacl)} - made


def _standing(order: Iterable[Model], landed: Iterable[Contract]) -> set[str]:
    """Gives the tables that a run has made or read itself."""
    made = {name for model in order for name in (model.name, *model.inputs)}
    return made | {f"raw.{contract.source}" for contract in landed}


def _read_by(rule: AlertRule) -> set[str]:
    return set(TABLE_NAME.findall(f"{rule.sql} {rule.header.recipients or ''}"))


def _pages_over(project: Project, wanted: Sequence[str], absent: Set[str]) -> dict[str, Page]:
    """Gives the project's pages; where none is named, those that show tables of this run and none of another's."""
    found = find_pages(project.pages_dir)
    if wanted or not absent:
        return found
    shown = {name: set(TABLE_NAME.findall(page.source)) for name, page in found.items()}
    return {name: page for name, page in found.items() if shown[name] and not absent & shown[name]}


def _restricted(contract: Contract) -> frozenset[str]:
    return frozenset(column.name for column in contract.columns if column.privacy == "restricted")


def _choose(found: Mapping[str, Page], wanted: Sequence[str]) -> list[Page]:
    for name in wanted:
        if name not in found:
            near = get_close_matches(name, found, n=1)
            cure = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(found) or 'none'}."
            raise ModelError("page-unknown", f"There is no page {name!r}.", cure=cure)
    return [found[name] for name in wanted or found if found[name].drawn == "release"]  # others stand beside every run


def expect_known(project: Project, marts: Sequence[str], pages: Sequence[str]) -> None:
    """Raises ModelError for a mart or page that is asked for and is not there: a slip of the hand is no failed run."""
    known = {path.stem for path in project.sql_dir.rglob("*.sql")}
    if not known.issuperset(mart.rpartition(".")[2] for mart in marts):
        asked_marts(project, marts)
    if pages:
        _choose(find_pages(project.pages_dir), pages)


def asked_marts(project: Project, marts: Sequence[str]) -> list[str]:
    """Gives the full names of the tables a run for some marts would build; raises ModelError for an unknown one."""
    models = project_models(project)
    known = {f"raw.{source}" for source in project.contracts()} | reference_tables(project.reference_dir)
    files: Sequence[Suite] = ()
    with suppress(ModelError):  # the run will tell of a broken check, and write down that it did
        files = find_suites(project.checks_dir, known | set(models))
    return sorted(model.name for model in _order(models, marts, files, known) if model.is_table)
