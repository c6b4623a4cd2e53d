"""Gates in a run: checked, written down, and stopping what is downstream when closed."""

from collections.abc import Collection
from pathlib import Path

from checks.gate import run_gate
from checks.quality_score import score
from checks.suites import Stage, Suite
from checks.verdict import CheckResult, GateResult, require_passed
from flows.building import Ground
from flows.inventory import TABLE_NAME, Layer
from flows.job import Job
from flows.journal import write_journal
from flows.planning import Plan
from lake.releases import Release

PAGE_FIGURES = "ops.page_figures"  # what pages show; there once they are drawn, so checks that name it run last


def gate_layer(job: Job, plan: Plan, layer: Layer) -> None:
    """Checks the candidates of a layer; raises GateFailed when a check failed or could not be evaluated."""
    made = {model.name for model in plan.layer(layer)}
    _gate(job, plan, layer, plan.checks_of(layer, made))


def gate_pipeline(job: Job, plan: Plan, ground: Ground) -> None:
    """Reconciles the whole: source against raw, raw against marts; raises GateFailed when figures disagree.

    The tables of the release the run builds upon stand beside the run's own candidates. Checks that name a table which
    is not there, or was made from older inputs than this run sees, are left out, and noted: it is of marts that this
    run was not asked for.
    """
    base = ground.base
    made = {model.name for model in plan.order} | {f"raw.{contract.source}" for contract in plan.contracts}
    write_journal(job, base, made)
    standing = made | (set() if base is None else {name for name in base.tables if _is_current(base, name, ground)})
    suites = [suite for suite in plan.suites if suite.stage == "pipeline" and PAGE_FIGURES not in suite.sodacl]
    missing = {suite.table_name: models_named(suite.sodacl, plan) - standing for suite in suites}
    for table, names in missing.items():
        if names:
            job.run.note("checks-left-out", table, missing=sorted(names))
    ready = tuple(suite for suite in suites if not missing[suite.table_name])
    _gate(job, plan, "pipeline", ready)


def models_named(text: str, plan: Plan) -> set[str]:
    """Gives the models a text of SQL or checks names; raw and reference tables always stand."""
    return {name for name in TABLE_NAME.findall(text) if name in plan.models or name in plan.broken_tables}


def note_gate(job: Job, gate: GateResult) -> None:
    """Writes every check of a gate into the run's journal, passed or not."""
    for result in gate.results:
        job.run.note(
            "check-evaluated",
            result.table_name,
            result.failed_count,
            stage=result.stage,
            check_name=result.check_name,
            kind=result.kind,
            outcome=result.outcome,
            measured=result.measured,
            threshold=result.threshold,
            details=result.details,
            sample=[dict(row) for row in result.sample],
            place=_place(result, job.project.root),
        )
    for table, quality in score(gate.results).items():
        job.run.note("metric-measured", table, None, metric="quality_score", value=str(quality), stage=gate.stage)
    job.findings.gates.append(gate)


def _place(result: CheckResult, root: Path) -> str | None:
    """Gives where a check is written, e.g. `checks/marts/sales_daily.yml:7`, None for one that nobody wrote."""
    if result.path is None:
        return None
    path = result.path.relative_to(root) if result.path.is_relative_to(root) else result.path
    return path.as_posix() if result.line is None else f"{path.as_posix()}:{result.line}"


def _gate(job: Job, plan: Plan, stage: Stage, suites: Collection[Suite]) -> None:
    gate = run_gate(job.session, stage, tuple(suites), plan.masked, now=job.run.started_at)
    note_gate(job, gate)
    require_passed(gate)


def _is_current(base: Release, name: str, ground: Ground) -> bool:
    """Whether a released table was made from the very tables that this run sees."""
    released = {table.name: table.version for table in base.tables.values()}
    seen = {**released, **{table.name: table.version for table in ground.bench.tables.values()}}
    return all(seen.get(table) == version for table, version in base.tables[name].inputs.items())
