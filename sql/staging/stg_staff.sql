/*
description: Each person on the payroll as last sent, without name and address.
grain: one row per staff_id
owner: people-operations
materialise: table
*/
with staff as (
    select * from raw.staff
),

stg_staff as (
    select
        staff_id,
        department_id,
        manager_id,
        job_title,
        joined_on,
        is_active,
    from staff
    qualify
        row_number() over (
            partition by staff_id
            order by _ingested_at desc, _line desc
        ) = 1
)

select * from stg_staff
