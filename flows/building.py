"""Building in a run: candidates layer by layer, and, when every gate has let them through, a release of them."""

from flows.job import Job
from flows.planning import Plan
from lake.landing import METADATA_COLUMNS
from lake.releases import Release, ReleasedTable, current_release, publish
from sql.build import Bench, Candidate, build_model
from sql.commits import commit_candidate, consumed_versions
from sql.inputs import prepare_inputs
from sql.models import Model


def open_bench(job: Job, plan: Plan) -> Bench:
    """Puts what the models read into the session and gives where they are built: upon the current release."""
    release = current_release(job.store)
    released = {} if release is None else release.tables
    columns = {
        f"raw.{contract.source}": (
            *((column.name, column.sql_type) for column in contract.columns),
            *METADATA_COLUMNS,
        )
        for contract in plan.contracts
    }
    tables = prepare_inputs(
        job.session,
        job.store,
        plan.order,
        raw_columns=columns,
        reference_dir=job.project.sql_dir / "reference",
        run_id=job.run.id,
    )
    parameters = {"run_id": job.run.id, "run_started_at": job.run.started_at.isoformat()}
    held = frozenset() if release is None else release.held
    return Bench(job.session, job.store, plan.models, released, parameters, tables, held)


def build(job: Job, bench: Bench, model: Model) -> Candidate:
    """Builds one model as a candidate that gates can read and nobody else sees."""
    candidate = build_model(bench, model)
    partitions = {"partitions": list(candidate.partitions)} if candidate.partitions else {}
    job.run.note("model-built", model.name, candidate.row_count, decision=candidate.decision, **partitions)
    return candidate


def publish_release(job: Job, candidates: list[Candidate]) -> Release:
    """Commits every candidate and publishes one release that names them all.

    Readers see the release before, whole, until the last commit of this step. Raises CommitConflict when another
    pipeline was faster on one of the tables.
    """
    versions: dict[str, int] = {}
    tables = []
    for candidate in candidates:
        version = commit_candidate(job.store, candidate, versions, run_id=job.run.id)
        if version is not None:
            versions[candidate.name] = version
        tables.append(_released(candidate, version, versions))
    gates = sum(len(gate.results) for gate in job.findings.gates)
    before = current_release(job.store)
    release = publish(job.session, job.store, job.run, tables, gates_passed=gates)
    job.findings.is_new_release = before is None or release.id != before.id
    return release


def _released(candidate: Candidate, version: int | None, versions: dict[str, int]) -> ReleasedTable:
    return ReleasedTable(
        name=candidate.name,
        kind=candidate.kind,
        version=version,
        row_count=candidate.row_count,
        sql=candidate.sql if candidate.kind == "view" else None,
        inputs=consumed_versions(candidate, versions),
        code_digest=candidate.code_digest,
        partition=candidate.model.header.partition,
    )
