/*
description: >
  Every customer there is: those on record, and those that only an order names (is_known false),
  so that no order is without its customer.
grain: one row per customer_id
owner: commerce-data
*/
with customers as (
    select * from staging.stg_customers
),

orders as (
    select * from staging.stg_orders
),

states as (
    select * from reference.indian_states
),

named as (
    select
        customer_id,
        true as is_known,
    from customers
    union all
    select
        customer_id,
        false as is_known,
    from orders
),

gathered as (
    select
        customer_id,
        bool_or(is_known) as is_known,
    from named
    group by customer_id
),

dim_customers as (
    select
        gathered.customer_id,
        gathered.is_known,
        customers.city,
        customers.state,
        states.region,
        customers.registered_on,
        customers.has_consented,
    from gathered
    left join customers on gathered.customer_id = customers.customer_id
    left join states on customers.state = states.state
)

select * from dim_customers
