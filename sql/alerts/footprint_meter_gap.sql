/*
title: A meter without an invoice
severity: warning
description: >
  Days of a meter that no invoice bills, between its first and its last billed day. The footprint of
  these months is too small. One alert for each meter.
*/
with billed as (
    select
        meter_id,
        max(site) as site,
        sum(day_count) as billed_day_count,
        max(period_end_on) - min(period_start_on) as day_count,
    from staging.stg_electricity_invoices
    group by meter_id
),

footprint_meter_gap as (
    select
        'meter ' || meter_id as subject,
        meter_id as breach_key,
        cast(day_count - billed_day_count as double) as measured,
        cast(0 as double) as threshold,
        day_count - billed_day_count
        || ' days of meter '
        || meter_id
        || ' in '
        || site
        || ' are not billed.' as message,
    from billed
    where billed_day_count < day_count
)

select * from footprint_meter_gap
