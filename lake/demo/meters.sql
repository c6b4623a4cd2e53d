-- The faultless readings, in the order of their report. Integers and md5 alone, so that every version of the engine agrees.
with billed as (
    select
        site,
        meter_id,
        period_start_on,
        period_end_on - period_start_on as days,
        cast(replace(kwh, '.', '') as bigint) as watt_hours,
        day,
    from (
        select *, unnest(generate_series(0, period_end_on - period_start_on - 1)) as day
        from demo_electricity_invoices
    )
),

-- a day has its share of the invoice, in whole watt-hours, and its parts have theirs of the day: more by day than by night
parted as (
    select
        site,
        meter_id,
        period_start_on + day::integer as read_on,
        part * 24 // :parts as first_hour,
        (part + 1) * 24 // :parts as next_hour,
        watt_hours * (day + 1) // days - watt_hours * day // days as day_watt_hours,
        [0, 2, 4, 6, 8, 10, 12, 15, 20, 27, 34, 41, 48, 55, 62, 69, 76, 83, 88, 92, 94, 95, 96, 98, 100] as used_by,
        part,
    from billed, range(:parts) as parts(part)
    where period_start_on + day::integer < date '2025-01-01' + :days
),

read as (
    select
        *,
        meter_id || '-' || strftime(read_on, '%Y%m%d') || '-' || lpad(first_hour::varchar, 2, '0') as reading_id,
        (day_watt_hours * used_by[next_hour + 1] // 100 - day_watt_hours * used_by[first_hour + 1] // 100)
        * case when meter_id = :slow_meter then :slow_percent else 100 end // 100 as watt_hours,
        (epoch(read_on)::bigint + first_hour * 3600) as begins_second,
        (epoch(read_on)::bigint + next_hour * 3600) as ends_second,
    from parted
    where not (meter_id = :silent_meter and read_on >= :silent_from and read_on < :silent_from + :silent_days)
),

versions as (
    select
        *,
        md5_number_lower(concat('reading:', reading_id)) % 1000 < :estimates as is_guessed,
        unnest(if(md5_number_lower(concat('reading:', reading_id)) % 1000 < :estimates, [1, 2], [2])) as version,
    from read
)

select
    reading_id,
    meter_id,
    site,
    strftime(make_timestamp(begins_second * 1000000), '%Y-%m-%dT%H:%M:%S+05:30') as begins_at,
    (ends_second - begins_second) // 60 as minutes,
    kwh // 1000 || '.' || lpad((kwh % 1000)::varchar, 3, '0') as kwh,
    if(version = 1, 'estimated', 'measured') as status,
    strftime(make_timestamp(reported_second * 1000000), '%Y-%m-%dT%H:%M:%S+05:30') as reported_at,
from (
    select
        *,
        -- an estimate is the hundred watt-hours below
        if(version = 1, watt_hours // 100 * 100, watt_hours) as kwh,
        ends_second + 300 + if(is_guessed and version = 2, 172800, 0) as reported_second,
    from versions
)
order by reported_second, reading_id
