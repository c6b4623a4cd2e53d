/*
title: Too many records of the shop refused
severity: warning
description: >
  More than a tenth of a delivery of customers, orders, products or transactions went to quarantine,
  repeated records not counted. Of a small delivery (under 50 records) nothing is said.
*/
with landed as (
    select * from ops.ingestion_log
    where
        source in ('customers', 'orders', 'products', 'transactions')
        and status = 'landed'
        and read_count >= 50
),

measured as (
    select
        source,
        batch_id,
        quarantined_count,
        read_count,
        quarantined_count / read_count as measured,
        cast(0.10 as double) as threshold,
    from landed
),

commerce_exception_share as (
    select
        source || ' batch ' || left(batch_id, 12) as subject,
        batch_id as breach_key,
        measured,
        threshold,
        printf(
            '%d of %d records were refused (%.1f %%); allowed are %.0f %%.',
            quarantined_count, read_count, measured * 100, cast(threshold * 100 as double)
        ) as message,
    from measured
    where measured > threshold
)

select * from commerce_exception_share
