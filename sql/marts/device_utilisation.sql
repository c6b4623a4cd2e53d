/*
description: >
  How long each device was in use on each Indian calendar day. Sessions over midnight count on both
  days; sessions that overlap count once for the time and each for the number. Open sessions have no
  time yet and are left out.
grain: one row per device_id, used_on
owner: facility-data
partition: used_month
affected: |
    select
        cast(
            unnest(
                generate_series(
                    date_trunc('month', first_on), date_trunc('month', last_on), interval 1 month
                )
            ) as date
        ) as used_month
    from changed.stg_device_audit_log
    where last_on is not null
metrics:
  - name: session_count
    description: Sessions that were active on the day, those over midnight on both days.
    formula: count(*)
    unit: sessions
  - name: active_seconds
    description: Time in which at least one session was active.
    formula: length of the union of the sessions, cut at midnight
    unit: s
  - name: utilisation_ratio
    description: Part of the day's 24 hours in which the device was in use.
    formula: active_seconds / 86400
    unit: ratio
  - name: peak_session_count
    description: Most sessions that were active at one instant.
    formula: max(sessions active)
    unit: sessions
*/
with sessions as (
    select * from staging.stg_device_audit_log
),

spread as (
    select
        *,
        cast(
            unnest(generate_series(first_on, last_on, interval 1 day)) as date
        ) as used_on,
    from sessions
    where not is_open
),

cut as (
    select
        device_id,
        site,
        used_on,
        epoch_us(greatest(started_india, cast(used_on as timestamp))) as start_us,
        epoch_us(least(ended_india, cast(used_on + 1 as timestamp))) as end_us,
    from spread
),

-- what of a session no earlier one of the day has covered
uncovered as (
    select
        *,
        greatest(
            start_us,
            coalesce(
                max(end_us) over (
                    partition by device_id, used_on
                    order by start_us, end_us
                    rows between unbounded preceding and 1 preceding
                ),
                start_us
            )
        ) as fresh_us,
    from cut
),

steps as (
    select
        device_id,
        used_on,
        start_us as at_us,
        1 as change,
    from cut
    union all
    select
        device_id,
        used_on,
        end_us as at_us,
        -1 as change,
    from cut
),

-- at one instant ends come before beginnings: a session that follows another does not overlap it
running as (
    select
        device_id,
        used_on,
        sum(change) over (
            partition by device_id, used_on
            order by at_us, change
            rows unbounded preceding
        ) as open_count,
    from steps
),

peaks as (
    select
        device_id,
        used_on,
        max(open_count) as peak_session_count,
    from running
    group by device_id, used_on
),

summed as (
    select
        device_id,
        used_on,
        max(site) as site,
        count(*) as session_count,
        sum(greatest(end_us - fresh_us, 0)) as active_us,
    from uncovered
    group by device_id, used_on
),

device_utilisation as (
    select
        summed.device_id,
        summed.site,
        summed.used_on,
        cast(date_trunc('month', summed.used_on) as date) as used_month,
        summed.session_count,
        cast(peaks.peak_session_count as bigint) as peak_session_count,
        cast(
            cast(summed.active_us as decimal(18, 0)) * 0.000001 as decimal(18, 6)
        ) as active_seconds,
        cast(summed.active_us / 86400000000 as decimal(9, 6)) as utilisation_ratio,
    from summed
    inner join peaks
        on
            summed.device_id = peaks.device_id
            and summed.used_on = peaks.used_on
)

select * from device_utilisation
