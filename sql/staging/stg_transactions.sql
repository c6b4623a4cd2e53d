/*
description: Every movement of money with its Indian day; signed, money given back is negative.
grain: one row per transaction_id
owner: commerce-data
*/
with transactions as (
    select * from raw.transactions
),

stg_transactions as (
    select
        transaction_id,
        order_id,
        line_number,
        kind,
        method,
        amount_inr,
        cast(
            case when kind = 'payment' then amount_inr else -amount_inr end as decimal(14, 2)
        ) as signed_amount_inr,
        returned_quantity,
        occurred_at,
        -- Indian days, 5:30 h (19,800,000,000 us) ahead of UTC all year
        cast(make_timestamp(epoch_us(occurred_at) + 19800000000) as date) as occurred_on,
        _record_id,
        _ingested_at,
    from transactions
)

select * from stg_transactions
