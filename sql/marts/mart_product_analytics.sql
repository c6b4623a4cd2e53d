/*
description: >
  What each product sold, what came back, what it earned at today's cost, and its rank. A product
  that was never sold has nought and no ratio; one that is not on record has no cost and no margin.
grain: one row per product_id
owner: commerce-data
metrics:
  - name: unit_count
    description: Pieces ordered and not cancelled.
    formula: sum(unit_count)
    unit: pieces
  - name: revenue_inr
    description: Worth of the lines that were not cancelled, after discount.
    formula: sum(revenue_inr)
    unit: INR
  - name: net_revenue_inr
    description: Revenue less the money given back for returned goods.
    formula: revenue_inr - returned_inr
    unit: INR
  - name: return_ratio
    description: Part of the pieces sold that came back; none where none was sold.
    formula: returned_unit_count / unit_count
    unit: ratio
  - name: margin_inr
    description: Net revenue less the cost of the pieces that stayed with customers.
    formula: net_revenue_inr - (unit_count - returned_unit_count) * unit_cost_inr
    unit: INR
  - name: margin_ratio
    description: Margin by net revenue; none without net revenue.
    formula: margin_inr / net_revenue_inr
    unit: ratio
  - name: revenue_rank
    description: Place among all products by net revenue, 1 for the most; equals share a place.
    formula: rank() over (order by net_revenue_inr desc)
  - name: category_rank
    description: Place among the products of its category.
    formula: rank() over (partition by category_name order by net_revenue_inr desc)
*/
with products as (
    select * from marts.dim_products
),

monthly as (
    select * from intermediate.int_product_sales
),

summed as (
    select
        product_id,
        cast(sum(order_count) as bigint) as order_count,
        cast(sum(unit_count) as bigint) as unit_count,
        cast(sum(revenue_inr) as decimal(18, 2)) as revenue_inr,
        cast(sum(returned_unit_count) as bigint) as returned_unit_count,
        cast(sum(returned_inr) as decimal(18, 2)) as returned_inr,
    from monthly
    group by product_id
),

measured as (
    select
        products.product_id,
        products.product_name,
        products.category_name,
        products.department,
        products.is_known,
        products.is_active,
        products.target_margin_ratio,
        coalesce(summed.order_count, 0) as order_count,
        coalesce(summed.unit_count, 0) as unit_count,
        coalesce(summed.revenue_inr, 0) as revenue_inr,
        coalesce(summed.returned_unit_count, 0) as returned_unit_count,
        coalesce(summed.returned_inr, 0) as returned_inr,
        cast(
            coalesce(summed.revenue_inr - summed.returned_inr, 0) as decimal(18, 2)
        ) as net_revenue_inr,
        cast(
            coalesce(summed.unit_count - summed.returned_unit_count, 0) * products.unit_cost_inr
            as decimal(18, 2)
        ) as cost_inr,
    from products
    left join summed on products.product_id = summed.product_id
),

mart_product_analytics as (
    select
        *,
        cast(returned_unit_count / nullif(unit_count, 0) as decimal(9, 6)) as return_ratio,
        cast(net_revenue_inr - cost_inr as decimal(18, 2)) as margin_inr,
        cast(
            (net_revenue_inr - cost_inr) / nullif(net_revenue_inr, 0) as decimal(18, 6)
        ) as margin_ratio,
        rank() over (order by net_revenue_inr desc) as revenue_rank,
        rank() over (
            partition by category_name
            order by net_revenue_inr desc
        ) as category_rank,
    from measured
)

select * from mart_product_analytics
