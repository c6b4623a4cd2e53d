"""The end of a run, however it came: told, written down, readable."""

from pathlib import Path

from flows.interrupts import is_interrupt
from flows.job import Job
from flows.journal import write_down
from flows.outcome import GateOutcome, Outcome
from flows.telling import tell_failure
from lake.catalogue import write_catalogue
from lake.engine import Session
from lake.errors import DeliveryError, SluiceError
from lake.releases import Release, current_release


def close_run(job: Job, failure: BaseException | None) -> Outcome:
    """Tells a failure, writes the run down, regenerates `lake.duckdb`, and gives the outcome.

    It works in a session of its own, since the run's may be what failed.
    """
    _note_end(job, failure)
    release, path, found = None, job.settings.output / "lake.duckdb", job.findings
    try:
        release = None if _is_unfit(failure) else _write_out(job, path)
    except SluiceError as error:
        if failure is None:
            raise
        job.run.note("run-unwritten", job.project.root.name, error=error.message)  # what failed first is what counts
    return Outcome(
        run_id=job.run.id,
        failure=failure if isinstance(failure, SluiceError) else None,
        release=None if release is None else release.id,
        is_new_release=found.is_new_release,
        sources=tuple(found.sources),
        gates=tuple(GateOutcome.of(stage, verdicts) for stage, verdicts in found.gates_by_stage().items()),
        pages=tuple(found.pages),
        alerts=tuple(found.alerts),
        deliveries=tuple(found.deliveries),
        lake_file=str(path),
        seconds=found.seconds,
        total_seconds=_seconds_since_start(job),
    )


def _is_unfit(failure: BaseException | None) -> bool:
    """Says whether the lake's place can carry none: then nothing may be written there."""
    return isinstance(failure, SluiceError) and failure.code == "store-unconditional"


def _write_out(job: Job, path: Path) -> Release | None:
    with Session(job.settings.limits, job.store) as session:
        write_down(job, session)
        write_catalogue(session, job.store, path, list(job.project.contracts().values()))
        return current_release(session, job.store)


def _note_end(job: Job, failure: BaseException | None) -> None:
    subject = job.project.root.name
    job.run.note(
        "run-finished",
        subject,
        sum(source.read for source in job.findings.sources),
        pipeline=subject,
        outcome="ok" if failure is None else "failed",
        started_at=job.run.started_at.isoformat(),
        seconds=_seconds_since_start(job),
        **({} if failure is None else {"error": _words(failure), "code": getattr(failure, "code", "bug")}),
    )
    if isinstance(failure, Exception) and not is_interrupt(failure):  # an interruption is somebody's wish
        try:
            tell_failure(job, failure)
        except DeliveryError as error:
            job.run.note("alert-undelivered", subject, error=error.message)


def _seconds_since_start(job: Job) -> float:
    return round((job.run.clock() - job.run.started_at).total_seconds(), 3)


def _words(failure: BaseException) -> str:
    return failure.message if isinstance(failure, SluiceError) else type(failure).__name__
