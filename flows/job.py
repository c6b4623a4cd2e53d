"""What every stage of a run is handed, and the promise that a run is written down however it ends."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from checks.verdict import GateResult
from flows.logbook import Logbook, is_arrival
from flows.outcome import PageOutcome, SourceOutcome
from flows.steps import Step, noted_step
from flows.vault import open_vault
from lake.engine import Session
from lake.errors import SluiceError
from lake.project import Project
from lake.run import Run
from lake.scratch import remove_abandoned
from lake.secrets import Secrets
from lake.settings import Settings
from lake.table_versions import Store


@dataclass
class Findings:
    """What a run has come to so far; filled by its stages, read when the outcome is told."""

    sources: list[SourceOutcome] = field(default_factory=list)
    gates: list[GateResult] = field(default_factory=list)
    pages: list[PageOutcome] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    deliveries: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    is_new_release: bool = False
    is_failure_told: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    def gates_by_stage(self) -> dict[str, list[GateResult]]:
        """Gives the verdicts so far by their stage, in the order in which stages were first judged."""
        found: dict[str, list[GateResult]] = {}
        for gate in self.gates:
            found.setdefault(gate.stage, []).append(gate)
        return found

    def keep_gates(self, stage: str) -> None:
        """Forgets the verdicts of every other stage: their candidates are built anew."""
        self.gates = [gate for gate in self.gates if gate.stage == stage]


def never() -> bool:
    """Says that nobody wants the job to stop."""
    return False


@dataclass(frozen=True)
class Job:
    """One run at work: the project, its settings, lake and secrets, a private DuckDB session, and how steps are run.

    `is_stopping` says whether somebody wants it to end as soon as what it is at is done. `anew` are the sources that
    are to begin from what they have now, whatever was landed of them. `may_wait` says that another look follows soon,
    so that what comes in drops may gather.
    """

    project: Project
    settings: Settings
    run: Run
    session: Session
    store: Store
    step: Step
    findings: Findings
    secrets: Secrets
    is_stopping: Callable[[], bool] = never
    anew: frozenset[str] = frozenset()
    may_wait: bool = False


@contextmanager
def open_job(
    project: Project, settings: Settings, run: Run, step: Step, is_stopping: Callable[[], bool] = never
) -> Iterator[Job]:
    """Gives a job whose session is gone when it is left; what it notes is in its logbook until it is in the lake.

    Working files of processes that were killed are removed.
    """
    findings = Findings()
    store = settings.store
    remove_abandoned(settings.limits.spill_dir)
    logbook = Logbook(settings.output, run.id)
    run = replace(run, observers=(logbook.note, *run.observers))
    noted = noted_step(step, run, findings.seconds)
    with _kept(logbook, run), Session(settings.limits, store) as session:
        secrets = open_vault(project.root)
        yield Job(project, settings, run, session, store, noted, findings, secrets, is_stopping)


def note_broken(job: Job, broken: Mapping[Path, SluiceError]) -> None:
    """Tells of files of the project that cannot be used and that this run does not need: it goes on without them."""
    for path, error in broken.items():
        job.run.note("part-broken", _shown(path, job.project.root), code=error.code, error=str(error))
        job.findings.warnings.append(f"not used: {error}")


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


@contextmanager
def _kept(logbook: Logbook, run: Run) -> Iterator[None]:
    try:
        yield
    finally:
        logbook.close(is_written=not any(is_arrival(event) for event in run.events))
