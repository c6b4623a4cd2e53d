"""Gates in a run: checked, written down, and stopping what is downstream when closed."""

import re
from collections.abc import Collection

from checks.gate import run_gate
from checks.quality_score import score
from checks.suites import Stage, Suite
from checks.verdict import GateResult, require_passed
from flows.job import Job
from flows.journal import write_journal
from flows.planning import Layer, Plan
from lake.releases import Release

PAGE_FIGURES = "ops.page_figures"  # what pages show; there once they are drawn, so checks that name it run last
TABLE_NAME = re.compile(r"\b(?:raw|staging|intermediate|marts|reference)\.\w+")


def gate_layer(job: Job, plan: Plan, layer: Layer) -> None:
    """Checks the candidates of a layer; raises GateFailed when a check failed or could not be evaluated."""
    made = {model.name for model in plan.layer(layer)}
    _gate(job, plan, layer, plan.checks_of(layer, made))


def gate_pipeline(job: Job, plan: Plan, base: Release | None) -> None:
    """Reconciles the whole: source against raw, raw against marts; raises GateFailed when figures disagree.

    Takes the release the run builds upon, whose tables stand beside the run's own candidates. Checks that name a table
    which no run has made yet are left out, and noted: they are of marts nobody has asked for so far.
    """
    made = {model.name for model in plan.order} | {f"raw.{contract.source}" for contract in plan.contracts}
    write_journal(job, base, made)
    standing = made | set(() if base is None else base.tables)
    suites = [suite for suite in plan.suites if suite.stage == "pipeline" and PAGE_FIGURES not in suite.sodacl]
    ready = tuple(suite for suite in suites if _tables_of(suite, plan) <= standing)
    for suite in suites:
        if suite not in ready:
            job.run.note("checks-left-out", suite.table_name, missing=sorted(_tables_of(suite, plan) - standing))
    _gate(job, plan, "pipeline", ready)


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
        )
    for table, quality in score(gate.results).items():
        job.run.note("metric-measured", table, None, metric="quality_score", value=str(quality), stage=gate.stage)
    job.findings.gates.append(gate)


def _gate(job: Job, plan: Plan, stage: Stage, suites: Collection[Suite]) -> None:
    gate = run_gate(job.session, stage, tuple(suites), plan.masked, now=job.run.started_at)
    note_gate(job, gate)
    require_passed(gate)


def _tables_of(suite: Suite, plan: Plan) -> set[str]:
    """Gives the models a reconciliation names; raw and reference tables always stand."""
    return {name for name in TABLE_NAME.findall(suite.sodacl) if name in plan.models}
