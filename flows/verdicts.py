"""What the gates said: of the tables that readers have, and in the newest run."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from flows.gating import PAGE_FIGURES
from flows.inventory import TABLE_NAME
from flows.planning import Plan
from lake.engine import Session
from reports.context import GateCount

EVERYBODYS = "reference."  # tables that every domain reads: no reconciliation is about them


@dataclass(frozen=True)
class Verdicts:
    """What stands behind the tables of a release: `gates` they passed, and `inputs` each of them is made from."""

    gates: tuple[GateCount, ...]
    inputs: Mapping[str, Set[str]]


def read_verdicts(session: Session, plan: Plan) -> Verdicts:
    """Gives the verdicts on what is released: for a table that a run left as it was, those of the run before.

    Whether what pages show is what the marts say comes out once they are drawn, so no page states it of itself.
    """
    reads = {
        suite.table_name: frozenset(_tables_named(suite.sodacl)) for suite in plan.suites if suite.stage == "pipeline"
    }
    own = {suite.table_name for suite in plan.suites if PAGE_FIGURES in suite.sodacl}
    published = "stage = 'raw' or run_id in (select releases.run_id from ops.releases as releases)"
    gates = tuple(
        GateCount(stage, table, passed, warned, failed, reads.get(table, frozenset()))
        for stage, table, passed, warned, failed in session.rows(_counts_sql(published))
        if table not in own
    )
    return Verdicts(gates, {name: model.inputs for name, model in plan.models.items()})


def newest_gates(session: Session) -> tuple[GateCount, ...]:
    """Gives the verdicts of the newest run that judged anything, whatever became of it."""
    newest = "run_id = (select max_by(run_id, checked_at) from ops.validation_results)"
    return tuple(GateCount(*row) for row in session.rows(_counts_sql(newest)))


def _tables_named(sodacl: str) -> Iterator[str]:
    return (name for name in TABLE_NAME.findall(sodacl) if not name.startswith(EVERYBODYS))


def _counts_sql(which: str) -> str:
    """Gives the counts by stage and table, of the newest of the chosen runs that judged the table.

    A check that was evaluated more than once in a run, over several batches or attempts, counts once, as its worst. A
    batch that failed its gate is held, so that what readers have was judged before.
    """
    return f"""
        with
        judged as (
            select
                run_id, stage, table_name, check_name, max(checked_at) as checked_at,
                max(list_position(['pass', 'warn', 'fail', 'error'], outcome)) as grade,
            from ops.validation_results
            where {which}
            group by run_id, stage, table_name, check_name
        ),
        newest as (
            select stage, table_name, max_by(run_id, checked_at) as run_id from judged group by stage, table_name
        )
        select
            stage, table_name,
            count(*) filter (grade = 1), count(*) filter (grade = 2), count(*) filter (grade > 2),
        from judged
        semi join newest using (stage, table_name, run_id)
        group by stage, table_name
        order by list_position(['raw', 'staging', 'intermediate', 'marts', 'pipeline'], stage), table_name
    """
