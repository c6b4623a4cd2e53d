/*
description: >
  Events of the site per Indian calendar day and kind. All days are kept; who wants the last 30 asks
  for them. An event that comes late is counted on its day, and only that day is rebuilt.
grain: one row per occurred_on, kind
owner: commerce-data
partition: occurred_on
metrics:
  - name: event_count
    description: Events of the kind on the day.
    formula: count(*)
    unit: events
  - name: session_count
    description: Visits with such an event on the day; one over midnight counts on both days.
    formula: count(distinct session_id)
    unit: visits
  - name: visitor_count
    description: Browsers with such an event on the day.
    formula: count(distinct visitor_id)
    unit: browsers
*/
with events as (
    select * from staging.stg_site_events
),

events_daily as (
    select
        occurred_on,
        kind,
        count(*) as event_count,
        count(distinct session_id) as session_count,
        count(distinct visitor_id) as visitor_count,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at,
    from events
    group by occurred_on, kind
)

select * from events_daily
