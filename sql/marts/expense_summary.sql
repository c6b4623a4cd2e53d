/*
description: >
  Budget against actual. A month with a budget and no spend is there, so is one with spend and no
  budget; the latest revision of a budget counts.
grain: one row per spend_month, department_id, category
owner: finance
materialise: table
partition: spend_month
metrics:
  - name: budget_inr
    description: What might be spent, by the latest revision; 0 where no budget was given.
    formula: budget_inr of the highest revision_number
    unit: INR
  - name: actual_inr
    description: What was spent, less what came back, exact to the paisa.
    formula: sum(amount_inr)
    unit: INR
  - name: variance_inr
    description: Spend beyond the budget; below 0 where less was spent.
    formula: actual_inr - budget_inr
    unit: INR
  - name: variance_ratio
    description: Spend beyond the budget as a part of it, 0.1 for 10 %; none without a budget.
    formula: (actual_inr - budget_inr) / budget_inr
    unit: ratio
*/
with expenses as (
    select * from staging.stg_expenses
),

budgets as (
    select * from staging.stg_budgets
),

departments as (
    select * from staging.stg_departments
),

entries as (
    select
        spend_month,
        department_id,
        category,
        amount_inr as actual_inr,
        cast(0 as decimal(14, 2)) as budget_inr,
        null as revision_number,
        1 as expense_count,
    from expenses
    union all
    select
        budget_month as spend_month,
        department_id,
        category,
        cast(0 as decimal(14, 2)) as actual_inr,
        budget_inr,
        revision_number,
        0 as expense_count,
    from budgets
),

summed as (
    select
        spend_month,
        department_id,
        category,
        cast(sum(expense_count) as bigint) as expense_count,
        max(revision_number) as budget_revision,
        cast(sum(budget_inr) as decimal(18, 2)) as budget_inr,
        cast(sum(actual_inr) as decimal(18, 2)) as actual_inr,
    from entries
    group by spend_month, department_id, category
),

expense_summary as (
    select
        summed.spend_month,
        summed.department_id,
        coalesce(departments.department_name, summed.department_id) as department_name,
        summed.category,
        summed.expense_count,
        summed.budget_revision,
        summed.budget_inr,
        summed.actual_inr,
        cast(summed.actual_inr - summed.budget_inr as decimal(18, 2)) as variance_inr,
        cast(
            (summed.actual_inr - summed.budget_inr) / nullif(summed.budget_inr, 0)
            as decimal(18, 6)
        ) as variance_ratio,
    from summed
    left join departments
        on summed.department_id = departments.department_id
)

select * from expense_summary
