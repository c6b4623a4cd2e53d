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
        cast(timezone('Asia/Kolkata', sold_at) as date) as sold_on,
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
