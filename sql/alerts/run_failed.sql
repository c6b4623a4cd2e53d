/*
title: A run failed
severity: critical
description: >
  The newest run of this kind failed; readers keep the release they had. Told at the first
  failure, again when the failures in a row have more than doubled, and when a run has gone well
  again.
worse_by: 1.0
*/
with runs as (
    select * from ops.pipeline_metrics
    where step = 'run' and outcome <> 'interrupted'
),

last_good as (
    select
        pipeline,
        actor,
        max(ended_at) filter (where outcome = 'ok') as good_at,
    from runs
    group by pipeline, actor
),

failed as (
    select runs.* from runs
    inner join last_good
        on runs.pipeline = last_good.pipeline and runs.actor = last_good.actor
    where runs.outcome <> 'ok' and (last_good.good_at is null or runs.ended_at > last_good.good_at)
),

run_failed as (
    select
        pipeline || ', run by ' || actor as subject,
        pipeline || ' ' || actor as breach_key,
        count(*) as measured,
        0 as threshold,
        coalesce(max_by(error, ended_at), 'It said no more.') as message,
    from failed
    group by pipeline, actor
)

select * from run_failed
