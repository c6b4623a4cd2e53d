/*
description: The accepted order lines with their Indian calendar day and month.
grain: one row per order_id
owner: retail-data
*/
with sales as (
    select * from raw.sales
),

dated as (
    select
        *,
        -- India is 5:30 h (19,800,000,000 us) ahead of UTC all year, since 1945;
        -- timezone('Asia/Kolkata', sold_at) says the same at the price of all the rest
        cast(make_timestamp(epoch_us(sold_at) + 19800000000) as date) as sold_on,
    from sales
),

stg_sales as (
    select
        order_id,
        sold_at,
        sold_on,
        cast(date_trunc('month', sold_on) as date) as sold_month,
        region,
        product_group,
        product,
        units,
        unit_price_inr,
        revenue_inr,
        customer_id,
        _batch_id,
        _run_id,
        _record_id,
    from dated
)

select * from stg_sales
