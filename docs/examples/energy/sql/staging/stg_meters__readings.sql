/*
description: The latest version of every reading, with its Indian day.
grain: one row per reading_id
owner: Energy data
*/
with readings as (
    select * from raw.readings
    qualify row_number() over (partition by reading_id order by _ingested_at desc, _line desc) = 1
),

stg_meters__readings as (
    select
        reading_id,
        read_at,
        cast(timezone('Asia/Kolkata', read_at) as date) as read_on,
        meter_id,
        site,
        kwh,
    from readings
)

select * from stg_meters__readings
