/*
description: Each application for leave in its latest state, without the person's reason.
grain: one row per application_id
owner: people-operations
materialise: table
partition: first_month
affected: |
    with versions as (
        select first_on from raw.leave_applications
        where application_id in (select application_id from changed.leave_applications)
        union all
        select first_on from changed.leave_applications
    )
    select cast(date_trunc('month', first_on) as date) as first_month
    from versions
*/
with applications as (
    select * from raw.leave_applications
),

stg_leave_applications as (
    select
        application_id,
        staff_id,
        leave_type,
        status,
        cast(date_trunc('month', first_on) as date) as first_month,
        first_on,
        last_on,
        is_first_half_day,
        is_last_half_day,
        applied_at,
    from applications
    qualify
        row_number() over (
            partition by application_id
            order by _ingested_at desc, _line desc
        ) = 1
)

select * from stg_leave_applications
