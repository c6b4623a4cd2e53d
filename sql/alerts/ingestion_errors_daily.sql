/*
title: Ingestion errors of the day
severity: info
description: >
  The records refused on one Indian calendar day, by source and category, told once the day is over.
  They stand in ops.ingestion_errors; it is over when all of them have been replayed.
*/
with errors as (
    select
        source,
        category,
        cast(quarantined_at at time zone 'Asia/Kolkata' as date) as refused_on,
    from ops.ingestion_errors
    where category <> 'DUPLICATE_RECORD' and replayed_at is null
),

-- the newest event is of this run: its day is not over
today as (
    select cast(max(log.at) at time zone 'Asia/Kolkata' as date) as today_on
    from ops.audit_log as log
),

counted as (
    select
        refused_on,
        source,
        category,
        count(*) as record_count,
    from errors
    group by refused_on, source, category
),

ingestion_errors_daily as (
    select
        strftime(refused_on, '%-d %b %Y') as subject,
        strftime(refused_on, '%Y-%m-%d') as breach_key,
        cast(sum(record_count) as bigint) as measured,
        cast(0 as bigint) as threshold,
        string_agg(
            source || ' ' || record_count || ' ' || category, '; '
            order by source asc, record_count desc, category asc
        ) || '.' as message,
    from counted
    where refused_on < (select today.today_on from today)
    group by refused_on
)

select * from ingestion_errors_daily
order by breach_key
