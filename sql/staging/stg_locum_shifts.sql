/*
description: Each shift for locum doctors in its latest state.
grain: one row per shift_id
owner: medical-staffing
materialise: table
partition: start_month
affected: |
    with versions as (
        select starts_at from raw.locum_shifts
        where shift_id in (select shift_id from changed.locum_shifts)
        union all
        select starts_at from changed.locum_shifts
    )
    select cast(date_trunc('month', starts_at at time zone 'Asia/Kolkata') as date) as start_month
    from versions
*/
with shifts as (
    select * from raw.locum_shifts
),

stg_locum_shifts as (
    select
        shift_id,
        department_id,
        locum_id,
        status,
        starts_at,
        ends_at,
        cast(date_trunc('month', starts_at at time zone 'Asia/Kolkata') as date) as start_month,
    from shifts
    qualify
        row_number() over (
            partition by shift_id
            order by _ingested_at desc, _line desc
        ) = 1
)

select * from stg_locum_shifts
