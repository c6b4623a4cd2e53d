/*
title: The disk fills up
severity: critical
description: >
  Less than a tenth of the lake's disk is free. sluice maintain deletes what no kept release
  names; SLUICE_KEEP_RELEASES says how many are kept. Measured by sluice health.
worse_by: 0.25
*/
with newest as (
    select * from ops.platform_health_metrics
    qualify measured_at = max(measured_at) over ()
),

disk_low as (
    select
        subject,
        subject as breach_key,
        value as measured,
        cast(0.10 as double) as threshold,
        printf('%.1f %% of the disk is free.', value * 100) as message,
    from newest
    where metric = 'disk_free_ratio' and value < 0.10
)

select * from disk_low
