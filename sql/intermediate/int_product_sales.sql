/*
description: >
  What was sold of each product in each Indian calendar month, and what came back of it, whenever it
  came back. Cancelled lines count for nothing.
grain: one row per product_id, ordered_month
owner: commerce-data
metrics:
  - name: unit_count
    description: Pieces ordered and not cancelled.
    formula: sum(quantity) where not is_cancelled
    unit: pieces
  - name: revenue_inr
    description: Worth of the lines that were not cancelled, after discount.
    formula: sum(line_value_inr) where not is_cancelled
    unit: INR
  - name: returned_unit_count
    description: Pieces of these lines that came back.
    formula: sum(returned_quantity)
    unit: pieces
  - name: returned_inr
    description: Money given back for them.
    formula: sum(amount_inr) where kind = 'return'
    unit: INR
*/
with lines as (
    select * from staging.stg_orders
),

transactions as (
    select * from staging.stg_transactions
),

returns as (
    select
        order_id,
        line_number,
        sum(returned_quantity) as returned_unit_count,
        sum(amount_inr) as returned_inr,
    from transactions
    where kind = 'return'
    group by order_id, line_number
),

int_product_sales as (
    select
        lines.product_id,
        lines.ordered_month,
        count(*) as line_count,
        count(distinct lines.order_id) as order_count,
        cast(sum(lines.quantity) as bigint) as unit_count,
        cast(sum(lines.line_value_inr) as decimal(18, 2)) as revenue_inr,
        cast(coalesce(sum(returns.returned_unit_count), 0) as bigint) as returned_unit_count,
        cast(coalesce(sum(returns.returned_inr), 0) as decimal(18, 2)) as returned_inr,
    from lines
    left join returns
        on
            lines.order_id = returns.order_id
            and lines.line_number = returns.line_number
    where not lines.is_cancelled
    group by lines.product_id, lines.ordered_month
)

select * from int_product_sales
