/*
description: The latest forecast of every place, a row per day.
grain: one row per latitude, longitude, forecast_on
owner: Energy data
*/
with latest as (
    select * from raw.forecast
    qualify row_number() over (partition by latitude, longitude order by _ingested_at desc) = 1
),

stg_weather__forecast as (
    select
        latitude,
        longitude,
        unnest(from_json(days, '["DATE"]')) as forecast_on,
        unnest(from_json(highs_celsius, '["DECIMAL(4,1)"]')) as high_celsius,
        unnest(from_json(lows_celsius, '["DECIMAL(4,1)"]')) as low_celsius,
        _ingested_at as received_at,
    from latest
)

select * from stg_weather__forecast
