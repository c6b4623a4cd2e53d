/*
title: A meter without an invoice
severity: warning
description: >
  Days of a meter that no invoice bills, between its first and its last billed day. The footprint of
  these months is too small. One alert for each meter.
*/
with invoices as (
    select * from staging.stg_electricity_invoices
),

-- a day that is billed twice makes up for no other
followed as (
    select
        meter_id,
        site,
        period_start_on,
        max(period_end_on) over (
            partition by meter_id
            order by period_start_on, period_end_on
            rows between unbounded preceding and 1 preceding
        ) as billed_until_on,
    from invoices
),

gaps as (
    select
        meter_id,
        max(site) as site,
        sum(greatest(period_start_on - billed_until_on, 0)) as gap_day_count,
    from followed
    group by meter_id
),

footprint_meter_gap as (
    select
        'meter ' || meter_id as subject,
        meter_id as breach_key,
        cast(gap_day_count as double) as measured,
        cast(0 as double) as threshold,
        gap_day_count || ' days of meter ' || meter_id || ' in ' || site || ' are not billed.'
            as message,
    from gaps
    where gap_day_count > 0
)

select * from footprint_meter_gap
