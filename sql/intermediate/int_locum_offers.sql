/*
description: >
  The hours each locum doctor offers a department, offers that overlap or meet joined to one: an
  hour that is offered twice is one hour. Withdrawn offers are left out.
grain: one row per locum_id, department_id, starts_at
owner: medical-staffing
*/
with availability as (
    select * from staging.stg_locum_availability
    where not is_withdrawn
),

ordered as (
    select
        *,
        max(ends_at) over (
            partition by locum_id, department_id
            order by starts_at, ends_at, offer_id
            rows between unbounded preceding and 1 preceding
        ) as covered_until,
    from availability
),

numbered as (
    select
        *,
        count(*) filter (where covered_until is null or starts_at > covered_until) over (
            partition by locum_id, department_id
            order by starts_at, ends_at, offer_id
            rows between unbounded preceding and current row
        ) as stretch_number,
    from ordered
),

int_locum_offers as (
    select
        locum_id,
        department_id,
        min(starts_at) as starts_at,
        max(ends_at) as ends_at,
        count(*) as offer_count,
    from numbered
    group by locum_id, department_id, stretch_number
)

select * from int_locum_offers
