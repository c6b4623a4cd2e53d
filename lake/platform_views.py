"""The platform seen by itself: what the project says of its parts, and what was measured of it, as views of `ops`.

A run notes `project-described` when the description of a part changed: one event per kind of part, holding all of its
rows; the newest of a kind counts. `platform-measured` holds the rows of one measurement. Both are events like any
other, so that a run costs no commit more.
"""

from collections.abc import Mapping

from lake.engine import literal

DESCRIBED, MEASURED = "project-described", "platform-measured"
TEXT = "VARCHAR"
# What is described, and the columns of its rows.
PARTS: Mapping[str, Mapping[str, str]] = {
    "tables": {
        **dict.fromkeys(
            ("table_name", "layer", "description", "grain", "owner", "materialise", "contract_version"), TEXT
        ),
        **dict.fromkeys(("path", "privacy"), TEXT),
    },
    "columns": {
        **dict.fromkeys(("table_name", "column_name", "data_type", "description", "privacy"), TEXT),
        "column_position": "BIGINT",
        **dict.fromkeys(("is_required", "is_key"), "BOOLEAN"),
    },
    "metrics": dict.fromkeys(("name", "table_name", "description", "formula", "unit", "grain", "owner"), TEXT),
    "sources": {
        **dict.fromkeys(("source", "description", "owner", "kind", "delivery", "contract_version"), TEXT),
        "allowed_lag_seconds": "DOUBLE",
    },
    "pages": {
        **dict.fromkeys(("page", "title", "description", "audience", "owner", "drawn", "mailed"), TEXT),
        "reads": "VARCHAR[]",
    },
    "schedules": {
        **dict.fromkeys(("deployment", "cron", "timezone", "description", "entrypoint"), TEXT),
        **dict.fromkeys(("marts", "pages"), "VARCHAR[]"),
    },
    "alert_rules": {
        **dict.fromkeys(("rule", "title", "severity", "description"), TEXT),
        "recipients": "VARCHAR[]",
    },
}


def platform_views(releases: str, events: str) -> dict[str, str]:
    """Gives the views of the platform by name, each after those it reads; takes selects over releases and events."""
    parts = {f"ops.{part}": _described(events, part) for part in PARTS if part not in ("tables", "columns", "sources")}
    return {
        **parts,
        "ops.impact": IMPACT,
        "ops.tables": _tables(events, releases),
        "ops.columns": _columns(events, releases),
        "ops.sources": _sources(events),
        "ops.platform_health_metrics": _measured(events),
        "ops.page_verdicts": _page_verdicts(events),
    }


def described_rows(events: str, part: str, *, newest: bool = True) -> str:
    """Gives a select over the described rows of a part: `described_at` and `part`, a struct of its columns."""
    shape = ", ".join(f'"{name}": {_shape(kind)}' for name, kind in PARTS[part].items())
    latest = 'qualify row_number() over (order by "at" desc) = 1' if newest else ""
    return f"""
        select "at" as described_at, unnest(from_json(details -> 'rows', '[{{{shape}}}]')) as part
        from (
            select "at", details from ({events}) where event = '{DESCRIBED}' and subject = {literal(part)} {latest}
        )
    """


def _shape(kind: str) -> str:
    return '["VARCHAR"]' if kind == "VARCHAR[]" else f'"{kind}"'


def _described(events: str, part: str) -> str:
    columns = ", ".join(f'part."{name}" as "{name}"' for name in PARTS[part])
    return f"select {columns} from ({described_rows(events, part)})"


# Every column and every column made from it, at any distance: what a change of the first may touch.
IMPACT = """
    with recursive reach as (
        select from_table, from_column, to_table, to_column, 1 as distance from ops.lineage
        union
        select reach.from_table, reach.from_column, onward.to_table, onward.to_column, reach.distance + 1
        from reach
        join ops.lineage as onward on onward.from_table = reach.to_table and onward.from_column = reach.to_column
        where reach.distance < 64  -- far beyond any project; edges of models that are gone could form a ring
    )
    select from_table, from_column, to_table, to_column, cast(min(distance) as bigint) as distance
    from reach group by from_table, from_column, to_table, to_column
"""


def _tables(events: str, releases: str) -> str:
    """One row per table of the project or of the newest release: what it is, and how it stands."""
    return f"""
        with
        described as ({_described(events, "tables")}),
        versions as (
            select
                table_name, release_id, kind, version, row_count, held,
                min(published_at) over (partition by table_name, version, code_digest) as changed_at,
            from ({releases})
        ),
        released as (
            select * from versions where release_id = (select max(release_id) from versions)
        )
        select
            coalesce(described.table_name, released.table_name) as table_name,
            coalesce(described.layer, split_part(released.table_name, '.', 1)) as layer,
            coalesce(released.kind, described.materialise) as kind,
            described.description, described.grain, described.owner, described.privacy, described.contract_version,
            described.path, released.row_count, released.version, released.changed_at, released.release_id,
            coalesce(released.held, false) as is_held,
        from described full join released on released.table_name = described.table_name
    """


