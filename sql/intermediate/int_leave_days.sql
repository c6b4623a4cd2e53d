/*
description: >
  The working days of each application, whatever its state. Saturdays, Sundays and the holidays of
  reference.holidays are no working days; a half day is half of one.
grain: one row per application_id, leave_on
owner: people-operations
*/
with applications as (
    select * from staging.stg_leave_applications
),

staff as (
    select * from staging.stg_staff
),

holidays as (
    select * from reference.holidays
),

spread as (
    select
        *,
        unnest(range(0, last_on - first_on + 1)) as day_number,
    from applications
),

dated as (
    select
        *,
        first_on + cast(day_number as integer) as leave_on,
    from spread
),

int_leave_days as (
    select
        dated.application_id,
        dated.staff_id,
        coalesce(staff.department_id, 'unknown') as department_id,
        dated.leave_type,
        dated.status,
        dated.leave_on,
        cast(date_trunc('month', dated.leave_on) as date) as leave_month,
        case
            when dated.leave_on = dated.first_on and dated.is_first_half_day then 0.5
            when dated.leave_on = dated.last_on and dated.is_last_half_day then 0.5
            else 1.0
        end as day_share,
    from dated
    left join staff
        on dated.staff_id = staff.staff_id
    left join holidays
        on dated.leave_on = holidays.holiday_on
    where isodow(dated.leave_on) < 6 and holidays.holiday_on is null
)

select * from int_leave_days
