/*
description: >
  Each session at a device as logged last, without the person, with its first and last Indian day.
  An open session has no end and no last day.
grain: one row per session_id
owner: facility-data
materialise: table
*/
with sessions as (
    select * from raw.device_audit_log
),

latest as (
    select
        *,
        -- Indian days, 5:30 h (19,800,000,000 us) ahead of UTC all year
        make_timestamp(epoch_us(started_at) + 19800000000) as started_india,
        make_timestamp(epoch_us(ended_at) + 19800000000) as ended_india,
    from sessions
    qualify row_number() over (
        partition by session_id
        order by logged_at desc, _ingested_at desc, _line desc
    ) = 1
),

stg_device_audit_log as (
    select
        session_id,
        device_id,
        site,
        started_at,
        ended_at,
        started_india,
        ended_india,
        cast(started_india as date) as first_on,
        -- a session that ends at midnight is not of the day that begins then
        cast(ended_india - interval 1 microsecond as date) as last_on,
        ended_at is null as is_open,
        logged_at,
        _record_id,
        _ingested_at,
    from latest
)

select * from stg_device_audit_log
