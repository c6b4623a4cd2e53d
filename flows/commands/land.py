"""`sluice land` and `sluice watch`."""

import json
import re

import click

from flows.workplace import Workplace, in_project

SECONDS = {"s": 1, "m": 60, "h": 3600}


class Interval(click.ParamType[float]):
    """A time such as `10s`, `5m` or `1h`; a bare number is seconds."""

    name = "interval"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip())
        if found is None or float(found[1]) <= 0:
            self.fail(f"{value!r} is no time, e.g. 10s, 5m or 1h.", param, ctx)
        return float(found[1]) * SECONDS[found[2] or "s"]


@click.command(short_help="Land what sources have delivered, and build nothing.")
@click.argument("sources", metavar="[SOURCE]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@click.option("--snapshot", "is_anew", is_flag=True, help="Read captured tables whole again, with a new slot.")
@in_project
def land(workplace: Workplace, sources: tuple[str, ...], as_json: bool, is_anew: bool) -> None:
    """Land what some sources have delivered, without SOURCE all; marts stay as they are.

    Every delivery goes through its contract and its raw gate as in `sluice run`, which then builds from what is there.
    A source that fails stops no other. A captured table that has lost its place in the database's log goes on from a
    new snapshot: its history stays, and rows that were deleted meanwhile leave the view of what stands.

    \b
    sluice land
    sluice land sales --json
    sluice land customers --snapshot
    """
    from flows.launching import land_plainly

    outcome = land_plainly(workplace, sources, is_anew=is_anew)
    click.echo(
        json.dumps(outcome.as_json(), ensure_ascii=False, indent=2) if as_json else "\n".join(outcome.as_lines())
    )
    if outcome.failure is not None:
        raise outcome.failure


@click.command(short_help="Land what arrives, again and again, until stopped.")
@click.argument("sources", metavar="[SOURCE]...", nargs=-1)
@click.option("--every", type=Interval(), default="10s", show_default=True, help="How long to wait between two looks.")
@click.option("--once", "is_once", is_flag=True, help="Look once and end; exit 1 when something failed.")
@in_project
def watch(workplace: Workplace, sources: tuple[str, ...], every: float, is_once: bool) -> None:
    """Land what arrives, looking again every so often, until Ctrl-C or SIGTERM.

    Without SOURCE it looks into every folder, bucket and topic; an API or a database is asked this often only by name.
    Messages of a topic gather until a batch is full or `batchAge` of its contract has passed.

    A look that finds nothing writes nothing. A refused file or a failing source is told once and stops nothing else.
    Several watchers at once are fine. The first Ctrl-C ends it when the delivery at hand is done, the second at once.

    \b
    sluice watch
    sluice watch uploads --every 1m
    sluice watch --once --quiet
    """
    from flows.watching import watch_sources

    failure = watch_sources(
        workplace, sources, every, lambda outcome: click.echo("\n".join(outcome.as_lines())), is_once=is_once
    )
    if is_once and failure is not None:
        raise failure
