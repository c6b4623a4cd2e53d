/*
description: >
  The incidents open at the run's instant, when they are due and who hears of it. No hours are
  counted here: rows change when an incident does or its time is over, and not with every look.
grain: one row per incident_id
owner: quality-safety
metrics:
  - name: is_past_sla
    description: >
      Whether it should have been resolved by now; opening it again gives it no more time.
    formula: run_started_at > opened_at + sla_hours
*/
with incidents as (
    select * from staging.stg_incidents
    where is_open
),

staff as (
    select * from staging.stg_staff
),

departments as (
    select * from staging.stg_departments
),

incidents_open as (
    select
        incidents.incident_id,
        incidents.opened_month,
        incidents.department_id,
        coalesce(departments.department_name, incidents.department_id) as department_name,
        incidents.category,
        incidents.severity,
        incidents.owner_id,
        coalesce(incidents.manager_id, staff.manager_id) as manager_id,
        incidents.opened_at,
        incidents.sla_hours,
        incidents.due_at,
        incidents.is_reopened,
        incidents.due_at < getvariable('run_started_at') as is_past_sla,
    from incidents
    left join staff
        on incidents.owner_id = staff.staff_id
    left join departments
        on incidents.department_id = departments.department_id
)

select * from incidents_open
