/*
description: >
  Each reading as reported last, on the Indian day in which its time begins; an estimate gives way
  to what was measured.
grain: one row per reading_id
owner: facility-data
materialise: table
*/
with readings as (
    select * from raw.electricity_readings
),

latest as (
    select
        *,
        -- Indian days, 5:30 h (19,800,000,000 us) ahead of UTC all year
        cast(make_timestamp(epoch_us(begins_at) + 19800000000) as date) as read_on,
    from readings
    qualify row_number() over (
        partition by reading_id
        order by reported_at desc, _ingested_at desc, _line desc
    ) = 1
),

stg_electricity_readings as (
    select
        reading_id,
        meter_id,
        site,
        begins_at,
        read_on,
        cast(date_trunc('month', read_on) as date) as read_month,
        minutes as minute_count,
        kwh,
        status = 'estimated' as is_estimate,
        reported_at,
        _record_id,
        _ingested_at,
    from latest
)

select * from stg_electricity_readings
