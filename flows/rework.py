"""What a person decides about batches and records: admit, refuse, land again, replay."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from flows.ingest import gate_batch
from flows.job import Job, open_job
from flows.journal import write_down
from flows.planning import Plan, make_landing_plan
from flows.steps import plain_step
from flows.workplace import Workplace
from lake.catalogue import write_catalogue
from lake.contract import Contract
from lake.errors import GateFailed, TableError
from lake.landing.batch import PreparedBatch
from lake.landing.committing import commit, expect_new, is_landed
from lake.landing.judging import judge, show_candidate
from lake.landing.relanding import find_batch, judge_again, judge_replay, make_replay, recall, refuse
from lake.landing.replacing import expect_current
from lake.ledger import BatchRecord, find_batches, sweep_commits
from lake.store_probe import expect_conditional

Work = Callable[[Job, Plan, Contract, BatchRecord], BatchRecord]


def admit_batch(workplace: Workplace, prefix: str) -> BatchRecord:
    """Takes a held batch into raw although its gate failed; raises TableError when it is not held."""

    def work(job: Job, _plan: Plan, contract: Contract, record: BatchRecord) -> BatchRecord:
        _expect_status(record, "held")
        batch = recall(job.session, job.store, contract, record, job.run)
        prepared = judge(job.session, job.store, batch, job.run)
        expect_new(job.store, prepared)
        _expect_current(job, contract, record)
        job.run.note("batch-admitted", record.source, batch_id=record.batch_id)
        return commit(job.store, prepared, job.run)

    return _rework(workplace, prefix, work)


def refuse_batch(workplace: Workplace, prefix: str, why: str) -> BatchRecord:
    """Refuses a held batch for good; its bytes stay in the archive."""

    def work(job: Job, _plan: Plan, contract: Contract, record: BatchRecord) -> BatchRecord:
        _expect_status(record, "held")
        batch = recall(job.session, job.store, contract, record, job.run)
        refused = refuse(job.session, job.store, batch, job.run, why)
        if is_landed(job.store, batch):  # somebody has admitted it in this moment: what is in raw is landed
            _expect_status(replace(record, status="landed"), "held")
        return refused

    return _rework(workplace, prefix, work)


def reland_batch(workplace: Workplace, prefix: str) -> BatchRecord:
    """Takes a batch's archived bytes through today's contract and gate; its rows are replaced in one commit."""

    def work(job: Job, plan: Plan, contract: Contract, record: BatchRecord) -> BatchRecord:
        batch = recall(job.session, job.store, contract, record, job.run)
        prepared = judge_again(job.session, job.store, batch, job.run)
        _expect_current(job, contract, record)
        return _commit_gated(job, plan, prepared)

    return _rework(workplace, prefix, work)


def replay_batch(workplace: Workplace, prefix: str, mended: Path | None) -> BatchRecord:
    """Takes a batch's open quarantined records, as they were or mended, through today's contract and gate."""

    def work(job: Job, plan: Plan, contract: Contract, record: BatchRecord) -> BatchRecord:
        _expect_current(job, contract, record)  # else there would be nothing to replay, for no reason that is told
        batch = make_replay(job.session, job.store, contract, record, mended, job.run)
        prepared = judge_replay(job.session, job.store, batch, job.run)
        _expect_current(job, contract, record)
        return _commit_gated(job, plan, prepared)

    return _rework(workplace, prefix, work)


def _rework(workplace: Workplace, prefix: str, work: Work) -> BatchRecord:
    with reworking(workplace) as (job, plan):
        sweep_commits(
            job.session, job.store, job.project.sound_contracts(), job.run
        )  # a run that died after its commit did not
        record = find_batch(job.session, job.store, prefix)
        return work(job, plan, _contract_of(plan, record), record)


@contextmanager
def reworking(workplace: Workplace) -> Iterator[tuple[Job, Plan]]:
    """Gives a job and the plan of landing for work that a person asks for; it is written down however it ends."""
    with (
        workplace.begun() as run,
        open_job(workplace.place, workplace.settings, run, plain_step) as job,
    ):
        expect_conditional(job.store)
        try:
            yield job, make_landing_plan(job.project)
        finally:
            write_down(job, job.session)
            contracts = list(job.project.sound_contracts().values())
            write_catalogue(job.session, job.store, job.settings.output / "lake.duckdb", contracts)


def _commit_gated(job: Job, plan: Plan, prepared: PreparedBatch) -> BatchRecord:
    show_candidate(job.session, prepared)
    gate = gate_batch(job, plan, prepared)
    if not gate.passed:
        raise GateFailed(
            "gate-failed",
            f"The raw gate is closed: {'; '.join(str(failure) for failure in gate.failures)}.",
            cure="Nothing was changed. Mend the records or the contract, and try again.",
        )
    return commit(job.store, prepared, job.run)


def _contract_of(plan: Plan, record: BatchRecord) -> Contract:
    for contract in plan.contracts:
        if contract.source == record.source:
            return contract
    plan.expect_sound(record.source)
    raise TableError(
        "batch-contract-missing",
        f"Batch {record.batch_id} is of source {record.source!r}, which has no contract any more.",
        cure="Bring its contract back.",
    )


def _expect_current(job: Job, contract: Contract, record: BatchRecord) -> None:
    """Raises TableError when another delivery has replaced this one's rows since.

    It is asked once the batch is judged: what lands after that, on the same version of raw, the commit itself refuses.
    """
    if contract.load == "replace":
        sweep_commits(job.session, job.store, [contract.source], job.run)
        expect_current(record, find_batches(job.session, job.store, contract.source))


def _expect_status(record: BatchRecord, status: str) -> None:
    if record.status != status:
        raise TableError(
            "batch-not-held",
            f"Batch {record.batch_id} is {record.status}, not {status}.",
            cure="See `sluice batch list`.",
        )
