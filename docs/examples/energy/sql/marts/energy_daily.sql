/*
description: Energy used per building and Indian day.
grain: one row per read_on, site
owner: Energy data
partition: read_on
*/
select
    read_on,
    site,
    count(*) as reading_count,
    cast(sum(kwh) as decimal(18, 3)) as energy_kwh,
from staging.stg_meters__readings
group by read_on, site
