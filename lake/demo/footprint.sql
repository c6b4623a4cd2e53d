-- The faultless rows of each source, in order. Integers and md5 alone, so that every version of the engine agrees.
-- source: electricity_invoices
with numbered as (
    select
        i,
        i % 10 as meter,
        i // 10 as turn,
        md5_number_lower(concat('invoice:', i)) as draw,
    from range(:count) as invoices(i)
),

-- every other meter is billed in the middle of the month; an odd turn has one month, an even one two
billed as (
    select
        *,
        date '2025-01-01' + to_months(((turn * 3 + turn % 2) // 2)::integer) as month_start,
        date '2025-01-01' + to_months((((turn + 1) * 3 + (turn + 1) % 2) // 2)::integer) as month_end,
        case when meter % 2 = 0 then 0 else 14 end as shift,
        ['Andheri', 'Hinjawadi', 'Koramangala', 'Salt Lake', 'Taramani'][1 + meter // 2] as site,
        [4200, 6100, 3800, 3750, 3100][1 + meter // 2] as weight,
    from numbered
),

dated as (
    select
        *,
        (month_start + to_days(shift::integer))::date as period_start_on,
        least((month_end + to_days(shift::integer))::date, date '2026-01-01') as period_end_on,
    from billed
)

select
    'INV-' || lpad(i::varchar, 6, '0') as invoice_id,
    site,
    'MTR-' || lpad(meter::varchar, 3, '0') as meter_id,
    period_start_on,
    period_end_on,
    watt_hours // 1000 || '.' || lpad((watt_hours % 1000)::varchar, 3, '0') as kwh,
    least(period_end_on + 9, date '2026-01-10') as issued_on,
from (
    select
        *,
        -- some 0.16 kWh per square metre, meter and day, more in April to June
        weight
        * (period_end_on - period_start_on)
        * case when month(period_start_on) between 4 and 6 then 210 else 160 end
        + (draw % 400000)::bigint as watt_hours,
    from dated
)
order by i
-- source: print_logs
with numbered as (
    select
        j,
        md5_number_lower(concat('print:', j)) as draw,
        date '2025-01-01' + (j * 365 // :count)::integer as day,
    from range(:count) as jobs(j)
)

select
    'JOB-' || lpad(j::varchar, 9, '0') as job_id,
    strftime(
        make_timestamp((epoch(day)::bigint + 8 * 3600 + (draw % 39600)::bigint) * 1000000), '%Y-%m-%dT%H:%M:%S+05:30'
    ) as printed_at,
    ['Andheri', 'Hinjawadi', 'Koramangala', 'Salt Lake', 'Taramani'][1 + ((draw >> 16) % 5)::bigint] as site,
    'PRN-' || lpad(((draw >> 16) % 25)::varchar, 3, '0') as printer_id,
    ['asha', 'ravi', 'meera', 'arjun', 'imran', 'kavya'][1 + ((draw >> 24) % 6)::bigint] || ((draw >> 28) % 40) as user_name,
    [1, 1, 2, 2, 3, 4, 7, 24][1 + ((draw >> 36) & 7)::bigint] as pages,
    -- duplex catches on: from a quarter of the jobs in January to two thirds in December
    ((draw >> 40) & 63) < 16 + month(day) * 2 as is_duplex,
    case
        when ((draw >> 46) & 15) = 0 then 'A3 80 g'
        when ((draw >> 46) & 15) < 5 then 'A4 75 g'
        else 'A4 80 g'
    end as paper,
from numbered
order by j
-- source: device_audit_log
with numbered as (
    select
        s,
        md5_number_lower(concat('session:', s)) as draw,
        date '2025-01-01' + (s * 364 // :count)::integer as day,
    from range(:count) as sessions(s)
),

-- six devices a site; most sessions lie in the day, one in sixteen is a night shift over midnight
timed as (
    select
        *,
        (draw % 30)::bigint as device,
        case when ((draw >> 8) & 15) = 0 then 22 * 3600 else 8 * 3600 end + ((draw >> 12) % 28800)::bigint as second,
        600 + ((draw >> 28) % 10800)::bigint
        + case when ((draw >> 8) & 15) = 0 then 10800 else 0 end as length,
        s % 200 = 77 as is_open,
    from numbered
),

placed as (
    select
        *,
        make_timestamp((epoch(day)::bigint + case when second >= 86400 then 79200 else second end) * 1000000) as started,
        started + to_seconds(length) as ended,
    from timed
)

select
    'SES-' || lpad(s::varchar, 9, '0') as session_id,
    'DEV-' || lpad(device::varchar, 3, '0') as device_id,
    ['Andheri', 'Hinjawadi', 'Koramangala', 'Salt Lake', 'Taramani'][1 + device // 6] as site,
    ['asha', 'ravi', 'meera', 'arjun', 'imran', 'kavya'][1 + ((draw >> 44) % 6)::bigint] || (draw >> 48) % 40 as user_name,
    strftime(started, '%Y-%m-%dT%H:%M:%S+05:30') as started_at,
    case when not is_open then strftime(ended, '%Y-%m-%dT%H:%M:%S+05:30') end as ended_at,
    strftime(case when is_open then started else ended end, '%Y-%m-%dT%H:%M:%S+05:30') as logged_at,
from placed
order by s
