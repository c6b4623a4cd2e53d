/*
title: Budget exceeded
severity: warning
description: >
  A department spent over 10 % more than its budget of a category and month, or spent without one.
  It is told again when the excess has grown by half.
worse_by: 0.5
*/
with summary as (
    select * from marts.expense_summary
),

measured as (
    select
        *,
        -- few digits, so that the product below holds a budget of any size
        cast(0.10 as decimal(4, 2)) as threshold,
    from summary
    where actual_inr > 0
),

budget_breach as (
    select
        department_name || ', ' || category || ', ' || strftime(spend_month, '%b %Y') as subject,
        department_id || '/' || category || '/' || strftime(spend_month, '%Y-%m') as breach_key,
        variance_ratio as measured,
        threshold,
        case
            when budget_inr = 0 then 'INR ' || actual_inr || ' was spent without a budget.'
            else printf(
                'INR %s was spent of a budget of INR %s: %.1f %% too much; allowed are %.0f %%.',
                cast(actual_inr as varchar), cast(budget_inr as varchar),
                cast(variance_ratio * 100 as double), cast(threshold * 100 as double)
            )
        end as message,
    from measured
    where budget_inr = 0 or actual_inr > budget_inr * (1 + threshold)
)

select * from budget_breach
order by breach_key
