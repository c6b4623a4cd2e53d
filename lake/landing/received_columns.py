"""Judging a delivery's columns: by the contract's policy, with a suggestion where one can be made, and written down."""

from lake.contract import Contract
from lake.engine import Session
from lake.formats.reading import UNKNOWN_KEYS, Reading
from lake.landing.batch import Batch, raw_name
from lake.landing.drift import Differences, Drift, apply_policy, find_differences, refusal
from lake.landing.resemblance import describe_unknown, mostly_unfit, suggest_renames
from lake.run import Run
from lake.sources.delivery import ALONE
from lake.table_versions import TableVersion


def judge_columns(
    session: Session, contract: Contract, reading: Reading, base: TableVersion | None, batch: Batch, run: Run
) -> Drift:
    """Applies the drift policy to the received columns, and notes what differs; raises SourceError under `refuse`."""
    if batch.delivery.kind in ALONE:
        return _judge_alone(contract, reading, base, batch, run)
    if not reading.columns:
        return Drift()  # a delivery without a single record says nothing of columns
    known = () if base is None else tuple(name for name, _ in base.columns)
    found = find_differences(contract, reading.columns, known)
    renames = suggest_renames(session, contract, found, reading)
    drift = apply_policy(contract, reading.columns, known, found, renames)
    if drift.told:
        types = describe_unknown(session, contract, found.unknown, reading)
        told = drift.told + (
            f" ({', '.join(f'{name} looks like {kind}' for name, kind in types.items())})" * bool(types)
        )
        _note(contract, batch, run, told, drift.outcome)
    if contract.drift == "refuse" and found:
        raise refusal(contract, drift, batch.delivery.origin)
    return drift


def _judge_alone(contract: Contract, reading: Reading, base: TableVersion | None, batch: Batch, run: Run) -> Drift:
    """Applies the policy to records of which none answers for another: a missing key is a missing value.

    A key that is not known makes its own record bad, unless the policy is `evolve`.
    """
    known = () if base is None else tuple(name for name, _ in base.columns)
    received = [name for name in reading.columns if name != UNKNOWN_KEYS]
    unknown = find_differences(contract, received, known).unknown
    drift = apply_policy(contract, received, known, Differences(unknown=unknown), ())
    if UNKNOWN_KEYS in reading.columns:
        _note(contract, batch, run, "some records have keys that are not known", "these records are quarantined")
    elif drift.told:
        _note(contract, batch, run, drift.told, drift.outcome)
    return drift


def note_unfit(session: Session, contract: Contract, reading: Reading, drift: Drift, batch: Batch, run: Run) -> None:
    """Notes the columns most of whose loaded values are not of the promised type: the source has changed, not a row."""
    if drift.complaint is None:
        for told in mostly_unfit(session, contract, reading, "landing.rows"):
            _note(contract, batch, run, told, "these records are quarantined")


def _note(contract: Contract, batch: Batch, run: Run, told: str, outcome: str) -> None:
    origin = batch.delivery.origin
    run.note(
        "schema-drifted",
        raw_name(contract),
        batch_id=batch.batch_id,
        contract_version=contract.version,
        policy=contract.drift,
        outcome=outcome,
        change=f"drift in {origin}: {told}; {contract.drift}: {outcome}",
    )
