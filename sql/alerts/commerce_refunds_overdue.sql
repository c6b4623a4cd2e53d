/*
title: Refunds left lying
severity: warning
description: >
  Orders for which the shop has owed money for more than 14 days, counted to the newest day there
  is. One alert for the lot; it is told again when there are more.
*/
with newest as (
    select max(summary_on) as newest_on from marts.mart_daily_summary
),

owed as (
    select
        count(*) as order_count,
        cast(coalesce(-sum(orders.balance_inr), 0) as decimal(18, 2)) as owed_inr,
    from marts.fct_orders as orders
    cross join newest
    where orders.payment_state = 'refund due' and orders.ordered_on < newest.newest_on - 14
),

commerce_refunds_overdue as (
    select
        'refunds of the shop' as subject,
        'refunds' as breach_key,
        cast(order_count as double) as measured,
        cast(0 as double) as threshold,
        order_count
        || ' orders wait for a refund for more than 14 days; the shop owes INR '
        || owed_inr
        || '.' as message,
    from owed
    where order_count > 0
)

select * from commerce_refunds_overdue
