"""Building in a run: candidates upon the current release, and, when every gate has let them through, a new one."""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.job import Job
from flows.planning import Plan
from lake.errors import CommitConflict
from lake.landing.judging import METADATA_COLUMNS
from lake.ledger import events_sql
from lake.releases import Publication, Release, ReleasedTable, current_release, publish
from sql.build import Bench, Candidate, build_model
from sql.commits import commit_candidate, consumed_versions
from sql.inputs import Columns, Standing, prepare_inputs
from sql.models import Model
from sql.parameters import run_parameters


@dataclass(frozen=True)
class Ground:
    """What a build stands on: the release it begins with (None: the first ever) and the bench of its models.

    `told` is the digest of the checks that `base` passed and the pages that were sent of it.
    """

    base: Release | None
    bench: Bench
    told: str | None

    def is_held(self, plan: Plan) -> bool:
        """Whether a rollback holds every table the plan would build; a plan of no models is only about its sources."""
        models = {model.name for model in plan.order}
        return self.base is not None and bool(models) and models <= self.base.held

    def is_settled(self, plan: Plan, candidates: Sequence[Candidate]) -> bool:
        """Whether the release shows the candidates as they are, gated and told by the plan's own checks and pages."""
        if self.base is None or self.told != plan.digest:
            return False
        return all(_stands(candidate, self.base) for candidate in candidates) and not self.moved_inputs(plan)

    def moved_inputs(self, plan: Plan) -> list[ReleasedTable]:
        """Gives the raw and reference tables that the release shows in another version, or not at all."""
        released = {} if self.base is None else self.base.tables
        return [table for table in self.inputs(plan) if table != released.get(table.name)]

    def inputs(self, plan: Plan) -> list[ReleasedTable]:
        """Gives the raw and reference tables as this run reads them, but for those a rollback holds."""
        held = frozenset() if self.base is None else self.base.held
        read = [table for name, table in self.bench.tables.items() if name not in plan.models and name not in held]
        return [_released_input(table, plan) for table in read]


def prepare_ground(job: Job, plan: Plan) -> Ground:
    """Puts what the models read into the session, and gives where they are built: upon the current release."""
    base = current_release(job.session, job.store)
    released = {} if base is None else base.tables
    held = frozenset() if base is None else base.held
    tables = prepare_inputs(
        job.session,
        job.store,
        plan.order,
        raw_columns=_raw_columns(plan),
        reference_dir=job.project.reference_dir,
        run_id=job.run.id,
        read_beside=[*(f"raw.{contract.source}" for contract in plan.contracts), *plan.references],
        pinned={name: table.version for name, table in released.items() if name in held and table.version is not None},
    )
    bench = Bench(job.session, job.store, plan.models, released, run_parameters(job.run), tables, held)
    return Ground(base, bench, None if base is None else _told(job, base))


def build(job: Job, ground: Ground, model: Model) -> Candidate:
    """Builds one model as a candidate that gates can read and nobody else sees."""
    candidate = build_model(ground.bench, model)
    partitions = {"partitions": list(candidate.partitions)} if candidate.partitions else {}
    job.run.note("model-built", model.name, candidate.row_count, decision=candidate.decision, **partitions)
    return candidate


def publish_release(job: Job, plan: Plan, ground: Ground, candidates: Sequence[Candidate]) -> Release | None:
    """Commits every candidate, then publishes one release that names them all; the same one when nothing changed.

    Readers see the release before, whole, until the last commit of this step. Gives None when another pipeline was
    faster on one of the tables: then everything is to be built and gated again upon its release.
    """
    stand = ground.base is not None and all(_stands(candidate, ground.base) for candidate in candidates)
    if stand and not ground.moved_inputs(plan):
        return ground.base
    free = [candidate for candidate in candidates if candidate.name not in ground.bench.held]
    checks = sum(len(gate.results) for gate in job.findings.gates)
    try:
        tables = [*ground.inputs(plan), *_commit(job, free)]
        release = publish(job.session, job.store, Publication(tables, ground.base, checks), job.run)
    except CommitConflict as conflict:
        job.run.note("build-outrun", job.project.root.name, reason=conflict.message)
        return None
    job.findings.is_new_release = True
    return release


def note_told(job: Job, plan: Plan, release: Release) -> None:
    """Notes that a release has passed the plan's checks and that its pages were sent."""
    job.run.note("release-told", f"release {release.id}", len(plan.pages), plan=plan.digest)


def _told(job: Job, base: Release) -> str | None:
    rows = job.session.rows(
        f"""
        select details ->> 'plan' from ({events_sql(job.store)})
        where event = 'release-told' and subject = 'release {base.id}'
        order by "at" desc limit 1
        """
    )
    return rows[0][0] if rows else None


def _commit(job: Job, candidates: Sequence[Candidate]) -> list[ReleasedTable]:
    versions: dict[str, int] = {}
    tables = []
    for candidate in candidates:
        version = commit_candidate(job.store, candidate, versions, run_id=job.run.id)
        if version is not None:
            versions[candidate.name] = version
        tables.append(_released(candidate, version, versions))
    return tables


def _stands(candidate: Candidate, base: Release) -> bool:
    """Whether the release says of a candidate all there is to say."""
    before = base.tables.get(candidate.name)
    if before is None or candidate.pending or candidate.decision not in ("view", "unchanged"):
        return False
    return before == _released(candidate, candidate.base_version, {})


def _released(candidate: Candidate, version: int | None, versions: dict[str, int]) -> ReleasedTable:
    return ReleasedTable(
        name=candidate.name,
        kind=candidate.kind,
        version=version,
        row_count=candidate.row_count,
        sql=candidate.sql if candidate.kind == "view" else None,
        columns=candidate.columns,
        inputs=consumed_versions(candidate, versions),
        code_digest=candidate.code_digest,
        partition=candidate.model.header.partition,
        key=candidate.model.header.key([name for name, _ in candidate.columns]),
    )


def _released_input(table: Standing, plan: Plan) -> ReleasedTable:
    """Gives a raw or reference table as this run read it."""
    contract = next((each for each in plan.contracts if table.name == f"raw.{each.source}"), None)
    return ReleasedTable(
        name=table.name,
        kind="table",
        version=table.version,
        row_count=sum(file.row_count for file in table.files),
        sql=None,
        columns=table.columns,
        inputs={},
        code_digest="" if contract is None else contract.digest,
        key=() if contract is None else contract.key,
    )


def _raw_columns(plan: Plan) -> dict[str, Columns]:
    return {
        f"raw.{contract.source}": (
            *((column.name, column.sql_type) for column in contract.columns),
            *METADATA_COLUMNS,
        )
        for contract in plan.contracts
    }
