/*
description: The budget that counts of each department, category and month, the highest revision.
grain: one row per department_id, category, budget_month
owner: finance
materialise: table
partition: budget_month
*/
with budgets as (
    select * from raw.budgets
),

stg_budgets as (
    select
        department_id,
        category,
        budget_month,
        revision_number,
        budget_inr,
    from budgets
    qualify
        row_number() over (
            partition by department_id, category, budget_month
            order by revision_number desc
        ) = 1
)

select * from stg_budgets
