/*
description: Each invoice as issued last, with its number of days.
grain: one row per invoice_id
owner: facility-data
materialise: table
*/
with invoices as (
    select * from raw.electricity_invoices
),

latest as (
    select *
    from invoices
    qualify row_number() over (
        partition by invoice_id
        order by issued_on desc, _ingested_at desc, _line desc
    ) = 1
),

stg_electricity_invoices as (
    select
        invoice_id,
        site,
        meter_id,
        period_start_on,
        period_end_on,
        period_end_on - period_start_on as day_count,
        kwh,
        issued_on,
        _record_id,
        _ingested_at,
    from latest
)

select * from stg_electricity_invoices
