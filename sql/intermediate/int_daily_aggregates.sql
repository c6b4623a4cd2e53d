/*
description: >
  What happened on each Indian calendar day: registrations by their day, orders by the day they were
  placed, money by the day it moved. A day on which nothing happened has no row.
grain: one row per happened_on
owner: commerce-data
*/
with orders as (
    select * from intermediate.int_customer_orders
),

transactions as (
    select * from staging.stg_transactions
),

customers as (
    select * from staging.stg_customers
),

ordered as (
    select
        ordered_on as happened_on,
        count(*) as order_count,
        count(*) filter (where is_cancelled) as cancelled_order_count,
        count(*) filter (where transaction_count = 0) as order_without_transaction_count,
        sum(unit_count) as unit_count,
        sum(order_value_inr) as order_value_inr,
    from orders
    group by ordered_on
),

moved as (
    select
        occurred_on as happened_on,
        count(*) as transaction_count,
        sum(amount_inr) filter (where kind = 'payment') as paid_inr,
        sum(amount_inr) filter (where kind <> 'payment') as given_back_inr,
        sum(returned_quantity) as returned_unit_count,
    from transactions
    group by occurred_on
),

registered as (
    select
        registered_on as happened_on,
        count(*) as new_customer_count,
    from customers
    group by registered_on
),

int_daily_aggregates as (
    select
        happened_on,
        coalesce(registered.new_customer_count, 0) as new_customer_count,
        coalesce(ordered.order_count, 0) as order_count,
        coalesce(ordered.cancelled_order_count, 0) as cancelled_order_count,
        coalesce(
            ordered.order_without_transaction_count, 0
        ) as order_without_transaction_count,
        cast(coalesce(ordered.unit_count, 0) as bigint) as unit_count,
        cast(coalesce(ordered.order_value_inr, 0) as decimal(18, 2)) as order_value_inr,
        coalesce(moved.transaction_count, 0) as transaction_count,
        cast(coalesce(moved.paid_inr, 0) as decimal(18, 2)) as paid_inr,
        cast(coalesce(moved.given_back_inr, 0) as decimal(18, 2)) as given_back_inr,
        cast(coalesce(moved.returned_unit_count, 0) as bigint) as returned_unit_count,
    from ordered
    full join moved using (happened_on)
    full join registered using (happened_on)
)

select * from int_daily_aggregates
