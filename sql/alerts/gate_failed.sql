/*
title: A check failed
severity: critical
description: >
  A gate closed: what is downstream of this table was not built or published, and readers keep
  what they had. The words name the file and line of the check. It is over when the table passes
  its gate again.
worse_by: 0.5
*/
with newest as (
    select * from ops.validation_results
    qualify run_id = max_by(run_id, checked_at) over (partition by stage, table_name)
),

failed as (
    select * from newest
    where outcome in ('fail', 'error')
),

gate_failed as (
    select
        table_name || ', ' || stage || ' gate' as subject,
        stage || ' ' || table_name || ' ' || check_name as breach_key,
        max(failed_count) as measured,
        cast(0 as double) as threshold,
        printf(
            'Check "%s" %s%s%s%s.',
            check_name,
            case max_by(outcome, checked_at)
                when 'fail' then 'failed' else 'could not be evaluated'
            end,
            coalesce(printf(', measured %g', max_by(measured, checked_at)), ''),
            coalesce(': ' || max_by(nullif(details, ''), checked_at), ''),
            coalesce(' (' || max_by(place, checked_at) || ')', '')
        ) as message,
    from failed
    group by stage, table_name, check_name
)

select * from gate_failed
