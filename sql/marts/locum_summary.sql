/*
description: >
  Hours assigned to locum doctors against the hours they offered, on each Indian calendar day. A
  shift over midnight counts on both days, each its own hours.
grain: one row per worked_on, department_id, locum_id
owner: medical-staffing
materialise: table
partition: worked_month
affected: |
    with changed_spans as (
        select starts_at, ends_at from changed.stg_locum_shifts
        union all
        select starts_at, ends_at from changed.stg_locum_availability
    )
    select cast(date_trunc('month', unnest(generate_series(
        date_trunc('month', starts_at at time zone 'Asia/Kolkata'),
        ends_at at time zone 'Asia/Kolkata',
        interval 1 month
    ))) as date) as worked_month
    from changed_spans
metrics:
  - name: shift_count
    description: Assigned shifts that begin on the day.
    formula: count(*)
    unit: shifts
  - name: assigned_hours
    description: Hours of assigned shifts that lie in the day; two shifts at once count twice.
    formula: sum(ends_at - starts_at), cut at midnight in India
    unit: hours
  - name: available_hours
    description: Hours offered in the day; an hour offered twice to one department counts once.
    formula: sum(ends_at - starts_at) of joined offers, cut at midnight in India
    unit: hours
  - name: utilisation_ratio
    description: Hours assigned as a part of those offered; none without an offer.
    formula: assigned_hours / available_hours
    unit: ratio
*/
with days as (
    select * from intermediate.int_locum_days
),

departments as (
    select * from staging.stg_departments
),

summed as (
    select
        worked_month,
        worked_on,
        department_id,
        locum_id,
        count(*) filter (where begins_shift) as shift_count,
        coalesce(sum(part_microseconds) filter (where is_shift), 0) as assigned_microseconds,
        coalesce(sum(part_microseconds) filter (where not is_shift), 0) as available_microseconds,
    from days
    group by worked_month, worked_on, department_id, locum_id
),

locum_summary as (
    select
        summed.worked_month,
        summed.worked_on,
        summed.department_id,
        coalesce(departments.department_name, summed.department_id) as department_name,
        summed.locum_id,
        summed.shift_count,
        cast(summed.assigned_microseconds / 3600000000 as decimal(12, 4)) as assigned_hours,
        cast(summed.available_microseconds / 3600000000 as decimal(12, 4)) as available_hours,
        cast(
            summed.assigned_microseconds / nullif(summed.available_microseconds, 0)
            as decimal(12, 6)
        ) as utilisation_ratio,
    from summed
    left join departments
        on summed.department_id = departments.department_id
)

select * from locum_summary
