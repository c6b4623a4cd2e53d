/*
description: Electricity that the meters of a site report for each Indian calendar day.
grain: one row per site, read_on
owner: facility-data
partition: read_month
metrics:
  - name: kwh
    description: Electricity reported, exact to the watt-hour; a silent meter adds nothing.
    formula: sum(kwh)
    unit: kWh
  - name: metered_ratio
    description: Part of the day for which the meters that report at all that day have reported.
    formula: sum(minutes) / (count(distinct meter_id) * 1440)
    unit: ratio
  - name: estimate_count
    description: Readings that are still estimates.
    formula: count(*) where is_estimate
    unit: readings
*/
with readings as (
    select * from staging.stg_electricity_readings
),

electricity_daily as (
    select
        site,
        read_on,
        read_month,
        count(distinct meter_id) as meter_count,
        count(*) as reading_count,
        count(*) filter (where is_estimate) as estimate_count,
        cast(sum(kwh) as decimal(18, 3)) as kwh,
        cast(
            cast(sum(minute_count) as decimal(18, 0)) / (count(distinct meter_id) * 1440)
            as decimal(9, 6)
        ) as metered_ratio,
    from readings
    group by site, read_on, read_month
)

select * from electricity_daily
