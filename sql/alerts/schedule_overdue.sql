/*
title: A scheduled run did not come
severity: critical
description: >
  The deployment's cron line named a time more than an hour ago, and no run of it has come to an
  end or to its gates since. Is the worker up? Measured by sluice health. Told again when the
  delay beyond that hour has grown fivefold, and when a run has come.
worse_by: 4.0
*/
with newest as (
    select * from ops.platform_health_metrics
    qualify measured_at = max(measured_at) over ()
),

schedule_overdue as (
    select
        subject,
        subject as breach_key,
        value as measured,
        cast(3600 as double) as threshold,
        printf('It was due %.1f hours ago and has not run since.', value / 3600) as message,
    from newest
    where metric = 'schedule_overdue_seconds' and value > 3600
)

select * from schedule_overdue
