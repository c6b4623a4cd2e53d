"""The pipeline: land, gate, build, gate, publish, report, notify. One composition of plain functions.

How a step is run is the caller's: plainly, or as a Prefect task run. Whatever happens, the run is written down,
`lake.duckdb` is regenerated, and people hear of a failure.
"""

from collections.abc import Sequence

from flows.building import Ground, build, note_told, prepare_ground, publish_release
from flows.closing import close_run
from flows.describing import describe_project
from flows.gating import gate_layer, gate_pipeline
from flows.ingest import land_source, require_none_held
from flows.inventory import LAYERS
from flows.job import Job, note_broken, open_job
from flows.journal import write_journal
from flows.outcome import Outcome
from flows.paging import gate_pages, render_page, send_page
from flows.planning import Plan, make_plan
from flows.steps import Step
from flows.telling import tell_alerts
from flows.tracing import trace
from flows.verdicts import read_verdicts
from lake.errors import CommitConflict, SluiceError
from lake.project import Project
from lake.releases import Release
from lake.run import Run
from lake.settings import Settings
from lake.store_probe import expect_conditional
from sql.build import Candidate

BUILD_ATTEMPTS = 3


def run_pipeline(
    project: Project, settings: Settings, run: Run, marts: Sequence[str], pages: Sequence[str], step: Step
) -> Outcome:
    """Runs the pipeline for some marts and pages (none named: all) and gives what it came to.

    What a person can mend stops the run and is the outcome's `failure`; anything else that is raised is a bug and goes
    through. In both cases readers keep the release they had.
    """
    with open_job(project, settings, run, step) as job:
        try:
            flow_through(job, marts, pages)
        except SluiceError as failure:
            return close_run(job, failure)
        except BaseException as bug:
            close_run(job, bug)
            raise
        return close_run(job, None)


def flow_through(job: Job, marts: Sequence[str], pages: Sequence[str]) -> None:
    """The way of the data, from sources to readers; raises SluiceError where it is stopped."""
    expect_conditional(job.store)
    step = job.step
    plan = step("plan", make_plan)(job.project, marts, pages)
    note_broken(job, plan.broken)
    if not plan.broken:  # else what was last said of it stays
        describe_project(job, plan.models)
    for contract in plan.contracts:
        step(f"land {contract.source}", land_source)(job, plan, contract)
    require_none_held(job)
    release, is_settled = build_and_publish(job, plan)
    step("write journal", write_journal)(job, release)
    if not is_settled:
        tell_release(job, plan, release)
    step("tell alerts", tell_alerts)(job, plan)


def build_and_publish(job: Job, plan: Plan) -> tuple[Release, bool]:
    """Builds all models of the plan, takes them through every gate, and publishes; again when outrun by another run.

    Gives the release, and whether it was there before and people have had its pages: then there is no more to do.
    """
    for _ in range(BUILD_ATTEMPTS):
        job.findings.keep_gates("raw")
        ground = job.step("read inputs", prepare_ground)(job, plan)
        if ground.base is not None and ground.is_held(plan):
            job.run.note("build-held", f"release {ground.base.id}", reason=ground.base.reason)
            return ground.base, True
        candidates = build_layers(job, plan, ground)
        if ground.base is not None and ground.is_settled(plan, candidates):
            job.step("gate pipeline", gate_pipeline)(job, plan, ground)
            return ground.base, True
        job.step("trace lineage", trace)(job, plan, ground, candidates)
        job.step("gate pipeline", gate_pipeline)(job, plan, ground)
        release = job.step("publish release", publish_release)(job, plan, ground, candidates)
        if release is not None:
            return release, False
    raise CommitConflict(
        "build-outrun",
        f"Other runs published the same tables {BUILD_ATTEMPTS} times while these were being built.",
        cure="Give their schedules different times; nothing is lost.",
    )


def build_layers(job: Job, plan: Plan, ground: Ground) -> list[Candidate]:
    """Builds the models layer by layer, each gated before the next; what stands as released was gated then."""
    candidates: list[Candidate] = []
    for layer in LAYERS:
        models = plan.layer(layer)
        candidates += [job.step(f"build {model.name}", build)(job, ground, model) for model in models]
        if models and not ground.is_settled(plan, candidates):
            job.step(f"gate {layer}", gate_layer)(job, plan, layer)
    return candidates


def tell_release(job: Job, plan: Plan, release: Release) -> None:
    """Draws the pages of a release, reconciles their figures with the marts, and sends them."""
    step = job.step
    verdicts = step("read verdicts", read_verdicts)(job.session, plan)
    rendered = [step(f"render {page.name}", render_page)(job, release, page, verdicts) for page in plan.pages]
    step("gate pages", gate_pages)(job, plan, release, rendered)
    for page in rendered:
        step(f"send {page.name}", send_page)(job, release, page)
    note_told(job, plan, release)
