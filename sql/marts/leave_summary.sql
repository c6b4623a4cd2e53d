/*
description: >
  Leave of each department in each month: applications by state in the month of their first day,
  days taken in the month they lie in, and the balance at the month's end. Every month of a year is
  there once the year has a balance or an application.
grain: one row per leave_month, department_id, leave_type
owner: people-operations
metrics:
  - name: application_count
    description: Applications whose first day lies in the month, in whatever state.
    formula: count(*)
    unit: applications
  - name: taken_days
    description: Working days of approved leave that lie in the month; half days are halves.
    formula: sum(day_share) where status = 'approved'
    unit: working days
  - name: average_days
    description: Working days of an approved application on average, the whole of it.
    formula: sum(working days) / approved_count
    unit: working days
  - name: granted_days
    description: Days granted for the calendar year and brought into it; none without a balance.
    formula: sum(entitled_days + carried_days)
    unit: working days
  - name: taken_to_date_days
    description: Days taken from the first of January to the month's end.
    formula: sum(taken_days) over (partition by year order by leave_month)
    unit: working days
  - name: balance_days
    description: What is left at the month's end; below 0 where more was taken than granted.
    formula: granted_days - taken_to_date_days
    unit: working days
*/
with applications as (
    select * from intermediate.int_leave_applications
),

days as (
    select * from intermediate.int_leave_days
    where status = 'approved'
),

granted as (
    select * from intermediate.int_leave_granted
),

departments as (
    select * from staging.stg_departments
),

events as (
    select
        first_month as leave_month,
        department_id,
        leave_type,
        status,
        working_days,
        0 as taken_days,
    from applications
    union all
    select
        leave_month,
        department_id,
        leave_type,
        null as status,
        0 as working_days,
        day_share as taken_days,
    from days
),

years as (
    select
        leave_year,
        department_id,
        leave_type,
    from granted
    union
    select
        year(leave_month) as leave_year,
        department_id,
        leave_type,
    from events
),

months as (
    select
        *,
        make_date(leave_year, unnest(range(1, 13)), 1) as leave_month,
    from years
),

summed as (
    select
        months.leave_year,
        months.leave_month,
        months.department_id,
        months.leave_type,
        count(events.status) as application_count,
        count(*) filter (where events.status = 'submitted') as submitted_count,
        count(*) filter (where events.status = 'approved') as approved_count,
        count(*) filter (where events.status = 'rejected') as rejected_count,
        count(*) filter (where events.status = 'cancelled') as cancelled_count,
        coalesce(sum(events.taken_days), 0) as taken_days,
        sum(events.working_days) filter (where events.status = 'approved') as approved_days,
    from months
    left join events using (leave_month, department_id, leave_type)
    group by months.leave_year, months.leave_month, months.department_id, months.leave_type
),

totalled as (
    select
        *,
        sum(taken_days) over (
            partition by leave_year, department_id, leave_type
            order by leave_month
        ) as taken_to_date_days,
    from summed
),

leave_summary as (
    select
        totalled.leave_month,
        totalled.department_id,
        coalesce(departments.department_name, totalled.department_id) as department_name,
        totalled.leave_type,
        totalled.application_count,
        totalled.submitted_count,
        totalled.approved_count,
        totalled.rejected_count,
        totalled.cancelled_count,
        cast(totalled.taken_days as decimal(12, 1)) as taken_days,
        -- a quotient is a float: rounded as whole hundredths, halves go up, always
        cast(
            round(totalled.approved_days * 100 / nullif(totalled.approved_count, 0)) / 100
            as decimal(9, 2)
        ) as average_days,
        granted.granted_days,
        cast(totalled.taken_to_date_days as decimal(12, 1)) as taken_to_date_days,
        cast(granted.granted_days - totalled.taken_to_date_days as decimal(12, 1)) as balance_days,
    from totalled
    left join granted using (leave_year, department_id, leave_type)
    left join departments using (department_id)
)

select * from leave_summary
