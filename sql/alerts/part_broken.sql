/*
title: A file of the project is broken
severity: warning
description: >
  A contract, model, check, page or alert rule cannot be used. Runs that need it fail; the others
  go on without it. Told once, and over when the next run finds the file mended or gone.
*/
with newest as (
    select max_by(run_id, ended_at) as run_id
    from ops.pipeline_metrics
    where step = 'run' and pipeline <> 'landing' and outcome <> 'interrupted'
),

part_broken as (
    select distinct
        log.subject,
        log.subject as breach_key,
        cast(null as double) as measured,
        cast(null as double) as threshold,
        log.details ->> 'error' as message,
    from ops.audit_log as log
    inner join newest on log.run_id = newest.run_id
    where log.event = 'part-broken'
)

select * from part_broken
