"""What a person decides about releases: roll back, resume."""

from collections.abc import Callable

from flows.job import Job, open_job
from flows.journal import write_down
from flows.steps import plain_step
from flows.workplace import Workplace
from lake import releases
from lake.catalogue import write_catalogue


def roll_back(workplace: Workplace, number: int) -> releases.Release:
    """Publishes an older release again and holds its tables."""
    return _steer(workplace, lambda job: releases.rollback(job.session, job.store, number, job.run))


def resume(workplace: Workplace) -> releases.Release:
    """Lifts the hold of a rollback."""
    return _steer(workplace, lambda job: releases.resume(job.session, job.store, job.run))


def _steer(workplace: Workplace, work: Callable[[Job], releases.Release]) -> releases.Release:
    with (
        workplace.begun() as run,
        open_job(workplace.place, workplace.settings, run, plain_step) as job,
    ):
        made = work(job)
        write_down(job, job.session)
        contracts = list(job.project.contracts().values())
        write_catalogue(job.session, job.store, job.settings.output / "lake.duckdb", contracts)
        return made
