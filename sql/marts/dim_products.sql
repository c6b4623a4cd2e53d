/*
description: >
  Every product there is: those of the range, with their category's name, and those that only an
  order names (is_known false), so that no order line is without its product.
grain: one row per product_id
owner: commerce-data
*/
with products as (
    select * from staging.stg_products
),

orders as (
    select * from staging.stg_orders
),

categories as (
    select * from reference.product_categories
),

named as (
    select
        product_id,
        true as is_known,
    from products
    union all
    select
        product_id,
        false as is_known,
    from orders
),

gathered as (
    select
        product_id,
        bool_or(is_known) as is_known,
    from named
    group by product_id
),

dim_products as (
    select
        gathered.product_id,
        gathered.is_known,
        coalesce(products.product_name, gathered.product_id) as product_name,
        products.category_code,
        coalesce(categories.category_name, 'Not categorised') as category_name,
        categories.department,
        cast(categories.target_margin_ratio as decimal(9, 6)) as target_margin_ratio,
        products.unit_cost_inr,
        products.list_price_inr,
        products.is_active,
    from gathered
    left join products on gathered.product_id = products.product_id
    left join categories on products.category_code = categories.category_code
)

select * from dim_products
