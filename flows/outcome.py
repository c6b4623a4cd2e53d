"""What a run of the pipeline came to, and how it is told: one dataclass, as lines, as JSON, as Markdown."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from checks.verdict import GateResult
from lake.errors import SluiceError
from reports.channels.outbox import fold_written

LEAST_SECONDS = 0.05  # a shorter step would read as 0.0
MOST_ALERTS = 3  # of one rule; the mail and ops.alert_history have all
MOST_STEPS = 4  # the slowest are told; `--json` and ops.pipeline_metrics have all


@dataclass(frozen=True)
class SourceOutcome:
    """What became of one source's records in this run.

    `batches` counts those that landed. `held_batches` are those this run held back, `waiting_batches` those that were
    held before and still wait for a person.
    """

    source: str
    batches: int = 0
    read: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicate: int = 0
    held_batches: tuple[str, ...] = ()
    waiting_batches: tuple[str, ...] = ()


@dataclass(frozen=True)
class GateOutcome:
    """What one gate said: how many checks it made, how many warned, and each that stopped the run."""

    stage: str
    checks: int
    warnings: int
    failures: tuple[str, ...] = ()

    @classmethod
    def of(cls, stage: str, verdicts: Sequence[GateResult]) -> Self:
        """Gives what is told of all verdicts of a stage: the raw gate gives one for every batch."""
        failures = tuple(str(failure) for gate in verdicts for failure in gate.failures)
        checks = sum(len(gate.results) for gate in verdicts)
        return cls(stage, checks, sum(len(gate.warnings) for gate in verdicts), failures)


@dataclass(frozen=True)
class PageOutcome:
    """One rendered page: where the interactive page is, and the mail body; None when nobody is mailed it."""

    name: str
    path: str
    mail_path: str | None


@dataclass(frozen=True)
class Outcome:
    """What a run came to. `release` is the id readers see now, `is_new_release` whether this run published it.

    `failure` is what stopped the run, None when all went well. `warnings` tell of files of the project that are broken
    and that the run did not need.
    """

    run_id: str
    failure: SluiceError | None
    release: int | None
    is_new_release: bool
    sources: tuple[SourceOutcome, ...] = ()
    gates: tuple[GateOutcome, ...] = ()
    pages: tuple[PageOutcome, ...] = ()
    alerts: tuple[str, ...] = ()
    deliveries: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    lake_file: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    total_seconds: float = 0.0

    @property
    def is_ok(self) -> bool:
        """Whether all went well."""
        return self.failure is None

    def as_json(self) -> dict[str, Any]:
        """Gives the outcome as values JSON can hold."""
        told = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "failure"}
        parts = {name: [dataclasses.asdict(part) for part in told[name]] for name in ("sources", "gates", "pages")}
        error = None if self.failure is None else {"code": self.failure.code, "message": str(self.failure)}
        return {**told, **parts, "is_ok": self.is_ok, "error": error}

    def as_lines(self) -> list[str]:
        """Gives the outcome as lines for a terminal or a log; what stopped it is left to whoever tells the failure."""
        lines = [f"Run {self.run_id}: {'ok' if self.is_ok else 'FAILED'}"]
        lines += [f"  {_source_line(source)}" for source in self.sources]
        lines += [f"  {_gate_line(gate)}" for gate in self.gates]
        lines.append(f"  release {_release_words(self)}")
        for page in self.pages:
            lines.append(f"  page {page.name}: {page.path}")
            lines += [] if page.mail_path is None else [f"  mail body {page.name}: {page.mail_path}"]
        lines += [f"  {line}" for line in fold_written(self.deliveries)]
        lines += [f"  alert: {alert}" for alert in shortened(self.alerts)]
        lines += [f"  WARNING, {warning}" for warning in self.warnings]
        if self.lake_file is not None:
            lines.append(f"  lake: {self.lake_file}")
        return [*lines, f"  seconds: {_seconds_words(self)}"]

    def as_markdown(self) -> str:
        """Gives the outcome as the summary a flow run shows."""
        rows = [
            f"| {s.source} | {s.batches} | {s.read:,} | {s.accepted:,} | {s.quarantined:,} | {s.duplicate:,} | "
            f"{', '.join(s.held_batches + s.waiting_batches) or '-'} |"
            for s in self.sources
        ]
        return "\n".join(
            [
                f"# {'Published' if self.is_new_release else 'Finished' if self.is_ok else 'Failed'}: "
                f"release {_release_words(self)}",
                "",
                f"Run `{self.run_id}`, seconds: {_seconds_words(self)}.",
                *([] if self.failure is None else ["", f"**{self.failure}**"]),
                "",
                "| source | batches | read | accepted | quarantined | duplicate | held |",
                "|---|---:|---:|---:|---:|---:|---|",
                *rows,
                *([""] + [f"- alert: {alert}" for alert in shortened(self.alerts)] if self.alerts else []),
                *(["", *(f"- warning, {warning}" for warning in self.warnings)] if self.warnings else []),
            ]
        )


def _source_line(source: SourceOutcome) -> str:
    held = f", HELD: {', '.join(source.held_batches)}" if source.held_batches else ""
    held += f", still held from before: {', '.join(source.waiting_batches)}" if source.waiting_batches else ""
    if not source.batches:
        return f"source {source.source}: nothing new{held}"
    return (
        f"source {source.source}: {_counted(source.batches, 'batch', 'batches')} landed, {source.read:,} read = "
        f"{source.accepted:,} accepted + {source.quarantined:,} quarantined + {source.duplicate:,} duplicate{held}"
    )


def _gate_line(gate: GateOutcome) -> str:
    if not gate.checks:
        return f"gate {gate.stage}: no checks"
    said = "passed" if not gate.failures else f"FAILED: {'; '.join(gate.failures)}"
    warned = f", {_counted(gate.warnings, 'warning', 'warnings')}" if gate.warnings else ""
    return f"gate {gate.stage}: {_counted(gate.checks, 'check', 'checks')} {said}{warned}"


def _release_words(outcome: Outcome) -> str:
    if outcome.release is None:
        return "none yet"
    return f"{outcome.release} (new)" if outcome.is_new_release else f"{outcome.release} (unchanged)"


def _seconds_words(outcome: Outcome) -> str:
    slowest = sorted(outcome.seconds.items(), key=lambda step: -step[1])[:MOST_STEPS]
    parts = [f"{name} {took:.1f}" for name, took in slowest if took >= LEAST_SECONDS]
    told = f" ({', '.join(parts)})" if parts else ""
    return f"{outcome.total_seconds:.1f} in all{told}"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def shortened(alerts: Sequence[str]) -> list[str]:
    """Gives alerts (`title: what`) as a person reads them: of each title the first few, and how many more there are."""
    by_title: dict[str, list[str]] = {}
    for alert in alerts:
        by_title.setdefault(alert.partition(":")[0], []).append(alert)
    lines: list[str] = []
    for title, found in by_title.items():
        lines += found[:MOST_ALERTS]
        more = len(found) - MOST_ALERTS
        lines += [f"{title}: and {more:,} more, see ops.alert_history"] if more > 0 else []
    return lines
