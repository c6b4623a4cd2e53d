/*
description: The weather expected per day, as last forecast.
grain: one row per forecast_on
owner: Energy data
*/
select
    forecast_on,
    max(high_celsius) as high_celsius,
    min(low_celsius) as low_celsius,
from staging.stg_weather__forecast
group by forecast_on
