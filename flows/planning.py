"""The plan of a run: what was asked for, and all upstream of it, read and checked before anything is touched."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from checks.contract_suite import contract_suite
from checks.suites import Suite, find_suites
from flows.inventory import LAYERS, TABLE_NAME, Inventory, Layer, defined_in, expect_sound, named_in, take_inventory
from lake.contract import Contract
from lake.errors import Broken, ModelError, SettingsError, SluiceError
from lake.project import Project
from reports.alerts import AlertRule
from reports.page import SUFFIX, Page, find_pages
from sql.current import current_views
from sql.inputs import reference_tables
from sql.models import Model, upstream


@dataclass(frozen=True)
class Plan:
    """What a run lands, builds, checks and tells; `order` is the models to build, each after what it reads.

    `models` are all of the project's. `masked` names the restricted columns of every raw table. `alerts` are the rules
    over the tables of this run: the others are for the runs that make theirs, and see them unmasked. `known_references`
    are the names of all reference tables there are. `broken` says of each file of the project that cannot be used, and
    that this run does not need, what is wrong with it.
    """

    project: Project
    contracts: tuple[Contract, ...]
    models: Mapping[str, Model]
    order: tuple[Model, ...]
    suites: tuple[Suite, ...]
    masked: Mapping[str, frozenset[str]]
    pages: tuple[Page, ...]
    alerts: Mapping[str, AlertRule]
    known_references: frozenset[str] = frozenset()
    broken: Mapping[Path, SluiceError] = field(default_factory=dict)

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

    @cached_property
    def broken_tables(self) -> frozenset[str]:
        """The tables that broken files may define."""
        return frozenset(name for path in self.broken for name in defined_in(path, self.project))

    def expect_sound(self, source: str) -> None:
        """Raises what is wrong with the contract of a source, or with the checks of its table in raw."""
        expect_sound(self.broken, self.project, {f"raw.{source}"})

    def checks_of(self, stage: str, tables: Collection[str]) -> tuple[Suite, ...]:
        """Gives the suites of a stage for the tables that are made in this run."""
        return tuple(suite for suite in self.suites if suite.stage == stage and suite.table_name in tables)


def make_plan(project: Project, marts: Sequence[str], pages: Sequence[str]) -> Plan:
    """Reads a project and gives the plan for some marts and pages; none named means all.

    Raises ContractError or ModelError, naming file and line, for whatever of it the run needs and is broken: a run that
    could not end well does not begin. What else is broken is in the plan, to be told.
    """
    found = take_inventory(project)
    if not found.contracts and not found.models and not found.broken:
        raise SettingsError(
            "project-empty",
            f"'{project.root}' has neither a contract nor a model: there is nothing to run.",
            cure="Begin with 'sluice draft FILE'.",
        )
    for error in found.broken.values() if not marts else ():
        raise error
    found.expect_sound({*marts, *(f"{layer}.{mart}" for layer in LAYERS for mart in marts)})
    order = _sound_order(found, marts)
    read = {name for model in order for name in model.inputs} | _named_beside(order, found.suites)
    landed = [each for source, each in found.contracts.items() if not marts or f"raw.{source}" in read]
    found.expect_sound(read | {model.name for model in order})
    absent = (found.sources | {*found.models}) - _standing(order, landed)
    _expect_told(found, pages, absent)
    return Plan(
        project=project,
        contracts=tuple(landed),
        models=found.models,
        order=tuple(order),
        suites=(*(contract_suite(contract) for contract in landed), *found.suites),
        masked={f"raw.{source}": _restricted(contract) for source, contract in found.contracts.items()},
        pages=tuple(_choose(_pages_over(found, pages, absent), pages)),
        alerts={name: rule for name, rule in found.alerts.items() if not absent & _read_by(rule)},
        known_references=found.references,
        broken=found.broken,
    )


def make_landing_plan(project: Project) -> Plan:
    """Reads what landing needs, contracts and the checks of raw; a model that is broken does not keep data out."""
    contracts, broken = project.sound_contracts(), dict(project.broken_contracts())
    if not contracts and not broken:
        message = f"'{project.root}' has no contract: there is nothing to land."
        raise SettingsError("project-empty", message, cure="Begin with 'sluice draft FILE'.")
    known = {f"raw.{source}" for source in contracts} | reference_tables(project.reference_dir)
    known |= current_views(contracts.values()).keys()
    known |= {name for path in broken for name in defined_in(path, project)}
    models = {f"{path.parent.name}.{path.stem}" for path in project.sql_dir.rglob("*.sql")}
    unread: Broken = {}
    written = [suite for suite in find_suites(project.checks_dir, known | models, unread) if suite.stage == "raw"]
    broken |= {path: error for path, error in unread.items() if path.parent.name == "raw"}
    return Plan(
        project=project,
        contracts=tuple(contracts.values()),
        models={},
        order=(),
        suites=(*(contract_suite(contract) for contract in contracts.values()), *written),
        masked={f"raw.{source}": _restricted(contract) for source, contract in contracts.items()},
        pages=(),
        alerts={},
        broken=broken,
    )


def _sound_order(found: Inventory, marts: Sequence[str]) -> list[Model]:
    try:
        return _order(found.models, marts, found.suites, found.sources)
    except ModelError as error:
        unknown = str(error.subject.get("table", ""))
        found.expect_sound({unknown})
        for contract in found.project.broken_contracts().values() if unknown.startswith("raw.") else ():
            raise contract from error  # which table it lands is not to be told
        raise


def _expect_told(found: Inventory, pages: Sequence[str], absent: Set[str]) -> None:
    """Raises what is wrong with a page or an alert rule that the run was to draw or judge."""
    for path, error in found.broken.items():
        named = named_in(path)
        if path.is_relative_to(found.project.pages_dir):
            name = path.name.partition(".")[0]
            if name in pages or (not pages and named and not absent & named):
                raise error
        elif path.is_relative_to(found.project.alerts_dir) and named and not absent & named:
            raise error


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


def _pages_over(found: Inventory, wanted: Sequence[str], absent: Set[str]) -> Mapping[str, Page]:
    """Gives the project's pages; where none is named, those that show tables of this run and none of another's."""
    if wanted or not absent:
        return found.pages
    shown = {name: set(TABLE_NAME.findall(page.source)) for name, page in found.pages.items()}
    return {name: page for name, page in found.pages.items() if shown[name] and not absent & shown[name]}


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
    for name in pages:
        if not (project.pages_dir / f"{name}{SUFFIX}").is_file():
            _choose(find_pages(project.pages_dir, {}), pages)


def asked_marts(project: Project, marts: Sequence[str]) -> list[str]:
    """Gives the full names of the tables a run for some marts would build; raises ModelError for an unknown one.

    What is broken the run will tell, and write down that it did.
    """
    found = take_inventory(project)
    known = [mart for mart in marts if f"marts.{mart.rpartition('.')[2]}" not in found.sources]
    if marts and not known:
        return []
    return sorted(model.name for model in _sound_order(found, known) if model.is_table)
