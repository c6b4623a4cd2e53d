"""Landing in a run: every new delivery of a source, through the raw gate, into the lake or held back."""

import time
from collections.abc import Mapping

from checks.contract_suite import contract_suite
from checks.gate import run_gate
from checks.verdict import GateResult
from flows.gating import note_gate
from flows.job import Job
from flows.outcome import SourceOutcome
from flows.planning import Plan
from flows.schema_watch import watch_schema
from lake.archive import is_kept
from lake.contract import Contract
from lake.errors import CommitConflict, GateFailed, SluiceError, SourceError
from lake.landing.batch import Batch, PreparedBatch, another_attempt, identify
from lake.landing.committing import commit, is_landed, landed_meanwhile, set_aside
from lake.landing.deletions import write_deletions
from lake.landing.judging import prepare, show_candidate
from lake.landing.replacing import emptying, renewed
from lake.landing.widening import fit_raw
from lake.ledger import BatchRecord, BatchStatus, find_batches, sweep_commits
from lake.sources.delivery import Delivery
from lake.sources.opening import open_source
from lake.sources.visit import Visit
from lake.watermarks import watermark_since

FILE_CHANGED = "file-changed"  # an error that says nothing of what a file holds: it will be taken anew
LANDING_ATTEMPTS = 20  # each one that fails means that another run has landed something


def land_source(job: Job, plan: Plan, contract: Contract) -> SourceOutcome:
    """Lands what a source has delivered since, batch by batch, and gives what became of it.

    A batch that was held or refused stays so until a person or a new contract says otherwise. Raises SourceError when a
    delivery cannot be taken at all, after those beside it were; whatever could be landed is in the lake by then. Raises
    ContractError when the contract differs from its operational schema and refuses drift.
    """
    watch_schema(job, contract)
    fit_raw(job.session, job.store, contract, job.run)  # a contract that breaks a promise is refused before anything
    known = _known(job, contract)
    visit = _visit(job, contract, known)
    records: list[BatchRecord] = []
    try:
        failures = _land_servers(job, plan, visit, records)
    finally:  # what landed before a source failed is in the lake, and is told
        outcome = _outcome(contract.source, records, known)
        job.findings.sources.append(outcome)
    if failures:
        raise failures[0]
    return outcome


def _land_servers(job: Job, plan: Plan, visit: Visit, records: list[BatchRecord]) -> list[SluiceError]:
    """Visits one server of a contract after the other; gives what failed, that which stopped a whole server first."""
    stopped: list[SluiceError] = []
    refusals: list[SluiceError] = []
    for server in visit.contract.servers:
        if job.is_stopping():
            break
        try:
            refusals += _land_deliveries(job, plan, visit.at(server), records)
        except SluiceError as failure:
            stopped.append(failure)
    return stopped + refusals


def _known(job: Job, contract: Contract) -> dict[str, BatchRecord]:
    """Gives what became of the batches of a source, by their ids."""
    sweep_commits(job.session, job.store, [contract.source], job.run)  # a run that died after its commit did not
    return {record.batch_id: record for record in find_batches(job.session, job.store, contract.source)}


def _visit(job: Job, contract: Contract, known: Mapping[str, BatchRecord]) -> Visit:
    scratch = job.session.scratch / "deliveries"
    scratch.mkdir(exist_ok=True)
    since = watermark_since(job.session, contract, known.values())
    return Visit(
        *(contract, job.project.root, scratch, job.run, job.secrets, time.sleep, known, since, job.settings.spool),
        lake=job.store.uri,
        may_wait=job.may_wait,
        anew=contract.source in job.anew,
        look=lambda: _known(job, contract),
        find_gone=lambda keys, gone: write_deletions(job.session, job.store, contract, keys, gone, job.run.started_at),
    )


def _land_deliveries(job: Job, plan: Plan, visit: Visit, records: list[BatchRecord]) -> list[SourceError]:
    """Lands delivery after delivery into `records`, and gives those refused; one stops only what is read on from it."""
    refusals: list[SourceError] = []
    if visit.contract.server.has_position and visit.waits_for is not None:
        job.run.note("source-waits", visit.contract.source, held_batch=visit.waits_for.batch_id)
        return refusals
    for delivery in open_source(visit):
        if job.is_stopping():
            break
        try:
            record = _land_delivery(job, plan, visit, delivery)
        except SourceError as refusal:
            if delivery.position:
                raise
            refusals.append(refusal)
            continue
        records += [] if record is None else [record]
        if delivery.position and (record is None or record.status != "landed"):
            job.run.note("source-stopped", visit.contract.source, origin=delivery.origin)
            break
    return refusals


def _land_delivery(job: Job, plan: Plan, visit: Visit, delivery: Delivery) -> BatchRecord | None:
    """Lands one delivery and tells its source what became of it; None when that was settled before or elsewhere."""
    batch = identify(visit.contract, delivery, job.run)
    if visit.contract.load == "replace":
        sweep_commits(job.session, job.store, [visit.contract.source], job.run)
        batch = renewed(batch, find_batches(job.session, job.store, visit.contract.source))
    if is_landed(job.store, batch):
        _settle_landed(delivery)
        return None
    before = visit.known.get(batch.batch_id)
    if before is not None and _is_decided(before, visit.contract, job.run.id):
        delivery.settle(before.status, before.error)
        return None
    try:
        record = land_batch(job, plan, batch)
    except SourceError as refusal:
        if _is_decision(job, batch, refusal):
            delivery.settle("refused", refusal.message)
        raise
    if record is None:
        _settle_landed(delivery)
    else:
        delivery.settle(record.status, record.error)
    return record


