/*
description: What was sold in each region in each Indian calendar month, and its share of the month.
grain: one row per sold_month, region
owner: retail-data
materialise: table
partition: sold_month
metrics:
  - name: order_count
    description: Order lines, cancelled ones with 0 units included.
    formula: sum(order_count)
    unit: orders
  - name: unit_count
    description: Pieces sold.
    formula: sum(unit_count)
    unit: pieces
  - name: revenue_inr
    description: What was paid, taxes included, exact to the paisa.
    formula: sum(revenue_inr)
    unit: INR
  - name: revenue_per_unit_inr
    description: Revenue per piece, to four places; none where no piece was sold.
    formula: sum(revenue_inr) / sum(unit_count)
    unit: INR per piece
  - name: revenue_share_ratio
    description: The region's part of the month's revenue, 0 to 1; none in a month without revenue.
    formula: revenue_inr / sum(revenue_inr) over (partition by sold_month)
    unit: ratio
*/
with daily as (
    select * from marts.sales_daily
),

summed as (
    select
        sold_month,
        region,
        cast(sum(order_count) as bigint) as order_count,
        cast(sum(unit_count) as bigint) as unit_count,
        cast(sum(revenue_inr) as decimal(18, 2)) as revenue_inr,
    from daily
    group by sold_month, region
),

totalled as (
    select
        *,
        sum(revenue_inr) over (partition by sold_month) as month_revenue_inr,
    from summed
),

sales_regional as (
    select
        sold_month,
        region,
        order_count,
        unit_count,
        revenue_inr,
        -- a quotient is a float: rounded as a whole number of its last places, halves go up, always
        cast(
            round(revenue_inr * cast(10000 as hugeint) / nullif(unit_count, 0)) / 10000
            as decimal(18, 4)
        ) as revenue_per_unit_inr,
        cast(revenue_inr / nullif(month_revenue_inr, 0) as decimal(9, 6)) as revenue_share_ratio,
    from totalled
)

select * from sales_regional
