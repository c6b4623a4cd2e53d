/*
title: Too many sales lines refused
severity: warning
description: >
  More than a tenth of a delivery's lines went to quarantine, repeated lines not counted. Of the
  demo data it is 7.5 %.
*/
with landed as (
    select * from ops.ingestion_log
    where source = 'sales' and status = 'landed' and read_count > 0
),

measured as (
    select
        batch_id,
        quarantined_count,
        read_count,
        quarantined_count / read_count as measured,
        cast(0.10 as double) as threshold,
    from landed
),

sales_exception_share as (
    select
        'sales batch ' || left(batch_id, 12) as subject,
        batch_id as breach_key,
        measured,
        threshold,
        printf(
            '%d of %d lines were refused (%.1f %%); allowed are %.0f %%.',
            quarantined_count, read_count, measured * 100, cast(threshold * 100 as double)
        ) as message,
    from measured
    where measured > threshold
)

select * from sales_exception_share
