"""Writing a run down while it goes on, so that its own checks and pages see it."""

from collections.abc import Collection

from flows.job import Job
from flows.logbook import left_behind
from lake.catalogue import Restricted, release_views, restricted_in
from lake.engine import Session
from lake.ledger import append_events, sweep_commits, unwritten, write_events
from lake.operations import show_operations
from lake.releases import Release


def write_journal(job: Job, release: Release | None, standing: Collection[str] = ()) -> None:
    """Writes the run's events and ledger so far into the lake, and shows `ops` and a release in the session.

    `standing` are the tables that stay as this run has made them.
    """
    write_down(job, job.session)
    restricted = masked_in(job, job.session)
    show_operations(job.session, job.store, restricted.received)
    views = {} if release is None else release_views(job.store, release, restricted)
    for name, sql in views.items():
        if name not in standing:
            job.session.execute(f"create or replace view {name} as {sql}")


def masked_in(job: Job, session: Session) -> Restricted:
    """Gives what must not be shown: of a source whose contract cannot be read, what its table was promised."""
    return restricted_in(session, job.store, list(job.project.sound_contracts().values()))


def write_down(job: Job, session: Session) -> None:
    """Appends the run's events, and the batches of new raw commits, to their tables; before them what was left behind.

    That is what runs on this machine noted that were killed, or could not reach the lake.
    """
    with left_behind(job.settings.output) as unwritten_runs:
        for run_id, events in unwritten_runs.items():
            missing = unwritten(session, job.store, events)
            append_events(session, job.store, missing)
            if missing:
                job.run.note("run-recovered", run_id, len(missing), last=missing[-1].kind)
    sweep_commits(session, job.store, job.project.sound_contracts(), job.run, with_former=True)
    write_events(session, job.store, job.run)
