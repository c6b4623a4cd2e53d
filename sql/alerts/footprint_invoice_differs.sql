/*
title: Electricity billed is not what was metered
severity: warning
description: >
  Invoices of a meter are off by more than 5 % of what the meter reported for the same days. One
  alert for each meter; it is told again when the sum has grown by half.
worse_by: 0.5
*/
with differing as (
    select * from marts.electricity_reconciliation
    where verdict = 'differs'
),

footprint_invoice_differs as (
    select
        'meter ' || meter_id as subject,
        meter_id as breach_key,
        cast(abs(sum(difference_kwh)) as double) as measured,
        cast(0 as double) as threshold,
        printf(
            '%d invoices of meter %s in %s bill %s kWh %s than it metered.',
            count(*), meter_id, any_value(site), cast(abs(sum(difference_kwh)) as varchar),
            if(sum(difference_kwh) < 0, 'less', 'more')
        ) as message,
    from differing
    group by meter_id
)

select * from footprint_invoice_differs
order by breach_key
