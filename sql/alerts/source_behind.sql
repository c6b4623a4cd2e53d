/*
title: A source is far ahead of the lake
severity: warning
description: >
  More waits at the source than its contract allows: messages of a topic, or bytes of a replication
  slot (mostBehind of its server). Measured by sluice health. Told again when it is twice as much,
  and when it has been caught up.
worse_by: 1.0
*/
with newest as (
    select * from ops.platform_health_metrics
    qualify measured_at = max(measured_at) over ()
),

lags as (
    select
        subject as source,
        max(value) filter (where metric = 'source_behind') as measured,
        max(value) filter (where metric = 'source_allowed_behind') as threshold,
        max(unit) filter (where metric = 'source_behind') as unit,
    from newest
    group by subject
),

source_behind as (
    select
        source as subject,
        source as breach_key,
        measured,
        threshold,
        printf(
            '%.0f %s wait at the source; allowed are %.0f.', measured, unit, threshold
        ) as message,
    from lags
    where measured > threshold
)

select * from source_behind
