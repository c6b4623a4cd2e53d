/*
description: Each offer of hours by a locum doctor in its latest state.
grain: one row per offer_id
owner: medical-staffing
materialise: table
partition: start_month
affected: |
    with versions as (
        select starts_at from raw.locum_availability
        where offer_id in (select offer_id from changed.locum_availability)
        union all
        select starts_at from changed.locum_availability
    )
    select cast(date_trunc('month', starts_at at time zone 'Asia/Kolkata') as date) as start_month
    from versions
*/
with availability as (
    select * from raw.locum_availability
),

stg_locum_availability as (
    select
        offer_id,
        locum_id,
        department_id,
        starts_at,
        ends_at,
        is_withdrawn,
        cast(date_trunc('month', starts_at at time zone 'Asia/Kolkata') as date) as start_month,
    from availability
    qualify
        row_number() over (
            partition by offer_id
            order by _ingested_at desc, _line desc
        ) = 1
)

select * from stg_locum_availability
