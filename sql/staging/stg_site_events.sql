/*
description: Every event of the site, with its Indian day.
grain: one row per event_id
owner: commerce-data
*/
with events as (
    select * from raw.site_events
),

stg_site_events as (
    select
        event_id,
        occurred_on,
        occurred_at,
        kind,
        session_id,
        visitor_id,
        path,
        _record_id,
        _ingested_at,
    from events
)

select * from stg_site_events
