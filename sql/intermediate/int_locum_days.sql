/*
description: >
  Assigned shifts and offered hours, cut at each midnight in India. What ends at midnight has no
  part in the day that begins there.
grain: one row per part of a shift or an offer
owner: medical-staffing
*/
with shifts as (
    select * from staging.stg_locum_shifts
    where status = 'assigned'
),

offers as (
    select * from intermediate.int_locum_offers
),

spans as (
    select
        department_id,
        locum_id,
        true as is_shift,
        starts_at at time zone 'Asia/Kolkata' as starts_local,
        ends_at at time zone 'Asia/Kolkata' as ends_local,
    from shifts
    union all
    select
        department_id,
        locum_id,
        false as is_shift,
        starts_at at time zone 'Asia/Kolkata' as starts_local,
        ends_at at time zone 'Asia/Kolkata' as ends_local,
    from offers
),

spread as (
    select
        *,
        unnest(range(0, cast(ends_local as date) - cast(starts_local as date) + 1)) as day_number,
    from spans
),

dated as (
    select
        *,
        cast(starts_local as date) + cast(day_number as integer) as worked_on,
        greatest(starts_local, cast(worked_on as timestamp)) as part_starts_local,
        least(ends_local, cast(worked_on + 1 as timestamp)) as part_ends_local,
    from spread
),

int_locum_days as (
    select
        worked_on,
        cast(date_trunc('month', worked_on) as date) as worked_month,
        department_id,
        locum_id,
        is_shift,
        is_shift and day_number = 0 as begins_shift,
        epoch_us(part_ends_local) - epoch_us(part_starts_local) as part_microseconds,
    from dated
    where part_ends_local > part_starts_local
)

select * from int_locum_days
