"""Carrying over: what one version's table has landed, landed in another's from the archive."""

from collections.abc import Mapping
from dataclasses import dataclass

from flows.ingest import land_batch
from flows.job import Job
from flows.planning import Plan
from flows.rework import reworking
from flows.workplace import Workplace
from lake.contract import Contract
from lake.errors import GateFailed, TableError
from lake.landing.committing import is_landed
from lake.landing.relanding import recall
from lake.ledger import BatchRecord, find_batches, find_landed, sweep_commits
from sql.header import nearest


@dataclass(frozen=True)
class Carried:
    """What a carrying over came to. Batches: the old table's, `present` in the new one before, `carried` now."""

    batches: int
    present: int
    carried: int
    accepted: int
    quarantined: int
    duplicate: int


def carry(workplace: Workplace, source: str, target: str) -> Carried:
    """Lands the batches of one source in the table of another, in the order in which they were first landed.

    Raises TableError when there is nothing to carry or the target has positions of its own; GateFailed or SourceError
    at the first batch that does not land: those before it are there, and asking again goes on from it.
    """
    with reworking(workplace) as (job, plan):
        contract = _contract(plan, target)
        sweep_commits(job.session, job.store, [source, target], job.run)
        records = _landed(job, source)
        known = {record.batch_id: record for record in find_batches(job.session, job.store, target)}
        _expect_one_line(source, target, records, known)
        made = [_carry_one(job, plan, contract, record, known) for record in records]
        sweep_commits(job.session, job.store, [target], job.run)
        landed = [record for record in made if record is not None]
        job.run.note("batches-carried", target, len(landed), source=source)
        return Carried(
            len(records),
            len(records) - len(landed),
            len(landed),
            *(sum(getattr(record, name) or 0 for record in landed) for name in _COUNTS),
        )


_COUNTS = ("accepted_count", "quarantined_count", "duplicate_count")


def _contract(plan: Plan, target: str) -> Contract:
    contracts = {contract.source: contract for contract in plan.contracts}
    if target not in contracts:
        raise TableError("carry-unknown", f"No contract lands {target!r}.", cure=nearest(target, contracts))
    return contracts[target]


def _landed(job: Job, source: str) -> list[BatchRecord]:
    found = find_landed(job.session, job.store, source)
    if not found:
        raise TableError("carry-unknown", f"Source {source!r} has landed no batch.", cure="See `sluice batch list`.")
    return found


def _expect_one_line(source: str, target: str, records: list[BatchRecord], known: Mapping[str, BatchRecord]) -> None:
    """Raises TableError when the target has read on by itself: two series of positions would be mixed."""
    ours = {record.batch_id for record in records}
    own = [record for record in known.values() if record.position and record.batch_id not in ours]
    if own and any(record.position for record in records):
        raise TableError(
            "carry-too-late",
            f"{target} has read on from its source by itself ({len(own)} batches): those of {source} came before them.",
            cure=f"Carry over before the first run that lands {target}.",
        )


def _carry_one(
    job: Job, plan: Plan, contract: Contract, record: BatchRecord, known: Mapping[str, BatchRecord]
) -> BatchRecord | None:
    """Lands one batch; None when it is there already, or this contract has refused it before."""
    before = known.get(record.batch_id)
    if before is not None and before.status == "refused" and before.contract_digest == contract.digest:
        return None
    batch = recall(job.session, job.store, contract, record, job.run)
    if is_landed(job.store, batch):
        return None
    made = land_batch(job, plan, batch)
    if made is not None and made.status != "landed":
        raise GateFailed(
            "carry-stopped",
            f"The raw gate held back batch {record.batch_id[:12]} ({record.origin}): {made.error}.",
            cure=f"Admit or refuse {contract.source}:{record.batch_id[:12]}, or mend the contract; then carry again.",
        )
    return made
