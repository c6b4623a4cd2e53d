/*
description: What was sold on each Indian calendar day, by region and product group.
grain: one row per sold_on, region, product_group
owner: retail-data
materialise: table
partition: sold_month
metrics:
  - name: order_count
    description: Order lines, cancelled ones with 0 units included.
    formula: count(*)
    unit: orders
  - name: unit_count
    description: Pieces sold.
    formula: sum(units)
    unit: pieces
  - name: revenue_inr
    description: What was paid, taxes included, exact to the paisa.
    formula: sum(revenue_inr)
    unit: INR
  - name: revenue_per_unit_inr
    description: Revenue per piece, to four places; none where no piece was sold.
    formula: sum(revenue_inr) / sum(units)
    unit: INR per piece
*/
with sales as (
    select * from staging.stg_sales
),

summed as (
    select
        sold_month,
        sold_on,
        region,
        product_group,
        count(*) as order_count,
        cast(sum(units) as bigint) as unit_count,
        cast(sum(revenue_inr) as decimal(18, 2)) as revenue_inr,
    from sales
    group by sold_month, sold_on, region, product_group
),

sales_daily as (
    select
        *,
        -- a quotient is a float: rounded as a whole number of its last places, halves go up, always
        cast(
            round(revenue_inr * cast(10000 as hugeint) / nullif(unit_count, 0)) / 10000
            as decimal(18, 4)
        ) as revenue_per_unit_inr,
    from summed
)

select * from sales_daily
