"""The views on schemas: how raw tables came by their columns, and where contracts differ from their systems."""


def schema_history(events: str) -> str:
    """Gives a select of one row per change of a raw table's columns, the first being its beginning, and per drift seen.

    `added`, `retyped` and `dropped` are what differs from the change before, each column with its type; `batch_id` is
    the batch whose landing made the change. A drift that was seen has a `change` in words only: the table is as it was.
    """
    return f"""
        with
        changes as (
            select distinct
                run_id, "at" as changed_at, subject as table_name,
                details ->> 'contract_version' as contract_version, details ->> 'columns' as columns,
                details ->> 'change' as change,
                from_json(details -> 'columns', '[["VARCHAR"]]') as now,
            from ({events}) where event = 'schema-changed'
        ),
        landings as (
            select run_id, 'raw.' || subject as table_name, "at" as landed_at, details ->> 'batch_id' as batch_id
            from ({events}) where event = 'batch-landed'
        ),
        compared as (
            select
                *,
                lag(now) over (partition by table_name order by changed_at) as before,
                min(changed_at) over (partition by table_name) as first_seen_at,
            from changes
        ),
        named as (
            select
                *,
                list_transform(coalesce(before, []), lambda pair: pair[1]) as before_names,
                list_transform(now, lambda pair: pair[1]) as now_names,
            from compared
        )
        select
            named.run_id, named.changed_at, named.table_name, named.contract_version, named.columns, named.change,
            landings.batch_id,
            named.first_seen_at,
            named.before is null as is_first,
            {_pairs("now", "not list_contains(before_names, pair[1])")} as added,
            {_pairs("now", "list_contains(before_names, pair[1]) and not list_contains(before, pair)")} as retyped,
            {_pairs("coalesce(before, [])", "not list_contains(now_names, pair[1])")} as dropped,
        from named
        asof left join landings
            on named.run_id = landings.run_id and named.table_name = landings.table_name
            and named.changed_at <= landings.landed_at
        union all by name
        select
            run_id, "at" as changed_at, subject as table_name, details ->> 'contract_version' as contract_version,
            details ->> 'change' as change, details ->> 'batch_id' as batch_id, false as is_first,
        from ({events}) where event = 'schema-drifted'
    """


def _pairs(columns: str, wanted: str) -> str:
    """Gives the columns that a condition on `pair` chooses, as structs of name and type."""
    chosen = f"list_filter({columns}, lambda pair: {wanted})"
    return f"list_transform({chosen}, lambda pair: struct_pack(name := pair[1], type := pair[2]))"


def contract_drift(events: str) -> str:
    """Gives a select of one row per difference between a contract and its operational schema, as last looked at.

    A source that was landed since without being looked at names no schema any more: its differences are gone.
    """
    fields = (
        '[{"kind":"VARCHAR","column":"VARCHAR","contract_says":"VARCHAR","schema_says":"VARCHAR",'
        '"contract_path":"VARCHAR","contract_line":"BIGINT","schema_path":"VARCHAR","schema_line":"BIGINT",'
        '"message":"VARCHAR","cure":"VARCHAR"}]'
    )
    return f"""
        with
        looks as (
            select run_id, "at", subject as source, details
            from ({events}) where event in ('contract-drifted', 'contract-agreed')
            qualify row_number() over (partition by subject order by "at" desc) = 1
        ),
        visits as (
            select substr(subject, 6) as source, arg_max(run_id, "at") as run_id, max("at") as visited_at
            from ({events}) where event = 'step-finished' and starts_with(subject, 'land ') group by all
        ),
        found as (
            select
                looks.run_id, looks."at" as checked_at, looks.source,
                looks.details ->> 'contract_version' as contract_version,
                unnest(from_json(looks.details -> 'findings', '{fields}')) as finding,
            from looks
            left join visits on looks.source = visits.source
            where visits.run_id is null or visits.run_id = looks.run_id or visits.visited_at < looks."at"
        )
        select
            run_id, checked_at, source, contract_version, finding.kind, finding."column" as column_name,
            finding.contract_says, finding.schema_says, finding.contract_path, finding.contract_line,
            finding.schema_path, finding.schema_line, finding.message, finding.cure,
        from found
    """
