"""What a person decides about the lake: roll back, resume, tidy."""

from collections.abc import Callable
from typing import TypeVar

from flows.job import Job, open_job
from flows.journal import write_down
from flows.steps import plain_step
from flows.workplace import Workplace
from lake import releases
from lake.catalogue import write_catalogue
from lake.upkeep import Upkeep, tidy

Made = TypeVar("Made")


def roll_back(workplace: Workplace, number: int) -> releases.Release:
    """Publishes an older release again and holds its tables."""
    return _steer(workplace, lambda job: releases.rollback(job.session, job.store, number, job.run))


def resume(workplace: Workplace) -> releases.Release:
    """Lifts the hold of a rollback."""
    return _steer(workplace, lambda job: releases.resume(job.session, job.store, job.run))


def tidy_lake(workplace: Workplace) -> list[Upkeep]:
    """Joins small files and deletes those that no kept release names."""
    settings = workplace.settings
    kept = {"keep_releases": settings.keep_releases, "keep_hours": settings.longest_run_hours}
    return _steer(workplace, lambda job: tidy(job.session, job.store, job.run, **kept))


def _steer(workplace: Workplace, work: Callable[[Job], Made]) -> Made:
    with (
        workplace.begun() as run,
        open_job(workplace.place, workplace.settings, run, plain_step) as job,
    ):
        made = work(job)
        write_down(job, job.session)
        contracts = list(job.project.contracts().values())
        write_catalogue(job.session, job.store, job.settings.output / "lake.duckdb", contracts)
        return made
