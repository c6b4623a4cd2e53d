/*
description: >
  Every print job with its Indian day and month and the sheets it took, without the person. A duplex
  job takes half as many sheets as pages, rounded up.
grain: one row per job_id
owner: facility-data
*/
with jobs as (
    select * from raw.print_logs
),

dated as (
    select
        *,
        -- Indian days, 5:30 h (19,800,000,000 us) ahead of UTC all year
        cast(make_timestamp(epoch_us(printed_at) + 19800000000) as date) as printed_on,
    from jobs
),

stg_print_logs as (
    select
        job_id,
        printed_at,
        printed_on,
        cast(date_trunc('month', printed_on) as date) as printed_month,
        site,
        printer_id,
        paper,
        is_duplex,
        pages as page_count,
        case when is_duplex then (pages + 1) // 2 else pages end as sheet_count,
        (pages + 1) // 2 as duplex_sheet_count,
        _record_id,
        _ingested_at,
    from dated
)

select * from stg_print_logs
