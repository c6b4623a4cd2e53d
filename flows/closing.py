"""Writing a run down: while it goes on, so that its own pages show it, and at its end, however it came."""

from flows.job import Job
from flows.outcome import GateOutcome, Outcome
from flows.telling import tell_failure
from lake.catalogue import show_lake, write_catalogue
from lake.engine import Session
from lake.errors import DeliveryError, SluiceError
from lake.ledger import sweep_commits, write_events
from lake.odcs import find_contracts
from lake.releases import current_release


def write_journal(job: Job) -> None:
    """Writes events and ledger so far into the lake, and shows the lake's `ops` and release in the session.

    Tables and views that this run made stay as they stand in the session.
    """
    _write_down(job, job.session)
    show_lake(job.session, job.store, keep=True)


def close_run(job: Job, failure: BaseException | None) -> Outcome:
    """Tells a failure, writes the run down, regenerates `lake.duckdb`, and gives the outcome.

    It works in a session of its own, since the run's may be what failed.
    """
    _note_end(job, failure)
    with Session(job.settings.limits) as session:
        _write_down(job, session)
        path = write_catalogue(session, job.store, job.settings.output)
    release = current_release(job.store)
    found = job.findings
    return Outcome(
        run_id=job.run.id,
        failure=failure if isinstance(failure, SluiceError) else None,
        release=None if release is None else release.id,
        is_new_release=found.is_new_release,
        sources=tuple(found.sources),
        gates=tuple(GateOutcome.of(gate) for gate in found.gates),
        pages=tuple(found.pages),
        alerts=tuple(found.alerts),
        deliveries=tuple(found.deliveries),
        lake_file=str(path),
        seconds=found.seconds,
    )


def _write_down(job: Job, session: Session) -> None:
    sweep_commits(session, job.store, find_contracts(job.project.contracts_dir))
    write_events(session, job.store, job.run)


def _note_end(job: Job, failure: BaseException | None) -> None:
    subject = job.project.root.name
    if failure is None:
        job.run.note("run-ended", subject)
        return
    words = failure.message if isinstance(failure, SluiceError) else type(failure).__name__
    job.run.note("run-failed", subject, error=words, code=getattr(failure, "code", "bug"))
    if isinstance(failure, Exception):  # an interruption is somebody's wish, and nobody needs be told
        try:
            tell_failure(job, failure)
        except DeliveryError as error:
            job.run.note("alert-undelivered", subject, error=error.message)
