/*
description: What leave each person may take in a calendar year, as last sent.
grain: one row per staff_id, leave_type, leave_year
owner: people-operations
materialise: table
*/
with balances as (
    select * from raw.leave_balances
),

stg_leave_balances as (
    select
        staff_id,
        leave_type,
        leave_year,
        entitled_days,
        carried_days,
        cast(entitled_days + carried_days as decimal(8, 1)) as granted_days,
    from balances
    qualify
        row_number() over (
            partition by staff_id, leave_type, leave_year
            order by _ingested_at desc, _line desc
        ) = 1
)

select * from stg_leave_balances
