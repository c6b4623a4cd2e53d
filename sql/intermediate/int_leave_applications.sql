/*
description: >
  Each application with the department of the person and its length in working days. A person who is
  not on the payroll yet is of department 'unknown', so that no application is lost.
grain: one row per application_id
owner: people-operations
*/
with applications as (
    select * from staging.stg_leave_applications
),

staff as (
    select * from staging.stg_staff
),

days as (
    select * from intermediate.int_leave_days
),

lengths as (
    select
        application_id,
        sum(day_share) as working_days,
    from days
    group by application_id
),

int_leave_applications as (
    select
        applications.application_id,
        applications.first_month,
        coalesce(staff.department_id, 'unknown') as department_id,
        applications.leave_type,
        applications.status,
        cast(coalesce(lengths.working_days, 0) as decimal(8, 1)) as working_days,
    from applications
    left join staff
        on applications.staff_id = staff.staff_id
    left join lengths
        on applications.application_id = lengths.application_id
)

select * from int_leave_applications
