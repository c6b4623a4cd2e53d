"""What an operator reads: the views of schema `ops`, each one select over the few physical tables beneath.

Grains and columns are those of `docs/operations.md`. Restricted fields are masked here, so that no reader can forget
it.
"""

from collections.abc import Mapping, Sequence

from lake.engine import Session, literal, quote
from lake.ledger import EVENT_SCHEMA, events_sql, latest_batches_sql
from lake.platform_views import DESCRIBED, MEASURED, platform_views
from lake.proofs import PROVEN
from lake.quarantine import quarantine_view_sql
from lake.releases import releases_sql
from lake.schema_views import contract_drift, schema_history
from lake.table_versions import Store

MASK = "***"
EVENTS_SHOWN = "ops._events"  # in sessions only; its columns stay, whatever another Sluice may add beneath meanwhile
EVENT_COLUMNS = ", ".join(quote(name) for name in EVENT_SCHEMA.names)
RECORD_KINDS = (  # events that have a view of their own
    *("check-evaluated", "metric-measured", "lineage-traced", "alert-told", "schema-changed", "schema-drifted"),
    *("contract-drifted", "contract-agreed"),
    *("step-finished", "run-finished", DESCRIBED, MEASURED),
)


def operator_views(store: Store, restricted: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Gives the views of `ops` by name; `restricted` are the received names of restricted fields, by source."""
    return _views_over(events_sql(store), store, restricted)


def show_operations(session: Session, store: Store, restricted: Mapping[str, Sequence[str]]) -> None:
    """Makes the newest state of every `ops` view readable in the session.

    A run shows it several times, mostly because there are new events: only what the others read them from is made anew.
    """
    session.show({EVENTS_SHOWN: f"select {EVENT_COLUMNS} from ({events_sql(store)})"})
    session.show(_views_over(f"from {EVENTS_SHOWN}", store, restricted))


def _views_over(events: str, store: Store, restricted: Mapping[str, Sequence[str]]) -> dict[str, str]:
    releases, latest = releases_sql(store), latest_batches_sql(store)
    refused = quarantine_view_sql(store, latest)
    quarantine = f"select * replace ({_masked(restricted)} as raw_data) from ({refused})"
    batches = f"select * exclude (attempt_id, contract_digest, file_state) from ({latest})"
    return {
        "ops.ingestion_log": batches,
        "ops.quarantine": quarantine,
        "ops.exceptions": "select * from ops.quarantine",
        "ops.ingestion_errors": "select * from ops.quarantine",
        "ops.audit_log": _audit_log(events),
        "ops.validation_results": _validation_results(events),
        "ops.data_metrics": _data_metrics(events),
        "ops.pipeline_metrics": _pipeline_metrics(events),
        "ops.lineage": _lineage(events),
        "ops.alert_history": _alert_history(events),
        "ops.schema_history": schema_history(events),
        "ops.contract_drift": contract_drift(events),
        "ops.watermarks": _watermarks(latest),
        "ops.releases": _releases(releases),
        **platform_views(releases, events),
    }


def _masked(restricted: Mapping[str, Sequence[str]]) -> str:
    cases = " ".join(
        f"when source = {literal(source)} then case when json_valid(raw_data) "
        f"then cast(json_merge_patch(raw_data, {literal(_mask_patch(fields))}) as varchar) else '{MASK}' end"
        for source, fields in sorted(restricted.items())
        if fields
    )
    return f"case {cases} else raw_data end" if cases else "raw_data"


def _mask_patch(fields: Sequence[str]) -> str:
    return "{" + ", ".join(f'{quote(field)}: "{MASK}"' for field in fields) + "}"


def _audit_log(events: str) -> str:
    kinds = ", ".join(literal(kind) for kind in (*RECORD_KINDS, *PROVEN))
    columns = 'run_id, "at", actor, event, subject, record_count, details'
    return f"""
        select {columns} from ({events}) where event not in ({kinds})
        union all
        select distinct {columns} from ({events}) where event = 'batch-landed'
    """


def _validation_results(events: str) -> str:
    return f"""
        select
            run_id,
            details ->> 'stage' as stage,
            subject as table_name,
            details ->> 'check_name' as check_name,
            details ->> 'kind' as kind,
            details ->> 'outcome' as outcome,
            cast(details ->> 'measured' as double) as measured,
            details ->> 'threshold' as threshold,
            record_count as failed_count,
            "at" as checked_at,
            details ->> 'details' as details,
            details ->> 'sample' as sample,
            details ->> 'place' as place,
        from ({events}) where event = 'check-evaluated'
    """


def _data_metrics(events: str) -> str:
    return f"""
        select
            run_id, "at", subject as table_name, details ->> 'metric' as metric,
            cast(details ->> 'value' as decimal(18, 6)) as value, details ->> 'column_name' as column_name,
        from ({events}) where event = 'metric-measured'
    """


def _pipeline_metrics(events: str) -> str:
    return f"""
        select
            run_id,
            case event when 'run-finished' then 'run' else subject end as step,
            details ->> 'pipeline' as pipeline,
            details ->> 'outcome' as outcome,
            cast(details ->> 'started_at' as timestamptz) as started_at,
            "at" as ended_at,
            cast(details ->> 'seconds' as double) as seconds,
            record_count, actor, coalesce(details ->> 'failure', details ->> 'error') as error,
        from ({events}) where event in ('step-finished', 'run-finished')
    """


def _lineage(events: str) -> str:
    return f"""
        with
        traced as (
            select run_id, "at", subject, from_json(details -> 'edges', '[["VARCHAR"]]') as edges
            from ({events}) where event = 'lineage-traced'
            qualify row_number() over (partition by subject order by "at" desc) = 1
        ),
        flat as (select run_id, "at", unnest(edges) as edge from traced)
        select
            run_id, "at" as traced_at, edge[1] as from_table, edge[2] as from_column, edge[3] as to_table,
            edge[4] as to_column,
        from flat
    """


def _alert_history(events: str) -> str:
    return f"""
        select
            run_id, "at", subject as rule, details ->> 'breach_key' as breach_key, details ->> 'state' as state,
            details ->> 'severity' as severity, details ->> 'message' as message,
            cast(details ->> 'measured' as double) as measured, cast(details ->> 'threshold' as double) as threshold,
            details ->> 'channel' as channel,
        from ({events}) where event = 'alert-told'
    """


def _watermarks(latest: str) -> str:
    return f"""
        select source, arg_max(watermark, table_version) as watermark, max(ended_at) as moved_at
        from ({latest}) where status = 'landed' and watermark is not null group by source
    """


def _releases(releases: str) -> str:
    return f"""
        select
            release_id, published_at, run_id, table_name, version, row_count, gates_passed, code_digest, kind, actor,
            reason, held, inputs,
        from ({releases})
    """
