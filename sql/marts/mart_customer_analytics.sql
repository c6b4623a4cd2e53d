/*
description: >
  What each customer is worth, how often and how lately they ordered, and their segment by the rules
  of reference.customer_segments (the first rule that fits). Orders that were wholly cancelled count
  for nothing but cancelled_order_count.
grain: one row per customer_id
owner: commerce-data
metrics:
  - name: lifetime_value_inr
    description: What the shop keeps of all the customer's orders, less returns.
    formula: sum(net_revenue_inr)
    unit: INR
  - name: order_count
    description: Orders of which something was kept.
    formula: count(*) where not is_cancelled
    unit: orders
  - name: recency_days
    description: >
      Days from the customer's last order to the newest order of the shop; none without an order.
      It needs no clock, so the same data give the same answer on every day.
    formula: max(ordered_on) over () - last_order_on
    unit: days
  - name: is_repeat
    description: Whether the customer ordered at least twice.
    formula: order_count >= 2
  - name: average_order_value_inr
    description: Value per order before returns, to the paisa; none without an order.
    formula: sum(order_value_inr) / order_count
    unit: INR per order
*/
with customers as (
    select * from marts.dim_customers
),

orders as (
    select * from marts.fct_orders
),

segments as (
    select * from reference.customer_segments
),

summed as (
    select
        customer_id,
        count(*) filter (where not is_cancelled) as order_count,
        count(*) filter (where is_cancelled) as cancelled_order_count,
        cast(sum(unit_count) as bigint) as unit_count,
        cast(sum(returned_unit_count) as bigint) as returned_unit_count,
        cast(sum(order_value_inr) as decimal(18, 2)) as order_value_inr,
        cast(sum(net_revenue_inr) as decimal(18, 2)) as lifetime_value_inr,
        min(ordered_on) filter (where not is_cancelled) as first_order_on,
        max(ordered_on) filter (where not is_cancelled) as last_order_on,
    from orders
    group by customer_id
),

measured as (
    select
        customers.customer_id,
        customers.is_known,
        customers.city,
        customers.state,
        customers.region,
        customers.registered_on,
        coalesce(summed.order_count, 0) as order_count,
        coalesce(summed.cancelled_order_count, 0) as cancelled_order_count,
        coalesce(summed.unit_count, 0) as unit_count,
        coalesce(summed.returned_unit_count, 0) as returned_unit_count,
        coalesce(summed.order_value_inr, 0) as order_value_inr,
        coalesce(summed.lifetime_value_inr, 0) as lifetime_value_inr,
        cast(
            -- a quotient is a float: rounded as whole paise, halves go up, always
            round(summed.order_value_inr * 100 / nullif(summed.order_count, 0)) / 100
            as decimal(18, 2)
        ) as average_order_value_inr,
        summed.first_order_on,
        summed.last_order_on,
        date_diff(
            'day', summed.last_order_on, max(summed.last_order_on) over ()
        ) as recency_days,
        coalesce(summed.order_count, 0) >= 2 as is_repeat,
    from customers
    left join summed on customers.customer_id = summed.customer_id
),

mart_customer_analytics as (
    select
        measured.*,
        segments.segment,
    from measured
    left join segments
        on
            measured.order_count >= coalesce(segments.min_order_count, 0)
            and measured.order_count <= coalesce(segments.max_order_count, measured.order_count)
            and measured.lifetime_value_inr
            >= coalesce(segments.min_lifetime_value_inr, measured.lifetime_value_inr)
            and coalesce(
                measured.recency_days <= segments.max_recency_days,
                segments.max_recency_days is null
            )
    qualify row_number() over (
        partition by measured.customer_id
        order by segments.priority
    ) = 1
)

select * from mart_customer_analytics
