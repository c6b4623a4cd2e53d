"""Demo money: expenses in any number, and budgets made around them, so that who exceeds them is known exactly."""

from lake.demo.people_parts import DEPARTMENTS, drawn, picked
from lake.demo.planting import DemoTable, Fault

CATEGORIES = ("consumables", "equipment", "locum-fees", "maintenance", "training", "travel")
BASE_PAISE = (180_000, 2_400_000, 950_000, 420_000, 310_000, 150_000)
PLANTED_BREACHES = 12  # department, category and month a quarter over budget, from 2000 expenses on
PLANTED_UNBUDGETED = 5  # with spend and no budget
EXPENSE_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 20),
    Fault("missing-spent-on", "MISSING_REQUIRED_FIELD", 30, "spent_on"),
    Fault("amount-of-nought", "BUSINESS_RULE_VIOLATION", 10, "amount_inr", "0.00"),
    Fault("unknown-category", "DATA_QUALITY_ISSUE", 5, "category", "gifts"),
    Fault("foreign-currency", "DATA_QUALITY_ISSUE", 5, "currency", "USD"),
    Fault("text-in-amount", "DATA_FORMAT_ERROR", 5, "amount_inr", "twelve"),
)
BUDGET_FAULTS = (Fault("repeat", "DUPLICATE_RECORD", 20),)  # any other would change what is planted


def spend_tables(rows: int, staff: int) -> tuple[DemoTable, ...]:
    """Gives the expenses, and the budgets around the good ones of them."""
    return (
        DemoTable("expenses", "expenses/expenses.csv", _expenses(rows, staff), EXPENSE_FAULTS),
        DemoTable("budgets", "budgets/budgets_2025.parquet", _budgets(), BUDGET_FAULTS),
    )


def _expenses(rows: int, staff: int) -> str:
    """From 5,000 rupees on an expense has a receipt; one in 64 is money that came back."""
    base = f"{list(BASE_PAISE)}[1 + ({drawn('spend-category', 'number')} % {len(CATEGORIES)})::integer]"
    return f"""
        with spent as (
            select
                number,
                {picked(CATEGORIES, "spend-category", "number")} as category,
                {base} * (20 + ({drawn("amount", "number")} % 180)::bigint) // 100
                    + ({drawn("paise", "number")} % 100)::bigint as paise,
                {drawn("refund", "number")} % 64 = 0 as is_refund,
            from range({rows}) as numbers(number)
        )
        select
            'EXP-' || lpad(number::varchar, 9, '0') as expense_id,
            {picked(tuple(DEPARTMENTS), "spend-department", "number")} as department_id,
            category,
            date '2025-01-01' + (number * 365 // {max(rows, 1)})::integer as spent_on,
            (case when is_refund then -1 else 1 end * paise)::decimal(14, 0) * 0.01 as amount_inr,
            case when number % 10 > 0 then 'INR' end as currency,
            case
                when paise >= 500000 or {drawn("receipt", "number")} % 5 < 3
                    then 'R-' || lpad(({drawn("receipt-number", "number")} % 1000000)::varchar, 6, '0')
            end as receipt_number,
            'EMP-' || lpad((1 + {drawn("claimed-by", "number")} % {staff})::varchar, 5, '0') as claimed_by,
            case
                when number % 8 = 0 then '00' || (10000000000 + {drawn("account", "number")} % 89999999999)::varchar
            end as account_number,
        from spent
        order by number
    """


def _budgets() -> str:
    """Some are a quarter too small, some are not there, all others suffice; a quarter was revised, half at first.

    Those of middling spend come first for that; a large demo has none of them.
    """
    departments, categories = list(DEPARTMENTS), list(CATEGORIES)
    return f"""
        with cells as (
            select department_id, category, (date '2025-01-01' + to_months(month::integer))::date as budget_month,
            from (select unnest({departments}) as department_id)
            cross join (select unnest({categories}) as category)
            cross join range(12) as months(month)
        ),
        spent as (
            select department_id, category, date_trunc('month', spent_on)::date as budget_month,
                sum(amount_inr) as actual_inr,
            from demo_expenses
            where _fault in ('none', 'repeat')
            group by all
        ),
        drawn as (
            select
                cells.*,
                coalesce(actual_inr, 0) as actual_inr,
                md5_number_lower(concat(cells.department_id, cells.category, cells.budget_month)) as draw,
                actual_inr >= 10000 as is_eligible,
                row_number() over (partition by is_eligible order by actual_inr > 40000, draw) as number,
                case when is_eligible then number end as place,
            from cells
            left join spent using (department_id, category, budget_month)
        ),
        planned as (
            select
                *,
                case
                    when place <= {PLANTED_BREACHES} then floor(actual_inr / 1.25 / 100)::bigint * 100
                    else greatest(ceil(actual_inr * 1.06 / 100)::bigint * 100, 5000)
                end as amount_inr,
                case when draw % 16 = 0 then 3 when draw % 4 = 0 then 2 else 1 end as last_revision,
            from drawn
            where place is null or place <= {PLANTED_BREACHES} or place > {PLANTED_BREACHES + PLANTED_UNBUDGETED}
        )
        select
            department_id,
            category,
            budget_month,
            revision_number,
            case
                when revision_number = last_revision then amount_inr
                else amount_inr // 200 * 100 + revision_number
            end::decimal(14, 2) as budget_inr,
        from (select *, unnest(range(1, last_revision + 1)) as revision_number from planned)
        order by md5_number_lower(concat(department_id, category, budget_month, revision_number))
    """