def _columns(events: str, releases: str) -> str:
    """One row per column: those of contracts as declared, those of models as released.

    A model's column takes the privacy of the strictest column it comes from, and the words of the metric of its name,
    else of the one column of the same name that it comes from.
    """
    return f"""
        with
        declared as ({_described(events, "columns")}),
        released_tables as ({releases}),
        released as (
            select table_name, unnest(pairs) as pair, generate_subscripts(pairs, 1) as column_position,
            from (select table_name, release_id, from_json("columns", '[["VARCHAR"]]') as pairs from released_tables)
            where release_id = (select max(release_id) from released_tables)
        ),
        made as (
            select table_name, pair[1] as column_name, lower(pair[2]) as data_type, column_position
            from released
            where table_name not in (select table_name from declared) and not starts_with(pair[1], '_')
        ),
        inherited as (
            select
                to_table as table_name, to_column as column_name,
                case max(case declared.privacy when 'restricted' then 3 when 'internal' then 2 else 1 end)
                    when 3 then 'restricted' when 2 then 'internal' else 'public' end as privacy,
                max(declared.description) filter (impact.from_column = impact.to_column) as description,
            from ops.impact as impact
            join declared on declared.table_name = impact.from_table and declared.column_name = impact.from_column
            group by to_table, to_column
        ),
        worded as (
            select table_name, name as column_name, any_value(description) as description, any_value(unit) as unit
            from ops.metrics group by table_name, name
        )
        select
            made.table_name, made.column_name, made.data_type,
            coalesce(worded.description, inherited.description) as description, inherited.privacy,
            made.column_position, cast(null as boolean) as is_required, cast(null as boolean) as is_key, worded.unit,
        from made
        left join inherited using (table_name, column_name)
        left join worded using (table_name, column_name)
        union all by name
        select *, cast(null as varchar) as unit from declared
    """


def _sources(events: str) -> str:
    """One row per source with a contract: what it promised, and when something of it landed last."""
    return f"""
        with
        described as ({_described(events, "sources")}),
        since as (
            select part.source as source, min(described_at) as described_at
            from ({described_rows(events, "sources", newest=False)}) group by source
        ),
        landed as (
            select
                source,
                max(ended_at) filter (status = 'landed') as last_landed_at,
                max(ended_at) as last_tried_at,
                count(*) filter (status = 'landed') as landed_count,
                count(*) filter (status = 'held') as held_count,
                count(*) filter (status = 'refused') as refused_count,
            from ops.ingestion_log group by source
        )
        select described.*, since.described_at as first_described_at, landed.* exclude (source)
        from described
        left join since using (source)
        left join landed using (source)
    """


def _measured(events: str) -> str:
    """One row per measurement, metric and subject."""
    return f"""
        select
            run_id, "at" as measured_at, row[1] as metric, row[2] as subject, cast(row[3] as double) as value,
            row[4] as unit,
        from (
            select run_id, "at", unnest(from_json(details -> 'rows', '[["VARCHAR"]]')) as row
            from ({events}) where event = '{MEASURED}'
        )
    """


def _page_verdicts(events: str) -> str:
    """One row per page of a release: as of what its figures are, what the checks behind them said, and what holds
    newer figures back: the tables upstream, and reconciliations over them, that did not pass when judged last."""
    return f"""
        with
        drawn as (
            select subject as page, max("at") as drawn_at, max_by(details, "at") as details
            from ({events}) where event = 'page-rendered' group by subject
        ),
        judged as (
            select table_name, run_id, max(checked_at) as checked_at, bool_or(outcome in ('fail', 'error')) as is_failed
            from ops.validation_results where stage <> 'raw' group by table_name, run_id
        ),
        stopped as (
            select table_name from judged group by table_name having max_by(is_failed, checked_at)
            union
            select 'raw.' || source from ops.ingestion_log where status = 'held'
        ),
        held as (
            select page, list(stopped.table_name order by stopped.table_name) as held_back
            from (select page, unnest(from_json(details -> 'behind', '["VARCHAR"]')) as table_name from drawn)
            join stopped using (table_name)
            group by page
        )
        select
            drawn.page, drawn.drawn_at,
            cast(details ->> 'release_id' as bigint) as release_id,
            cast(details ->> 'data_as_of' as timestamptz) as data_as_of,
            cast(details ->> 'passed' as bigint) as passed_count,
            cast(details ->> 'warned' as bigint) as warned_count,
            cast(details ->> 'failed' as bigint) as failed_count,
            coalesce(held_back, []) as held_back,
            coalesce(from_json(details -> 'held_back', '["VARCHAR"]'), []) as stated_held_back,
        from drawn
        left join held using (page)
    """
