/*
description: Each product as last recorded.
grain: one row per product_id
owner: commerce-data
materialise: table
*/
with products as (
    select * from raw.products
),

latest as (
    select *
    from products
    qualify row_number() over (
        partition by product_id
        order by updated_at desc, _ingested_at desc, _line desc
    ) = 1
),

stg_products as (
    select
        product_id,
        product_name,
        category_code,
        unit_cost_inr,
        list_price_inr,
        is_active,
        updated_at,
        _record_id,
        _ingested_at,
    from latest
)

select * from stg_products
