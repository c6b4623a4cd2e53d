/*
description: >
  Each order line as last recorded, with its Indian day and month and what it is worth. A version
  that arrives late does not replace a newer one.
grain: one row per order_id, line_number
owner: commerce-data
materialise: table
partition: ordered_month
affected: |
    with versions as (
        select ordered_at from raw.orders
        where order_id in (select order_id from changed.orders)
        union all
        select ordered_at from changed.orders
    )
    select
        cast(
            date_trunc('month', cast(make_timestamp(epoch_us(ordered_at) + 19800000000) as date))
            as date
        ) as ordered_month
    from versions
*/
with orders as (
    select * from raw.orders
),

latest as (
    select
        *,
        -- Indian days, 5:30 h (19,800,000,000 us) ahead of UTC all year
        cast(make_timestamp(epoch_us(ordered_at) + 19800000000) as date) as ordered_on,
    from orders
    qualify row_number() over (
        partition by order_id, line_number
        order by updated_at desc, _ingested_at desc, _line desc
    ) = 1
),

stg_orders as (
    select
        order_id,
        line_number,
        customer_id,
        product_id,
        ordered_at,
        ordered_on,
        cast(date_trunc('month', ordered_on) as date) as ordered_month,
        status,
        status = 'cancelled' as is_cancelled,
        quantity,
        unit_price_inr,
        discount_inr,
        cast(quantity * unit_price_inr - discount_inr as decimal(18, 2)) as line_value_inr,
        updated_at,
        _record_id,
        _ingested_at,
    from latest
)

select * from stg_orders
