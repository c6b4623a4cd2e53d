/*
title: Many records refused within a day
severity: warning
description: >
  Of the records a source delivered within 24 hours, more than a tenth were refused, repeated
  records not counted: the one rule for every source. They are in ops.ingestion_errors with line
  and reasons; the page error_dashboard shows them by category.
worse_by: 0.5
*/
with newest as (
    select max(audited.at) as seen_at from ops.audit_log as audited
),

landed as (
    select log.* from ops.ingestion_log as log
    cross join newest
    where
        log.status = 'landed'
        and log.kind <> 'replay'
        and log.ended_at > newest.seen_at - interval '24 hours'
),

measured as (
    select
        source,
        sum(quarantined_count) as refused_count,
        sum(read_count) as read_count,
        sum(quarantined_count) / nullif(sum(read_count), 0) as measured,
        cast(0.10 as double) as threshold,
    from landed
    group by source
),

ingestion_errors as (
    select
        source as subject,
        source as breach_key,
        measured,
        threshold,
        printf(
            '%d of %d records were refused (%.1f %%); allowed are %.0f %%.',
            cast(refused_count as bigint),
            cast(read_count as bigint),
            measured * 100,
            threshold * 100
        ) as message,
    from measured
    where measured > threshold
)

select * from ingestion_errors
