/*
description: >
  Each customer as last recorded, without name and address. A version that arrives late does not
  replace a newer one.
grain: one row per customer_id
owner: commerce-data
materialise: table
*/
with customers as (
    select * from raw.customers
),

latest as (
    select *
    from customers
    qualify row_number() over (
        partition by customer_id
        order by updated_at desc, _ingested_at desc, _line desc
    ) = 1
),

stg_customers as (
    select
        customer_id,
        city,
        state,
        registered_at,
        -- Indian days, 5:30 h (19,800,000,000 us) ahead of UTC all year
        cast(make_timestamp(epoch_us(registered_at) + 19800000000) as date) as registered_on,
        has_consented,
        updated_at,
        _record_id,
        _ingested_at,
    from latest
)

select * from stg_customers
