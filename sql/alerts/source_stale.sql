/*
title: A source is late
severity: warning
description: >
  Nothing of the source has landed for longer than its contract promises: frequency and latency of
  slaProperties, together. Measured by sluice health. Told again when it is late by twice as much,
  and when something has landed.
worse_by: 1.0
*/
with newest as (
    select * from ops.platform_health_metrics
    qualify measured_at = max(measured_at) over ()
),

lags as (
    select
        subject as source,
        max(value) filter (where metric = 'source_lag_seconds') as measured,
        max(value) filter (where metric = 'source_allowed_lag_seconds') as threshold,
    from newest
    group by subject
),

source_stale as (
    select
        source as subject,
        source as breach_key,
        measured,
        threshold,
        printf(
            'Nothing has landed for %.1f hours; promised is a delivery every %.1f hours.',
            measured / 3600, threshold / 3600
        ) as message,
    from lags
    where measured > threshold
)

select * from source_stale
