"""The end of a run, however it came: written down, readable, and told."""

from pathlib import Path

from flows.job import Job
from flows.outcome import Outcome
from flows.steps import seconds_per_step
from flows.telling import tell_failure
from lake.catalogue import write_catalogue
from lake.engine import Session
from lake.errors import DeliveryError, SluiceError
from lake.ledger import sweep_commits, write_events
from lake.odcs import find_contracts
from lake.releases import current_release


def close_run(job: Job, failure: BaseException | None) -> Outcome:
    """Tells a failure, writes the run's events and ledger down, regenerates `lake.duckdb`, and gives the outcome.

    It works in a session of its own, since the run's may be what failed.
    """
    seconds = seconds_per_step(job.run)
    _note_end(job, failure)
    with Session(job.settings.limits) as session:
        sweep_commits(session, job.store, find_sources(job))
        write_events(session, job.store, job.run)
        path = write_catalogue(session, job.store, job.settings.output)
    release = current_release(job.store)
    return Outcome(
        run_id=job.run.id,
        failure=failure if isinstance(failure, SluiceError) else None,
        release=None if release is None else release.id,
        is_new_release=job.findings.is_new_release,
        sources=tuple(job.findings.sources),
        gates=tuple(job.findings.gates),
        pages=tuple(job.findings.pages),
        alerts=tuple(job.findings.alerts),
        lake_file=str(path),
        seconds=seconds,
    )


def _note_end(job: Job, failure: BaseException | None) -> None:
    if failure is None:
        job.run.note("run-ended", job.project.root.name)
        return
    words = failure.message if isinstance(failure, SluiceError) else type(failure).__name__
    job.run.note("run-failed", job.project.root.name, error=words, code=getattr(failure, "code", "bug"))
    if isinstance(failure, Exception):  # an interruption is somebody's wish
        try:
            tell_failure(job, failure)
        except DeliveryError as error:
            job.run.note("alert-undelivered", "run-failed", error=error.message)
