/*
description: >
  Each incident in its latest state. One that was opened again after it was last resolved is
  open, and has no resolution time; one resolved again counts from its first report to its last
  resolution.
grain: one row per incident_id
owner: quality-safety
materialise: table
partition: opened_month
affected: |
    with versions as (
        select opened_at from raw.incidents
        where incident_id in (select incident_id from changed.incidents)
        union all
        select opened_at from changed.incidents
    )
    select cast(date_trunc('month', opened_at at time zone 'Asia/Kolkata') as date) as opened_month
    from versions
*/
with incidents as (
    select * from raw.incidents
),

latest as (
    select
        *,
        cast(opened_at at time zone 'Asia/Kolkata' as date) as opened_on,
        -- at one and the same instant the opening came after the resolution
        resolved_at is null or coalesce(reopened_at >= resolved_at, false) as is_open,
    from incidents
    qualify
        row_number() over (
            partition by incident_id
            order by _ingested_at desc, _line desc
        ) = 1
),

stg_incidents as (
    select
        incident_id,
        department_id,
        category,
        severity,
        owner_id,
        manager_id,
        opened_at,
        opened_on,
        cast(date_trunc('week', opened_on) as date) as opened_week_on,
        cast(date_trunc('month', opened_on) as date) as opened_month,
        resolved_at,
        reopened_at,
        sla_hours,
        opened_at + to_hours(sla_hours) as due_at,
        is_open,
        reopened_at is not null as is_reopened,
        case when not is_open then (epoch_us(resolved_at) - epoch_us(opened_at)) // 1000000 end
            as resolution_seconds,
    from latest
)

select * from stg_incidents
