/*
description: >
  The days of leave that all people of a department may take in a calendar year, and those
  brought into it.
grain: one row per leave_year, department_id, leave_type
owner: people-operations
*/
with balances as (
    select * from staging.stg_leave_balances
),

staff as (
    select * from staging.stg_staff
),

placed as (
    select
        balances.leave_year,
        coalesce(staff.department_id, 'unknown') as department_id,
        balances.leave_type,
        balances.granted_days,
    from balances
    left join staff
        on balances.staff_id = staff.staff_id
),

int_leave_granted as (
    select
        leave_year,
        department_id,
        leave_type,
        cast(sum(granted_days) as decimal(12, 1)) as granted_days,
    from placed
    group by leave_year, department_id, leave_type
)

select * from int_leave_granted
