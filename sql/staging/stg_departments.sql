/*
description: Each department as it is known now.
grain: one row per department_id
owner: people-operations
materialise: table
*/
with departments as (
    select * from raw.departments
),

stg_departments as (
    select
        department_id,
        department_name,
        cost_centre,
    from departments
    qualify
        row_number() over (
            partition by department_id
            order by _ingested_at desc, _line desc
        ) = 1
)

select * from stg_departments
