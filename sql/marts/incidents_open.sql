/*
description: The incidents open at the run's instant, when they are due and who hears of it.
grain: one row per incident_id
owner: quality-safety
metrics:
  - name: open_hours
    description: Hours since the first report; opening an incident again does not start anew.
    formula: run_started_at - opened_at
    unit: hours
  - name: past_sla_hours
    description: Hours since it should have been resolved; none while there is time.
    formula: run_started_at - opened_at - sla_hours
    unit: hours
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

measured as (
    select
        *,
        epoch_us(getvariable('run_started_at')) - epoch_us(opened_at) as open_microseconds,
        epoch_us(getvariable('run_started_at')) - epoch_us(due_at) as late_microseconds,
    from incidents
),

incidents_open as (
    select
        measured.incident_id,
        measured.opened_month,
        measured.department_id,
        coalesce(departments.department_name, measured.department_id) as department_name,
        measured.category,
        measured.severity,
        measured.owner_id,
        coalesce(measured.manager_id, staff.manager_id) as manager_id,
        measured.opened_at,
        measured.sla_hours,
        measured.due_at,
        measured.is_reopened,
        measured.late_microseconds > 0 as is_past_sla,
        cast(measured.open_microseconds / 3600000000 as decimal(12, 2)) as open_hours,
        case
            when measured.late_microseconds > 0
                then cast(measured.late_microseconds / 3600000000 as decimal(12, 2))
        end as past_sla_hours,
    from measured
    left join staff
        on measured.owner_id = staff.staff_id
    left join departments
        on measured.department_id = departments.department_id
)

select * from incidents_open
