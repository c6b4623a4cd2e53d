/*
description: What was sold in each Indian calendar month, and its growth over the month before.
grain: one row per sold_month
owner: retail-data
materialise: table
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
  - name: previous_revenue_inr
    description: Revenue of the calendar month before; none where nothing was recorded in it.
    formula: revenue_inr of sold_month - 1 month
    unit: INR
  - name: revenue_growth_ratio
    description: Growth over the month before, 0.1 for 10 %; none after a month without revenue.
    formula: revenue_inr / previous_revenue_inr - 1
    unit: ratio
*/
with daily as (
    select * from marts.sales_daily
),

summed as (
    select
        sold_month,
        cast(sum(order_count) as bigint) as order_count,
        cast(sum(unit_count) as bigint) as unit_count,
        cast(sum(revenue_inr) as decimal(18, 2)) as revenue_inr,
    from daily
    group by sold_month
),

compared as (
    select
        summed.*,
        previous.revenue_inr as previous_revenue_inr,
    from summed
    left join summed as previous
        on previous.sold_month = cast(summed.sold_month - interval 1 month as date)
),

sales_monthly as (
    select
        sold_month,
        order_count,
        unit_count,
        revenue_inr,
        -- a quotient is a float: rounded as a whole number of its last places, halves go up, always
        cast(
            round(revenue_inr * cast(10000 as hugeint) / nullif(unit_count, 0)) / 10000
            as decimal(18, 4)
        ) as revenue_per_unit_inr,
        previous_revenue_inr,
        cast(
            (revenue_inr - previous_revenue_inr) / nullif(previous_revenue_inr, 0)
            as decimal(18, 6)
        ) as revenue_growth_ratio,
    from compared
)

select * from sales_monthly
