/*
description: Every order with its value, the money that moved for it, and whether it is settled.
grain: one row per order_id
owner: commerce-data
partition: ordered_month
affected: |
    select ordered_month from staging.stg_orders
    where order_id in (
        select order_id from changed.stg_orders
        union all
        select order_id from changed.transactions
    )
    union all
    select ordered_month from changed.stg_orders
metrics:
  - name: order_value_inr
    description: Worth of the lines that were not cancelled, after discount.
    formula: sum(line_value_inr) where not is_cancelled
    unit: INR
  - name: net_revenue_inr
    description: What the shop keeps, order value less the money given back for returned goods.
    formula: order_value_inr - returned_inr
    unit: INR
  - name: balance_inr
    description: What the customer still has to pay; negative where the shop owes money.
    formula: order_value_inr - paid_inr + refunded_inr
    unit: INR
*/
with orders as (
    select * from intermediate.int_customer_orders
),

fct_orders as (
    select
        *,
        case
            when transaction_count = 0 and is_cancelled then 'cancelled unpaid'
            when transaction_count = 0 then 'no transaction'
            when balance_inr > 0 then 'payment open'
            when balance_inr < 0 then 'refund due'
            else 'settled'
        end as payment_state,
    from orders
)

select * from fct_orders
