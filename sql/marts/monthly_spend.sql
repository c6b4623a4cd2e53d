/*
description: >
  Spend against budget of each department in each month, and from the beginning of the Indian
  financial year, which starts in April.
grain: one row per spend_month, department_id
owner: finance
metrics:
  - name: budget_inr
    description: The department's budget of the month over all categories.
    formula: sum(budget_inr)
    unit: INR
  - name: actual_inr
    description: The department's spend of the month over all categories.
    formula: sum(actual_inr)
    unit: INR
  - name: variance_inr
    description: Spend beyond the budget; below 0 where less was spent.
    formula: actual_inr - budget_inr
    unit: INR
  - name: variance_ratio
    description: Spend beyond the budget as a part of it; none without a budget.
    formula: (actual_inr - budget_inr) / budget_inr
    unit: ratio
  - name: year_budget_inr
    description: Budget from April of the financial year to the month's end.
    formula: sum(budget_inr) over (partition by financial year order by spend_month)
    unit: INR
  - name: year_actual_inr
    description: Spend from April of the financial year to the month's end.
    formula: sum(actual_inr) over (partition by financial year order by spend_month)
    unit: INR
*/
with expense_summary as (
    select * from marts.expense_summary
),

summed as (
    select
        spend_month,
        -- the first of April on or before the month
        make_date(year(cast(spend_month - interval 3 month as date)), 4, 1) as financial_year_on,
        department_id,
        department_name,
        cast(sum(expense_count) as bigint) as expense_count,
        cast(sum(budget_inr) as decimal(18, 2)) as budget_inr,
        cast(sum(actual_inr) as decimal(18, 2)) as actual_inr,
    from expense_summary
    group by spend_month, department_id, department_name
),

monthly_spend as (
    select
        *,
        cast(actual_inr - budget_inr as decimal(18, 2)) as variance_inr,
        cast((actual_inr - budget_inr) / nullif(budget_inr, 0) as decimal(18, 6)) as variance_ratio,
        cast(
            sum(budget_inr) over (
                partition by department_id, financial_year_on
                order by spend_month
            ) as decimal(18, 2)
        ) as year_budget_inr,
        cast(
            sum(actual_inr) over (
                partition by department_id, financial_year_on
                order by spend_month
            ) as decimal(18, 2)
        ) as year_actual_inr,
    from summed
)

select * from monthly_spend
