/*
description: The booked expenses with their month, without bank accounts.
grain: one row per expense_id
owner: finance
*/
with expenses as (
    select * from raw.expenses
),

stg_expenses as (
    select
        expense_id,
        department_id,
        category,
        spent_on,
        cast(date_trunc('month', spent_on) as date) as spend_month,
        amount_inr,
        receipt_number is not null as has_receipt,
        claimed_by,
    from expenses
)

select * from stg_expenses
