/*
description: >
  Each order with its customer, what is left of it after cancellation, and the money that moved for
  it. An order without transactions has nought everywhere. What comes back of a cancelled line is a
  refund: the line counts for nothing, so nothing is left of it to return.
grain: one row per order_id
owner: commerce-data
*/
with lines as (
    select * from staging.stg_orders
),

transactions as (
    select * from staging.stg_transactions
),

orders as (
    select
        order_id,
        min(customer_id) as customer_id,
        min(ordered_at) as ordered_at,
        min(ordered_on) as ordered_on,
        min(ordered_month) as ordered_month,
        count(*) as line_count,
        count(*) filter (where is_cancelled) as cancelled_line_count,
        cast(
            coalesce(sum(quantity) filter (where not is_cancelled), 0) as bigint
        ) as unit_count,
        coalesce(sum(discount_inr) filter (where not is_cancelled), 0) as discount_inr,
        coalesce(sum(line_value_inr) filter (where not is_cancelled), 0) as order_value_inr,
    from lines
    group by order_id
),

movements as (
    select
        transactions.order_id,
        transactions.amount_inr,
        transactions.returned_quantity,
        case
            when transactions.kind = 'return' and coalesce(lines.is_cancelled, false) then 'refund'
            else transactions.kind
        end as kind,
    from transactions
    left join lines
        on
            transactions.order_id = lines.order_id
            and transactions.line_number = lines.line_number
),

money as (
    select
        order_id,
        count(*) as transaction_count,
        coalesce(sum(amount_inr) filter (where kind = 'payment'), 0) as paid_inr,
        coalesce(sum(amount_inr) filter (where kind = 'refund'), 0) as refunded_inr,
        coalesce(sum(amount_inr) filter (where kind = 'return'), 0) as returned_inr,
        cast(
            coalesce(sum(returned_quantity) filter (where kind = 'return'), 0) as bigint
        ) as returned_unit_count,
    from movements
    group by order_id
),

int_customer_orders as (
    select
        orders.order_id,
        orders.customer_id,
        orders.ordered_at,
        orders.ordered_on,
        orders.ordered_month,
        orders.line_count,
        orders.cancelled_line_count,
        orders.cancelled_line_count = orders.line_count as is_cancelled,
        orders.unit_count,
        coalesce(money.returned_unit_count, 0) as returned_unit_count,
        cast(orders.discount_inr as decimal(18, 2)) as discount_inr,
        cast(orders.order_value_inr as decimal(18, 2)) as order_value_inr,
        coalesce(money.transaction_count, 0) as transaction_count,
        cast(coalesce(money.paid_inr, 0) as decimal(18, 2)) as paid_inr,
        cast(coalesce(money.refunded_inr, 0) as decimal(18, 2)) as refunded_inr,
        cast(coalesce(money.returned_inr, 0) as decimal(18, 2)) as returned_inr,
        cast(
            orders.order_value_inr - coalesce(money.returned_inr, 0) as decimal(18, 2)
        ) as net_revenue_inr,
        cast(
            orders.order_value_inr - coalesce(money.paid_inr, 0) + coalesce(money.refunded_inr, 0)
            as decimal(18, 2)
        ) as balance_inr,
    from orders
    left join money on orders.order_id = money.order_id
)

select * from int_customer_orders
