"""What a person decides about the lake: roll back, resume, tidy."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from flows.job import Job, open_job
from flows.journal import write_down
from flows.steps import plain_step
from flows.workplace import Workplace
from lake import releases
from lake.catalogue import write_catalogue
from lake.store_probe import expect_conditional
from lake.time_travel import expect_present, release_as_of, restore_table
from lake.upkeep import Upkeep, tidy

Made = TypeVar("Made")


def roll_back(workplace: Workplace, as_of: str) -> tuple[releases.Release, releases.Release]:
    """Publishes an older release again and holds its tables; gives the older and the new one.

    Raises TableError when a table of it is gone: then readers would be given what they cannot read.
    """

    def work(job: Job) -> tuple[releases.Release, releases.Release]:
        target = release_as_of(job.session, job.store, as_of, job.settings.timezone)
        expect_present(job.session, job.store, list(target.tables.values()), target)
        return target, releases.rollback(job.session, job.store, target.id, job.run)

    return _steer(workplace, work)


def restore(workplace: Workplace, name: str, as_of: str) -> tuple[releases.Release, releases.ReleasedTable]:
    """Publishes one table as it was, and holds it; every other table stays."""

    def work(job: Job) -> tuple[releases.Release, releases.ReleasedTable]:
        target = release_as_of(job.session, job.store, as_of, job.settings.timezone)
        return restore_table(job.session, job.store, name, target, job.run)

    return _steer(workplace, work)


def resume(workplace: Workplace, names: Sequence[str] = ()) -> releases.Release:
    """Lifts the hold of a rollback or a restored table; none named means all."""
    return _steer(workplace, lambda job: releases.resume(job.session, job.store, job.run, names))


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
        expect_conditional(job.store)
        made = work(job)
        write_down(job, job.session)
        contracts = list(job.project.sound_contracts().values())
        write_catalogue(job.session, job.store, job.settings.output / "lake.duckdb", contracts)
        return made
