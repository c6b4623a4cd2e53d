"""How far sources are ahead of the lake, asked of those that can tell."""

import time
from collections.abc import Iterator

from flows.job import Job
from lake.contract import Contract
from lake.errors import SluiceError
from lake.ledger import find_batches
from lake.sources.lag import Lag
from lake.sources.opening import LAGS, measure_lag
from lake.sources.visit import Visit

MOST_BEHIND = "mostBehind"  # the custom property of a server that says from when on people are told
MOST_UNLESS_SAID = {"bytes": str(1 << 30)}  # a log that is not read fills the disk of its database


def lag_measures(job: Job) -> Iterator[tuple[str, str, float, str]]:
    """Gives what waits at each source that can tell, its parts apart when it has several, and the most it may be.

    A source that cannot be asked now has no such row; that and why is in the audit log.
    """
    asked = [
        contract.at(server)
        for _, contract in sorted(job.project.sound_contracts().items())
        for server in contract.servers
        if server.kind in LAGS
    ]
    for contract in asked:
        try:
            lags = ask_lag(job, contract)
        except SluiceError as failure:
            job.run.note("lag-unknown", contract.source, code=failure.code, error=failure.message)
            continue
        if not lags:
            continue
        unit = lags[0].unit
        yield "source_behind", contract.source, sum(lag.behind for lag in lags), unit
        waits = [lag.oldest_seconds for lag in lags if lag.oldest_seconds is not None]
        if waits:
            yield "source_oldest_waiting", contract.source, max(waits), "seconds"
        if len(lags) > 1:
            for lag in lags:
                yield "source_part_behind", f"{contract.source} {lag.part}", lag.behind, lag.unit
        allowed = contract.server.options.get(MOST_BEHIND, MOST_UNLESS_SAID.get(unit))
        if allowed is not None:
            yield "source_allowed_behind", contract.source, float(allowed), unit


def ask_lag(job: Job, contract: Contract) -> list[Lag]:
    """Asks a source what waits there; raises SluiceError when it cannot be asked."""
    known = {record.batch_id: record for record in find_batches(job.session, job.store, contract.source)}
    visit = Visit(
        contract, job.project.root, job.session.scratch, job.run, job.secrets, time.sleep, known, lake=job.store.uri
    )
    return list(measure_lag(visit))
