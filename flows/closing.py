"""The end of a run, however it came: written down, told, drawn, readable."""

from pathlib import Path

from flows.aftermath import after_run, draw_standing_pages, show_news, tell_failed_run, tell_platform
from flows.held_pages import mark_held_pages
from flows.interrupts import is_interrupt
from flows.job import Job
from flows.outcome import GateOutcome, Outcome
from lake.catalogue import write_catalogue
from lake.errors import SluiceError
from lake.ledger import write_events
from lake.releases import Release, current_release


def close_run(job: Job, failure: BaseException | None, name: str | None = None) -> Outcome:
    """Ends a run of the pipeline, which bears the project's name, or another run, and gives the outcome."""
    release = end_run(job, failure, name or job.project.root.name)
    found = job.findings
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
        warnings=tuple(found.warnings),
        lake_file=str(_lake_file(job)),
        seconds=found.seconds,
        total_seconds=_seconds_since_start(job),
    )


def end_run(job: Job, failure: BaseException | None, name: str) -> Release | None:
    """Writes a run down under a name, tells alerts about it, draws the standing pages, regenerates `lake.duckdb`.

    It works in a session of its own, since the run's may be what failed; what failed first is what counts and is told,
    even where nothing can be written. Gives the release readers see, None when that is not to be known.
    """
    _note_end(job, failure, name)
    told = failure if isinstance(failure, Exception) and not is_interrupt(failure) else None  # else somebody's wish
    release = None
    try:
        release = None if _is_unfit(failure) else _write_out(job, told)
    except SluiceError as error:
        if failure is None:
            raise
        job.run.note("run-unwritten", job.project.root.name, error=error.message)
    if told is not None and not job.findings.is_failure_told:
        tell_failed_run(job, told)
    return release


def _is_unfit(failure: BaseException | None) -> bool:
    """Says whether the lake's place can carry none: then nothing may be written there."""
    return isinstance(failure, SluiceError) and failure.code == "store-unconditional"


def _write_out(job: Job, told: Exception | None) -> Release | None:
    with after_run(job) as after:
        tell_platform(after, told)
        show_news(after)
        mark_held_pages(after)
        draw_standing_pages(after)
        write_events(after.session, after.store, after.run)
        write_catalogue(after.session, job.store, _lake_file(job), list(job.project.sound_contracts().values()))
        return current_release(after.session, job.store)


def _lake_file(job: Job) -> Path:
    return job.settings.output / "lake.duckdb"


def _note_end(job: Job, failure: BaseException | None, name: str) -> None:
    words = {} if failure is None else {"error": _words(failure), "code": getattr(failure, "code", "bug")}
    told = {"failure": str(failure)} if isinstance(failure, SluiceError) else {}
    job.run.note(
        "run-finished",
        job.project.root.name,
        sum(source.read for source in job.findings.sources),
        pipeline=name,
        outcome="ok" if failure is None else "interrupted" if is_interrupt(failure) else "failed",
        started_at=job.run.started_at.isoformat(),
        seconds=_seconds_since_start(job),
        **words,
        **told,
    )


def _seconds_since_start(job: Job) -> float:
    return round((job.run.clock() - job.run.started_at).total_seconds(), 3)


def _words(failure: BaseException) -> str:
    return failure.message if isinstance(failure, SluiceError) else type(failure).__name__
