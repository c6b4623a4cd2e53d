/*
title: A delivery waits for a person
severity: warning
description: >
  The raw gate held a batch back: it is archived and not in raw. Look with sluice batch show, then
  admit or refuse it.
*/
with held as (
    select * from ops.ingestion_log
    where status = 'held'
),

batch_held as (
    select
        source || ' batch ' || left(batch_id, 12) as subject,
        source || ' ' || batch_id as breach_key,
        cast(null as double) as measured,
        cast(null as double) as threshold,
        coalesce(error, 'Its raw gate is closed.') as message,
    from held
)

select * from batch_held
