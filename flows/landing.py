"""Landing without building: what sources delivered goes through the same gates into raw, on demand or in a loop."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches

from flows.closing import close_run
from flows.ingest import land_source, require_none_held
from flows.job import Job, never, note_broken, open_job
from flows.logbook import IDLE_EVENTS
from flows.outcome import Outcome
from flows.planning import make_landing_plan
from flows.steps import Step
from lake.contract import Contract, Server
from lake.errors import SettingsError, SluiceError
from lake.project import Project
from lake.run import Run
from lake.settings import Settings
from lake.store_probe import expect_conditional

LANDING = "landing"  # the name of such a run in ops.pipeline_metrics


def land_sources(
    project: Project, settings: Settings, run: Run, sources: Sequence[str], step: Step, *, is_anew: bool = False
) -> Outcome:
    """Lands what some sources (none named: all) have delivered, and gives what it came to.

    A source that fails stops no other. `ops` and `lake.duckdb` are brought up to date; marts stay as they are. With
    `is_anew` captured tables are read whole again; raises SettingsError unless sources are named and all are such.
    """
    if is_anew:
        expect_captured(project, sources)
    with open_job(project, settings, run, step) as job:
        try:
            failure = land_each(replace(job, anew=frozenset(sources)) if is_anew else job, sources)
        except BaseException as bug:
            close_run(job, bug, LANDING)
            raise
        return close_run(job, failure, LANDING)


def visit_sources(
    project: Project,
    settings: Settings,
    run: Run,
    sources: Sequence[str],
    step: Step,
    *,
    known_failure: str | None = None,
    is_stopping: Callable[[], bool] = never,
    may_wait: bool = False,
) -> tuple[Outcome | None, SluiceError | None]:
    """Lands as `land_sources` does, but writes nothing down when nothing came: for a loop that looks again and again.

    Without names only folders, buckets, topics and the spool are visited, no API or database. A failure that is
    `known_failure` is no news. `may_wait` says that another look follows soon.
    Gives the outcome, None when there was no news, and the failure.
    """
    noted: set[str] = set()  # `run.events` is only what has not been written down yet
    run = replace(run, observers=(*run.observers, lambda event: noted.add(event.kind)))
    with open_job(project, settings, run, step, is_stopping) as job:
        try:
            failure = land_each(replace(job, may_wait=may_wait), sources, costs_little)
        except BaseException as bug:
            close_run(job, bug, LANDING)
            raise
        is_told = failure is not None and str(failure) == known_failure
        if noted <= IDLE_EVENTS and (failure is None or is_told):
            return None, failure
        return close_run(job, None if is_told else failure, LANDING), failure


def costs_little(server: Server) -> bool:
    """Says whether a server may be looked at often: no provider is asked, or one that is made for it."""
    return server.kind in ("local", "s3", "kafka") or server.is_pushed


def any_server(_server: Server) -> bool:
    """Says that every server is visited."""
    return True


def land_each(job: Job, sources: Sequence[str], chosen: Callable[[Server], bool] = any_server) -> SluiceError | None:
    """Lands source after source; gives what stopped the first that failed, after the others had their turn.

    When no source is named, `chosen` says which servers are visited.
    """
    failures: list[SluiceError] = []
    try:
        expect_conditional(job.store)
        plan = job.step("plan", make_landing_plan)(job.project)
        note_broken(job, plan.broken)
        for name in sources:
            plan.expect_sound(name)
        contracts = choose_sources(plan.contracts, sources)
        if not sources:
            contracts = [found for contract in contracts if (found := _with(contract, chosen)) is not None]
    except SluiceError as failure:
        return failure
    for contract in contracts:
        if job.is_stopping():
            break
        try:
            plan.expect_sound(contract.source)
            job.step(f"land {contract.source}", land_source)(job, plan, contract)
        except SluiceError as failure:
            failures.append(failure)
    failures += [] if sources else [*job.project.broken_contracts().values()][:1]  # `note_broken` tells all
    try:
        require_none_held(job)
    except SluiceError as failure:
        failures.append(failure)
    for other in failures[1:]:
        job.run.note("source-failed", job.project.root.name, code=other.code, error=other.message)
    return failures[0] if failures else None


def choose_sources(contracts: Sequence[Contract], wanted: Sequence[str]) -> list[Contract]:
    """Gives the contracts of some sources, all when none is named; raises SettingsError for one that is not there."""
    known = {contract.source: contract for contract in contracts}
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            cure = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known) or 'none'}."
            raise SettingsError("source-unnamed", f"There is no source {name!r}.", cure=cure)
    return [known[name] for name in dict.fromkeys(wanted)] if wanted else list(contracts)


def _with(contract: Contract, chosen: Callable[[Server], bool]) -> Contract | None:
    servers = [server for server in contract.servers if chosen(server)]
    return contract.at(*servers) if servers else None


def expect_captured(project: Project, sources: Sequence[str]) -> None:
    """Raises SettingsError unless some sources are named, and all of them are captured tables."""
    others = [each.source for each in choose_sources([*project.contracts().values()], sources) if not each.is_captured]
    if others or not sources:
        message = f"The source {others[0]!r} has no snapshot." if others else "A snapshot of which source?"
        cure = "Name sources whose server has 'mode: capture', as in `sluice land customers --snapshot`."
        raise SettingsError("snapshot-unfit", message, cure=cure)
