/*
description: >
  Each Indian calendar day from the first order to the last one or the last movement of money,
  without a gap: registrations, orders, value and money, and the change over the same weekday of the
  week before.
grain: one row per summary_on
owner: commerce-data
metrics:
  - name: order_count
    description: Orders placed on the day, cancelled ones included.
    formula: sum(order_count)
    unit: orders
  - name: order_value_inr
    description: Worth of what was ordered on the day and not cancelled since.
    formula: sum(order_value_inr)
    unit: INR
  - name: average_order_value_inr
    description: Value per order that was not cancelled; none on a day without one.
    formula: order_value_inr / (order_count - cancelled_order_count)
    unit: INR per order
  - name: net_cash_inr
    description: Money received on the day less money given back on it.
    formula: paid_inr - given_back_inr
    unit: INR
  - name: cancelled_ratio
    description: Part of the day's orders that were wholly cancelled; none on a day without orders.
    formula: cancelled_order_count / order_count
    unit: ratio
  - name: week_growth_ratio
    description: Growth of order value over the same weekday of the week before.
    formula: order_value_inr / previous_week_value_inr - 1
    unit: ratio
  - name: week_average_value_inr
    description: Order value per day over the seven days up to this one; none before the seventh.
    formula: sum(order_value_inr) over 7 days / 7
    unit: INR per day
*/
with daily as (
    select * from intermediate.int_daily_aggregates
),

bounds as (
    select
        min(happened_on) filter (where order_count > 0) as first_on,
        max(happened_on) filter (where order_count > 0 or transaction_count > 0) as last_on,
    from daily
),

days as (
    select cast(unnest(generate_series(first_on, last_on, interval 1 day)) as date) as summary_on,
    from bounds
    where first_on is not null
),

filled as (
    select
        days.summary_on,
        cast(date_trunc('month', days.summary_on) as date) as summary_month,
        coalesce(daily.new_customer_count, 0) as new_customer_count,
        coalesce(daily.order_count, 0) as order_count,
        coalesce(daily.cancelled_order_count, 0) as cancelled_order_count,
        coalesce(daily.order_without_transaction_count, 0) as order_without_transaction_count,
        coalesce(daily.unit_count, 0) as unit_count,
        coalesce(daily.order_value_inr, 0) as order_value_inr,
        coalesce(daily.transaction_count, 0) as transaction_count,
        coalesce(daily.paid_inr, 0) as paid_inr,
        coalesce(daily.given_back_inr, 0) as given_back_inr,
        coalesce(daily.returned_unit_count, 0) as returned_unit_count,
    from days
    left join daily on days.summary_on = daily.happened_on
),

compared as (
    select
        *,
        cast(paid_inr - given_back_inr as decimal(18, 2)) as net_cash_inr,
        lag(order_value_inr, 7) over (order by summary_on) as previous_week_value_inr,
        case
            when row_number() over (order by summary_on) >= 7
                then sum(order_value_inr) over (
                    order by summary_on
                    rows between 6 preceding and current row
                )
        end as week_value_inr,
    from filled
),

mart_daily_summary as (
    select
        * exclude (week_value_inr),
        cast(
            -- a quotient is a float: rounded as whole paise, halves go up, always
            round(order_value_inr * 100 / nullif(order_count - cancelled_order_count, 0)) / 100
            as decimal(18, 2)
        ) as average_order_value_inr,
        cast(cancelled_order_count / nullif(order_count, 0) as decimal(9, 6)) as cancelled_ratio,
        cast(
            (order_value_inr - previous_week_value_inr) / nullif(previous_week_value_inr, 0)
            as decimal(18, 6)
        ) as week_growth_ratio,
        cast(round(week_value_inr * 100 / 7) / 100 as decimal(18, 2)) as week_average_value_inr,
    from compared
)

select * from mart_daily_summary