def land_batch(job: Job, plan: Plan, batch: Batch) -> BatchRecord | None:
    """Takes one batch through the raw gate: committed when it passes, held when it does not.

    When another run lands something in the same table meanwhile, the batch is judged anew at once; None when that was
    this very batch, or what has replaced it at its source. Raises CommitConflict when that has happened too often.
    """
    for _ in range(LANDING_ATTEMPTS):
        try:
            return _try_batch(job, plan, batch)
        except CommitConflict as conflict:
            job.run.note("landing-outrun", batch.contract.source, batch_id=batch.batch_id, reason=conflict.message)
        if is_landed(job.store, batch):
            return None
        batch = another_attempt(batch, job.run)
    raise CommitConflict(
        "landing-outrun",
        f"Other runs landed in raw.{batch.contract.source} {LANDING_ATTEMPTS} times while {batch.delivery.origin} was "
        "being judged.",
        cure="Give their schedules different times; nothing is lost.",
    )


def _try_batch(job: Job, plan: Plan, batch: Batch) -> BatchRecord | None:
    try:
        prepared = prepare(job.session, job.store, batch, job.run)
    except SourceError as error:
        if _is_decision(job, batch, error):
            _set_aside(job, batch, "refused", error.message)
        raise
    if _is_overtaken(job, batch):
        job.run.note("landing-overtaken", batch.contract.source, batch_id=batch.batch_id, origin=batch.delivery.origin)
        return None
    show_candidate(job.session, prepared)
    gate = job.step(f"gate raw.{batch.contract.source}", gate_batch)(job, plan, prepared)
    reasons = [str(failure) for failure in gate.failures]
    reasons += [] if (empty := emptying(prepared)) is None else [empty]
    if gate.passed and not reasons:
        return commit(job.store, prepared, job.run)
    return _set_aside(job, prepared.batch, "held", "; ".join(reasons))


def _is_overtaken(job: Job, batch: Batch) -> bool:
    """Says whether another run has landed what stands at the delivery's place now: that is the newer, and stays so.

    Asked once the batch is judged: what lands from here on makes its commit fail, and it is asked again.
    """
    delivery, source = batch.delivery, batch.contract.source
    mark = delivery.look()
    if mark in (None, delivery.state):
        return False
    sweep_commits(job.session, job.store, [source], job.run)
    landed = [record for record in find_batches(job.session, job.store, source) if record.status == "landed"]
    return any((record.origin, record.file_state) == (delivery.origin, mark) for record in landed)


def _settle_landed(delivery: Delivery) -> None:
    """Tells a source that its delivery is in the lake already, by another run or an earlier one.

    A batch that is known by its place in a series may have ended sooner in the other's hands: its source hears of that
    from the lake's own position, when it is read on from there.
    """
    if not delivery.position:
        delivery.settle("landed", None)


def _is_decision(job: Job, batch: Batch, refusal: SourceError) -> bool:
    """Says whether a refusal is of what was received: not when that was changed or taken away under our hands."""
    return refusal.code != FILE_CHANGED and is_kept(batch.receipt, job.store)


def _set_aside(job: Job, batch: Batch, status: BatchStatus, why: str) -> BatchRecord:
    """Records a batch that does not land; raises CommitConflict when another run has landed it meanwhile."""
    if is_landed(job.store, batch):
        raise landed_meanwhile(batch)
    return set_aside(job.session, job.store, batch, job.run, status, why)


def gate_batch(job: Job, plan: Plan, prepared: PreparedBatch) -> GateResult:
    """Checks the rows that the batch would add, by its contract and by the checks written for the source."""
    contract = prepared.batch.contract
    written = [suite for suite in plan.checks_of("raw", {f"raw.{contract.source}"}) if suite.path != contract.path]
    suites = (contract_suite(contract, candidate_rows=prepared.accepted_count), *written)
    gate = run_gate(job.session, "raw", suites, plan.masked, now=job.run.started_at)
    note_gate(job, gate)
    return gate


def require_none_held(job: Job) -> None:
    """Stops the run when its own raw gate held a batch back; raises GateFailed naming the batches."""
    held = [batch for source in job.findings.sources for batch in source.held_batches]
    if held:
        raise GateFailed(
            "batch-held",
            f"The raw gate held back {', '.join(held)}: archived, not in raw, and nothing downstream was built.",
            cure=f"Look with `sluice batch show {held[0]}`, then admit or refuse it.",
        )


def _is_decided(record: BatchRecord, contract: Contract, run_id: str) -> bool:
    """Whether a batch was held or refused before, under this very contract, and not by a try of this run."""
    return record.contract_digest == contract.digest and record.run_id != run_id


def _outcome(source: str, records: list[BatchRecord], known: Mapping[str, BatchRecord]) -> SourceOutcome:
    landed = [record for record in records if record.status == "landed"]
    return SourceOutcome(
        source=source,
        batches=len(landed),
        read=sum(record.read_count or 0 for record in landed),
        accepted=sum(record.accepted_count or 0 for record in landed),
        quarantined=sum(record.quarantined_count or 0 for record in landed),
        duplicate=sum(record.duplicate_count or 0 for record in landed),
        held_batches=tuple(record.batch_id for record in records if record.status == "held"),
        waiting_batches=tuple(batch for batch, record in known.items() if record.status == "held"),
    )
