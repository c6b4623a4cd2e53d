/*
description: >
  Incidents by category in each Indian week (from Monday) and each month in which they were
  reported, as they stand at the run's instant. Weeks and months are rows of their own: filter by
  period.
grain: one row per period, period_on, category
owner: quality-safety
metrics:
  - name: incident_count
    description: Incidents reported in the period.
    formula: count(*)
    unit: incidents
  - name: open_count
    description: Incidents that are not resolved, those opened again included.
    formula: count(*) where is_open
    unit: incidents
  - name: reopened_count
    description: Incidents that were opened again after a resolution, whether resolved since or not.
    formula: count(*) where reopened_at is not null
    unit: incidents
  - name: open_past_sla_count
    description: Open incidents whose time was over before the run began.
    formula: count(*) where is_open and due_at < run_started_at
    unit: incidents
  - name: resolved_late_count
    description: Resolved incidents whose last resolution came after their time was over.
    formula: count(*) where not is_open and resolved_at > due_at
    unit: incidents
  - name: mean_resolution_hours
    description: Mean time from first report to last resolution, whatever happened in between.
    formula: avg(resolved_at - opened_at)
    unit: hours
  - name: median_resolution_hours
    description: The time within which half of the resolved incidents were resolved for good.
    formula: median(resolved_at - opened_at)
    unit: hours
*/
with incidents as (
    select * from staging.stg_incidents
),

periods as (
    select
        *,
        'month' as period,
        opened_month as period_on,
    from incidents
    union all
    select
        *,
        'week' as period,
        opened_week_on as period_on,
    from incidents
),

incident_summary as (
    select
        period,
        period_on,
        category,
        count(*) as incident_count,
        count(*) filter (where not is_open) as resolved_count,
        count(*) filter (where is_open) as open_count,
        count(*) filter (where is_reopened) as reopened_count,
        count(*) filter (where is_open and due_at < getvariable('run_started_at'))
            as open_past_sla_count,
        count(*) filter (where not is_open and resolved_at > due_at) as resolved_late_count,
        -- a quotient is a float: rounded as whole hundredths of an hour, 36 s, halves go up, always
        cast(
            round(sum(resolution_seconds) / (count(resolution_seconds) * 36)) / 100
            as decimal(12, 2)
        ) as mean_resolution_hours,
        cast(
            round(median(resolution_seconds) / 36) / 100 as decimal(12, 2)
        ) as median_resolution_hours,
    from periods
    group by period, period_on, category
)

select * from incident_summary
